package lab_test

import "strings"

func playPassiveTwice(c *recording) {
	c.login()
	c.do("PASV")
	c.passive("RETR R1.cfg", "PASV")
	c.do("PASV")
	c.passive("RETR R1.cfg", "EPSV")
	c.do("PASV")
	c.active("RETR R1.cfg", (*listener).port)
	ln := c.listen()
	c.do(ln.port())
	c.passive("RETR R1.cfg", "PASV")
	c.quit()
}

func playEPSVAll(c *recording) {
	c.login()
	c.do("EPSV ALL")
	ln := c.listen()
	c.do(ln.port())
	c.do(ln.eprt())
	c.do("PASV")
	c.passive("RETR R1.cfg", "EPSV")
	c.quit()
}

func playRefused(c *recording) {
	c.login()
	for _, command := range []string{"RETR", "LIST", "STOR", "CWD", "DELE", "RMD", "RNTO", "SIZE", "MDTM"} {
		c.do(command + " missing/x")
	}
	ln := c.listen()
	c.do(ln.port())
	c.do("RETR missing")
	c.do("STOR missing/x")
	c.transfer("RETR R1.cfg", ln.accept)
	reply := c.do("PASV")
	c.do("RETR missing")
	conn, err := c.tryConnect(reply)
	if err != nil {
		c.note("it no longer listens")
	}
	c.say("RETR R1.cfg\r\n")
	c.rest()
	if err == nil {
		c.receive(conn)
	}
	c.quit()
}

// playUnannounced asks for a file where no data connection was announced, or the
// announced one is used up.
func playUnannounced(c *recording) {
	c.login()
	c.say("RETR R1.cfg\r\n")
	c.rest()
	reply := c.do("PASV")
	conn := c.connect(reply)
	c.receive(conn)
	c.rest()
	c.active("RETR R1.cfg", (*listener).port)
	c.say("RETR R1.cfg\r\n")
	c.rest()
	c.do("NOOP")
	c.quit()
}

func playRefusedPort(c *recording) {
	c.login()
	for _, line := range []string{
		"PORT 10,1,4,5,180,117", "EPRT |1|10.1.4.5|46197|", "PORT 10,1,4,4,0,22", "EPRT |1|10.1.4.4|22|", "PORT 1,2,3", "PORT", "PORT 300,1,4,4,180,117",
		"EPRT |2|::1|46197|", "EPRT |3|x|46197|", "EPRT nonsense", "EPSV 3", "EPSV nonsense", "NOOP",
	} {
		c.do(line)
	}
	c.quit()
}

func playUnreachable(c *recording) {
	c.login()
	ln := c.listen()
	port := ln.port()
	ln.Close()
	c.do(port)
	if strings.HasPrefix(c.do("RETR R1.cfg"), "1") {
		c.finish()
	}
	c.say("RETR R1.cfg\r\n")
	c.rest()
	c.active("RETR R1.cfg", (*listener).port)
	c.quit()
}
