package lab_test

import (
	"net"
	"slices"
	"strings"
)

// pipelined are scenarios with several commands in one write.
var pipelined = []scenario{
	{name: "pipelined-login", about: "USER, PASS, PORT and RETR in one write, before the greeting was read.", play: func(c *recording) {
		ln := c.listen()
		c.say("USER ftpuser\r\nPASS ftppass\r\n" + ln.port() + "\r\nRETR R1.cfg\r\n")
		c.receive(ln.accept())
		c.quit()
	}},
	{name: "pipelined-early", about: "USER, PASS, PORT and RETR in one write, after the greeting.", play: func(c *recording) {
		c.reply()
		ln := c.listen()
		c.say("USER ftpuser\r\nPASS ftppass\r\n" + ln.port() + "\r\nRETR R1.cfg\r\n")
		c.receive(ln.accept())
		c.quit()
	}},
	{name: "pipelined-many", about: "Several commands in one write, an unknown and a refused one among them.", play: func(c *recording) {
		c.login()
		c.say("SYST\r\nPWD\r\nTYPE I\r\nXYZZY\r\nCWD missing\r\nNOOP\r\nFEAT\r\nHELP\r\nSTAT\r\nNOOP\r\nSIZE R1.cfg\r\n")
		c.rest()
		c.say("NOOP\r\nPASV\r\nNOOP\r\nEPSV\r\nNOOP\r\n")
		c.quit()
	}},
	{name: "pipelined-transfers", about: "Two active transfers in one write, then QUIT with a transfer.", play: func(c *recording) {
		c.login()
		first, second := c.listen(), c.listen()
		c.say(first.port() + "\r\nRETR R1.cfg\r\n" + second.port() + "\r\nRETR R1.cfg\r\n")
		c.receive(first.accept())
		c.receive(second.accept())
		c.rest()
		third := c.listen()
		c.say(third.port() + "\r\nLIST\r\nQUIT\r\n")
		c.receive(third.accept())
		c.quit()
	}},
	{name: "pipelined-refused", about: "PORT, a missing file, another file, in one write; then PORT refused before RETR.", play: func(c *recording) {
		c.login()
		ln := c.listen()
		c.say(ln.port() + "\r\nRETR missing\r\nRETR R1.cfg\r\n")
		c.receive(ln.accept())
		c.rest()
		c.say("PORT 10,1,4,5,180,117\r\nRETR R1.cfg\r\nNOOP\r\n")
		c.quit()
	}},
	{name: "pipelined-passive", about: "PASV and RETR in one write: the client connects when it has read the 227.", play: func(c *recording) {
		c.login()
		c.say("TYPE I\r\nPASV\r\nRETR R1.cfg\r\nNOOP\r\n")
		c.reply()
		c.receive(c.connect(c.reply()))
		c.quit()
	}},
}

// concurrent are scenarios with commands beside a transfer that stands still, because
// the client does not read, or because nobody has connected.
var concurrent = slices.Concat(aborts(), []scenario{
	{name: "abor-alone", about: "ABOR without a transfer, also with the telnet prefix.", play: func(c *recording) {
		c.login()
		for _, prefix := range []string{"", telnet} {
			c.say(prefix + "ABOR\r\n")
			c.rest()
			c.do("NOOP")
		}
		c.urgent("\xff\xf4\xff")
		c.say("\xf2ABOR\r\n")
		c.rest()
		c.do("NOOP")
		c.quit()
	}},
	{name: "abor-announced", about: "ABOR after PORT, and after PASV, before the transfer command.", play: func(c *recording) {
		c.login()
		ln := c.listen()
		c.do(ln.port())
		c.do("ABOR")
		c.rest()
		c.transfer("RETR R1.cfg", ln.accept)
		c.do("PASV")
		c.do("ABOR")
		c.rest()
		c.do("NOOP")
		c.quit()
	}},
	{name: "abor-unconnected", about: "ABOR after PASV and RETR, before the data connection.", play: func(c *recording) {
		c.login()
		reply := c.do("PASV")
		c.say("RETR R1.cfg\r\n")
		c.replyWithin(silence)
		c.say("ABOR\r\n")
		c.rest()
		if conn, err := c.tryConnect(reply); err == nil {
			c.receive(conn)
		}
		c.rest()
		c.passive("RETR R1.cfg", "PASV")
		c.quit()
	}},
	{name: "abor-upload", about: "ABOR beside an upload, the data connection closed then.", play: func(c *recording) {
		c.login()
		ln := c.listen()
		c.do(ln.port())
		c.do("STOR up.bin")
		conn := ln.accept()
		c.say("ABOR\r\n")
		c.replyWithin(silence)
		c.send(conn)
		c.rest()
		c.passive("RETR R1.cfg", "PASV")
		c.quit()
	}},
	{name: "noop-transfer", about: "Three NOOPs beside a transfer, one at a time.", play: beside("NOOP\r\n", "NOOP\r\n", "NOOP\r\n")},
	{name: "noop-100", about: "A hundred NOOPs beside a transfer.", play: beside(strings.Repeat("NOOP\r\n", 100))},
	{name: "stat-transfer", about: "STAT beside a transfer, then NOOP.", play: beside("STAT\r\n", "NOOP\r\n")},
	{name: "stat-argument-transfer", about: "STAT with an argument beside a transfer.", play: beside("STAT R1.cfg\r\n")},
	{name: "stat-telnet-transfer", about: "STAT with the telnet prefix beside a transfer.", play: beside(telnet + "STAT\r\n")},
	{name: "empty-transfer", about: "An empty line beside a transfer, then NOOP.", play: beside("\r\n", "NOOP\r\n")},
	{name: "port-transfer", about: "PORT and RETR beside a transfer.", play: func(c *recording) {
		c.login()
		conn := c.standStill()
		ln := c.listen()
		c.say(ln.port() + "\r\nRETR R1.cfg\r\n")
		c.rest()
		c.note("the client reads")
		c.receive(conn)
		c.receive(ln.accept())
		c.quit()
	}},
	{name: "pasv-transfer", about: "PASV beside a transfer.", play: beside("PASV\r\n")},
	{name: "quit-transfer", about: "QUIT beside a transfer.", play: beside("QUIT\r\n")},
	{name: "stat-unconnected", about: "STAT and NOOP after PASV and RETR, before the data connection.", play: func(c *recording) {
		c.login()
		reply := c.do("PASV")
		c.say("RETR R1.cfg\r\n")
		c.replyWithin(silence)
		c.say("STAT\r\nNOOP\r\n")
		c.rest()
		if conn, err := c.tryConnect(reply); err == nil {
			c.receive(conn)
		}
		c.quit()
	}},
	{name: "data-reset", about: "The client closes the data connection in the middle of a download.", play: func(c *recording) {
		c.login()
		c.standStill().Close()
		c.rest()
		c.active("RETR R1.cfg", (*listener).port)
		c.quit()
	}},
})

