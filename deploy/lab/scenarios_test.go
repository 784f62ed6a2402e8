package lab_test

import (
	"net"
	"slices"
	"strings"
)

// scenario is a dialogue that is recorded with each server.
type scenario struct {
	name      string // of the file
	about     string // its first line
	play      func(*recording)
	v6        bool
	impatient bool // the server has short time limits
}

// scenarios are what TestRecord records.
var scenarios = slices.Concat([]scenario{
	{name: "login", about: "Commands before the log-in, a wrong password, the right one.", play: playLogin},
	{name: "features", about: "What the server says about itself, and commands that it does not know.", play: playFeatures},
	{name: "rein", about: "REIN in the middle, and a second log-in.", play: playREIN},
	{name: "active", about: "PORT and EPRT: lists, a download, uploads.", play: playActive},
	{name: "active6", about: "The same over IPv6, where PORT cannot be said.", play: playActive, v6: true},
	{name: "passive", about: "PASV and EPSV: lists, a download, uploads.", play: playPassive},
	{name: "passive6", about: "The same over IPv6.", play: playPassive, v6: true},
	{name: "passive-late", about: "The transfer command first, the data connection then.", play: playPassiveLate},
	{name: "passive-twice", about: "PASV again before a transfer, EPSV in its place, PORT after it.", play: playPassiveTwice},
	{name: "epsv-all", about: "EPSV ALL, after which PORT and PASV are refused.", play: playEPSVAll},
	{name: "refused", about: "Transfers that the server refuses, each followed by another transfer command without a new announcement.", play: playRefused},
	{name: "unannounced", about: "RETR before any announcement, and again after a transfer.", play: playUnannounced},
	{name: "refused-port", about: "Announcements that the server refuses: a foreign address, a low port, nonsense.", play: playRefusedPort},
	{name: "unreachable", about: "The announced port does not answer.", play: playUnreachable},
	{name: "empty-line", about: "An empty line, lines with spaces, with LF alone, in lower case.", play: playEmptyLine},
	{name: "pwd", about: "Directories with quotes in their names: MKD, CWD, PWD.", play: playPWD},
	{name: "stat", about: "STAT with an argument: a directory, a file, what is missing.", play: playSTAT},
	{name: "facts", about: "MLST, MLSD, SIZE, MDTM, and a file under two names.", play: playFacts},
	{name: "restart", about: "REST and a download of the rest.", play: playREST},
	{name: "idle", about: "The client falls silent, and the server ends the session.", play: playIdle, impatient: true},
	{name: "auth", about: "AUTH where there is no TLS.", play: playAUTH},
}, pipelined, concurrent, hostile)

func playLogin(c *recording) {
	c.reply()
	for _, line := range []string{"SYST", "PWD", "PORT 10,1,4,4,180,117", "PASV", "RETR R1.cfg", "PASS " + "ftppass", "USER ftpuser", "PASS wrong"} {
		c.do(line)
	}
	c.do("USER ftpuser")
	c.do("PASS ftppass")
	for _, line := range []string{"SYST", "TYPE I", "PWD", "NOOP", "USER ftpuser"} {
		c.do(line)
	}
	c.quit()
}

func playFeatures(c *recording) {
	c.login()
	for _, line := range []string{
		"FEAT", "HELP", "HELP RETR", "SITE HELP", "OPTS UTF8 ON", "OPTS MLST type;size;", "CLNT recorder", "STAT", "HELP XYZZY",
		"XYZZY", "XYZZY 1 2 3", "POST / HTTP/1.1", "ALLO 38", "MODE S", "STRU F", "ACCT x", "LANG en", "NOOP ",
	} {
		c.do(line)
	}
	c.quit()
}

func playREIN(c *recording) {
	c.login()
	ln := c.listen()
	c.do(ln.port())
	if reply := c.do("REIN"); strings.HasPrefix(reply, "2") {
		c.do("RETR R1.cfg")
		c.do("USER ftpuser")
		c.do("PASS ftppass")
	}
	c.active("RETR R1.cfg", (*listener).port)
	c.quit()
}

// active transfers with an announcement of the client, and returns the first reply.
func (c *recording) active(command string, announce func(*listener) string) {
	ln := c.listen()
	if !strings.HasPrefix(c.do(announce(ln)), "2") {
		return
	}
	c.transfer(command, ln.accept)
}

func (c *recording) passive(command, ask string) {
	reply := c.do(ask)
	if !strings.HasPrefix(reply, "22") {
		return
	}
	conn := c.connect(reply)
	c.transfer(command, func() net.Conn { return conn })
}

// transfer says the command and moves the data until the final reply.
func (c *recording) transfer(command string, data func() net.Conn) {
	reply := c.do(command)
	if strings.HasPrefix(reply, "4") || strings.HasPrefix(reply, "5") {
		return
	}
	switch command[:4] {
	case "STOR", "APPE", "STOU":
		c.send(data())
	default:
		c.receive(data())
	}
	if strings.HasPrefix(reply, "1") {
		c.finish()
	}
}

var transfers = []string{"LIST", "NLST", "LIST R1.cfg", "MLSD", "RETR R1.cfg", "STOR up.bin", "APPE up.bin", "STOU", "RETR up.bin", "RETR big.bin"}

func playActive(c *recording) {
	c.login()
	c.do("TYPE I")
	for i, command := range transfers {
		if c.client.Is6() || i%2 == 1 {
			c.active(command, (*listener).eprt)
		} else {
			c.active(command, (*listener).port)
		}
	}
	c.quit()
}

func playPassive(c *recording) {
	c.login()
	c.do("TYPE I")
	if c.client.Is6() {
		c.do("PASV") // there is no way to say it
	}
	for i, command := range transfers {
		if c.client.Is6() || i%2 == 1 {
			c.passive(command, "EPSV")
		} else {
			c.passive(command, "PASV")
		}
	}
	c.passive("NLST", "EPSV 1")
	c.passive("NLST", "EPSV 2")
	c.quit()
}

// playPassiveLate connects only when the transfer was asked for. Some servers wait for
// the connection before they answer.
func playPassiveLate(c *recording) {
	c.login()
	for _, command := range []string{"RETR R1.cfg", "LIST", "RETR missing"} {
		reply := c.do("PASV")
		c.say(command + "\r\n")
		early := c.replyWithin(silence)
		if early == "" {
			c.note("no answer before the data connection")
		}
		if early == "" || early[0] == '1' {
			c.receive(c.connect(reply))
			c.finish()
		}
	}
	c.quit()
}

func playEmptyLine(c *recording) {
	c.login()
	for _, text := range []string{"\r\n", "\n", " \r\n", "\r\r\n", "\x00\r\n", " NOOP\r\n", "NOOP\n", "noop\r\n", "NOOP\r\r\n", "\tNOOP\r\n"} {
		c.say(text)
		if c.replyWithin(silence) == "" {
			c.note("no answer")
		}
	}
	c.say("NO")
	c.replyWithin(silence)
	c.say("OP\r\n")
	c.reply()
	c.say("\r\nNOOP\r\n\r\nSYST\r\n")
	c.quit()
}

func playPWD(c *recording) {
	c.login()
	for _, name := range []string{`a"b`, `"`, `""`, `x" is "y`} {
		c.do("MKD " + name)
		c.do("CWD " + name)
		c.do("PWD")
	}
	c.do("XPWD")
	c.do("CDUP")
	c.do("PWD")
	c.do(`RMD "`)
	c.quit()
}

func playSTAT(c *recording) {
	c.login()
	for _, line := range []string{"STAT", "STAT .", "STAT R1.cfg", "STAT missing", "STAT *.bin", "STAT -l"} {
		c.do(line)
	}
	c.quit()
}

func playFacts(c *recording) {
	c.login()
	for _, line := range []string{"MLST", "MLST R1.cfg", "MLST missing", "SIZE R1.cfg", "MDTM R1.cfg", "SIZE .", "RNFR R1.cfg", "RNTO R2.cfg", "DELE R2.cfg"} {
		c.do(line)
	}
	c.passive("MLSD", "EPSV")
	c.passive("MLSD missing", "EPSV")
	c.quit()
}

func playREST(c *recording) {
	c.login()
	c.do("TYPE I")
	c.do("REST 10")
	c.passive("RETR R1.cfg", "PASV")
	ln := c.listen()
	c.do(ln.port())
	c.do("REST 10")
	c.transfer("RETR R1.cfg", ln.accept)
	c.quit()
}

func playIdle(c *recording) {
	c.login()
	c.do("PASV")
	c.say("RETR R1.cfg\r\n")
	c.reply()
	c.reply()
	c.quit()
}

func playAUTH(c *recording) {
	c.reply()
	c.do("AUTH TLS")
	c.do("AUTH SSL")
	c.do("PBSZ 0")
	c.do("PROT P")
	c.do("USER ftpuser")
	c.do("PASS ftppass")
	c.do("AUTH TLS")
	c.active("RETR R1.cfg", (*listener).port)
	c.quit()
}