// telnet is what clients send before ABOR: IAC IP, IAC DM (RFC 959 section 4.1.3).
const telnet = "\xff\xf4\xff\xf2"

// standStill asks for a file, takes the data connection, and does not read.
func (c *recording) standStill() net.Conn {
	c.t.Helper()
	c.do("TYPE I")
	ln := c.listen()
	c.do(ln.port())
	c.do("RETR " + bigFile)
	conn := ln.accept()
	c.rest()
	if conn == nil {
		c.t.Fatal("there is no transfer to stand still")
	}
	return conn
}

// beside says each of the texts while a transfer stands still, and then reads.
func beside(texts ...string) func(*recording) {
	return func(c *recording) {
		c.login()
		conn := c.standStill()
		for _, text := range texts {
			c.say(text)
			c.rest()
		}
		c.note("the client reads")
		c.receive(conn)
		c.rest()
		c.do("NOOP")
		c.quit()
	}
}

// aborts are ABOR beside a download in the forms in which clients say it, after which
// some close the data connection, and some read on.
func aborts() []scenario {
	forms := []struct {
		name, about string
		say         func(*recording)
	}{
		{"plain", "ABOR alone", func(c *recording) { c.say("ABOR\r\n") }},
		{"telnet", "ABOR after IAC IP IAC DM", func(c *recording) { c.say(telnet + "ABOR\r\n") }},
		{"urgent", "ABOR after IAC IP IAC DM, the second IAC urgent", func(c *recording) {
			c.urgent("\xff\xf4\xff")
			c.say("\xf2ABOR\r\n")
		}},
	}
	ends := []struct {
		name, about string
		end         func(*recording, net.Conn)
	}{
		{"close", "then the client closes the data connection.", func(_ *recording, conn net.Conn) { conn.Close() }},
		{"read", "then the client reads the data connection to its end.", func(c *recording, conn net.Conn) { c.receive(conn) }},
	}
	var all []scenario
	for _, form := range forms {
		for _, end := range ends {
			all = append(all, scenario{name: "abor-" + form.name + "-" + end.name, about: form.about + " beside a download; " + end.about, play: func(c *recording) {
				c.login()
				conn := c.standStill()
				form.say(c)
				c.rest()
				c.note("now the data connection")
				end.end(c, conn)
				c.rest()
				c.do("NOOP")
				c.active("RETR R1.cfg", (*listener).port)
				c.passive("RETR R1.cfg", "PASV")
				c.quit()
			}})
		}
	}
	return all
}

// hostile are names that contain replies, as a client can give them.
var hostile = []scenario{
	{name: "names-nul", about: "A name with CR NUL and replies in it, shown by STAT, MLST and PWD.", play: func(c *recording) {
		c.login()
		c.do("MKD q")
		c.do("MKD q/a\r\x00213 x\r\x00227 Entering Passive Mode (10,2,5,5,31,145)")
		c.say("STAT q\r\nPASV\r\n")
		c.rest()
		c.say("MLST q\r\nNOOP\r\n")
		c.rest()
		c.say("CWD q/a\r\x00213 x\r\x00227 Entering Passive Mode (10,2,5,5,31,145)\r\nPWD\r\n")
		c.rest()
		c.quit()
	}},
	{name: "names-lf", about: "A name with LF and replies in it, shown by STAT, MLST and PWD.", play: func(c *recording) {
		c.login()
		c.do("MKD q")
		c.say("MKD q/a\n212 x\n227 Entering Passive Mode (10,2,5,5,31,145)\r\n")
		c.rest()
		c.say("STAT q\r\nPASV\r\n")
		c.rest()
		c.say("CWD x\n227 Entering Passive Mode (10,2,5,5,31,145)\r\n")
		c.quit()
	}},
	{name: "names-iac", about: "A name with CR, a telnet command and LF in it, shown by PWD.", play: func(c *recording) {
		c.login()
		name := "a\r\xff\xfb\x01\n227 Entering Passive Mode (10,2,5,5,31,145)\r\xff\xfb\x01\nx"
		c.say("MKD " + name + "\r\n")
		c.rest()
		c.say("CWD " + name + "\r\n")
		c.rest()
		c.say("PWD\r\nNOOP\r\n")
		c.quit()
	}},
}
