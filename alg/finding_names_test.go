package alg_test

import (
	"encoding/binary"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

const evil227 = "227 Entering Passive Mode (10,2,5,5,31,145)"

// wantNot8081 checks that what evil227 names was never opened.
func (x *wire) wantNot8081() {
	x.t.Helper()
	for _, p := range x.kernel.opened {
		if p == x.passive(8081) {
			x.t.Errorf("a file's name opened %v\n%s", p, x.told())
		}
	}
}

// vsftpd lists names raw, and turns NUL in a command into LF: a name has whole lines.
func TestFinding04NamesInTheReplyToSTAT(t *testing.T) {
	names := "-rw------- 1 u u 0 Jan 01 00:00 a\r\n213 x\r\n" + evil227 + "\r\n213 End of status\r\n"
	for name, say := range map[string]func(x *wire){
		"pipelined": func(x *wire) {
			x.c("STAT q\r\nPASV")
			x.say(fromServer, "213-Status follows:\r\n"+names)
			x.s(ok227)
		},
		"one after the other": func(x *wire) {
			x.c("STAT q")
			x.say(fromServer, "213-Status follows:\r\na\r\n213 x\r\n") // the client's window is shut
			x.c("PASV")
			x.s(evil227, "213 End of status", ok227)
		},
		"proftpd": func(x *wire) {
			x.c("STAT q\r\nPASV")
			x.say(fromServer, "212-Status of q:\r\n a\n212 x\n"+evil227+"\n212 End of status\r\n")
			x.s(ok227)
		},
		"MLST": func(x *wire) {
			x.c("MLST q\r\nPASV")
			x.say(fromServer, "250-Listing q\r\n type=file; a\r\n250 x\r\n"+evil227+"\r\n250 End\r\n")
			x.s(ok227)
		},
		"in capitals or not": func(x *wire) {
			x.c("stat -a\r\nPASV")
			x.say(fromServer, "213-Status follows:\r\n"+names)
			x.s(ok227)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			say(x)
			x.wantNever()
			x.wantPassiveOff()
		})
	}
}

func TestFinding04STATClosesAnOpenPassivePinhole(t *testing.T) {
	for _, command := range []string{"STAT x", "MLST", "MLST x"} {
		x := newWire(t).login()
		x.wantPassive()
		x.c(command)
		x.wantPassiveOff()
	}
	x := newWire(t).login() // the state of the transfer names no files
	x.wantPassive()
	x.c("STAT")
	x.s("211-Status\r\n x\r\n211 End")
	x.wantOpen(x.passive(46197))
	x.wantCount(alg.PassiveOff, 0)
}

// proftpd ends commands by CR LF alone, and echoes what stands before it.
func TestFinding05ALineOfTheServerEndsWithCRLFAlone(t *testing.T) {
	for _, reply := range []string{
		"550 x\n" + evil227 + ": No such file or directory\r\n",
		"550 x\r" + evil227 + ": No such file or directory\r\n",
		"550 x\n" + evil227 + "\n: No such file or directory\r\n",
		"550-x\n550 x\n" + evil227 + "\n550 y\r\n550 z\r\n",
	} {
		x := newWire(t).login()
		x.c("CWD x\r\nPASV")
		x.say(fromServer, reply)
		x.s(ok227)
		x.wantNot8081()
		x.wantOpen(x.passive(46197)) // the server's own answer
		x.wantCount(alg.PassiveOff, 0)
	}
}

func TestFinding05PacketsThatCannotBeReadAreDropped(t *testing.T) {
	line := []byte("CWD x\n" + evil227 + "\r\n")
	x := newWireBetween(t, "fd00:1::4", "fd00:2::5").login()
	for n, drop := range map[int]bool{0: false, 1: false, 8: true, 9: true, 30: true} {
		p := withExtensions(x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, string(line)), n)
		if _, err := tcp.Parse(p); (err != nil) != (n > 8) && n != 8 {
			t.Fatalf("%d headers: %v", n, err)
		}
		if n == 8 {
			continue // as many as are read, or one too many
		}
		id := x.packet(fromClient, p)
		if x.verdicts[id].Drop != drop {
			t.Errorf("%d extension headers: dropped %v", n, !drop)
		}
	}

	x = newWire(t).login()
	long := x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, string(make([]byte, 60000)))
	x.wantDrop(x.packet(fromClient, long[:9000])) // the queue carries no more
	x = newWire(t, denyTLS).login()
	long = x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, "AUTH TLS\r\n"+string(make([]byte, 60000)))
	x.wantDrop(x.packet(fromClient, long[:9000]))
}

// withExtensions puts n destination options headers (RFC 8200, section 4.6) before TCP.
func withExtensions(p []byte, n int) []byte {
	const header = 40
	head, rest := append([]byte(nil), p[:header]...), p[header:]
	next := head[6]
	for i := range n {
		h := []byte{60, 0, 1, 4, 0, 0, 0, 0} // PadN
		if i == n-1 {
			h[0] = next
		}
		head = append(head, h...)
		head[6] = 60
	}
	binary.BigEndian.PutUint16(head[4:], uint16(len(rest)+8*n))
	return append(head, rest...)
}

// What was lost unread may be echoed as a 227.
func TestFinding05No227AfterLostBytesOfTheClient(t *testing.T) {
	x := newWire(t).login()
	x.next[fromClient] += uint32(len("CWD x\r\n"))
	x.c("PASV")
	x.s("550 x", evil227)
	x.c("NOOP")
	x.s("200 x")
	x.wantNever()
	x.wantPassiveOff()
}

func TestFinding40A257ThatDoesNotCloseItsQuote(t *testing.T) {
	for reply, believed := range map[string]bool{
		`257 "/up" is the current directory`:   true,
		`257 "/u""p" is the current directory`: true,
		`257 "/up/""" created`:                 true,
		`257 ""`:                               true,
		`257 created`:                          true,
		"257 \"/up/a\r\n" + evil227 + "\r\nx\" is the current directory": false,
		"257 \"/up/a\"\"\r\n" + evil227 + "\r\nx\" is it":                false,
		`257 "/up/a""`: false,
		`257 "`:        false,
	} {
		x := newWire(t).login()
		x.c("PWD\r\nPASV")
		x.s(reply)
		if believed {
			x.s(ok227)
			x.wantOpen(x.passive(46197))
			x.wantCount(alg.PassiveOff, 0)
			continue
		}
		x.s(ok227)
		x.wantNever()
		x.wantPassiveOff()
	}
}

// A telnet command is stripped by servers at different moments.
func TestFinding40TelnetCommandsInALine(t *testing.T) {
	for _, line := range []string{"MKD a\xff\xfbx", "\xff\xf6NOOP", "MKD \xff\xff", "NOOP\r\xff\xf4", "CWD a\xff", "\xff\xf4\xff\xf2STAT"} {
		x := newWire(t).login()
		x.c(line)
		x.s("257 \"/a\" created")
		x.wantNoHelp()
		if x.count(alg.NotFTP) != 1 {
			t.Errorf("%q: help did not end\n%s", line, x.told())
		}
	}
	for _, parts := range [][]string{{"\xff\xf4\xff\xf2ABOR\r\n"}, {"\xff\xf4\xff", "\xf2ABOR\r\n"}, {"ABOR\r\n"}} {
		x := newWire(t).login()
		for _, part := range parts {
			x.packet(fromClient, x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK|tcp.URG, part))
			x.next[fromClient] += uint32(len(part))
		}
		x.s("225 No transfer to ABOR.")
		x.wantCount(alg.NotFTP, 0)
		x.wantHelp()
		x.wantPassive()
	}
}

// NUL becomes LF in vsftpd.
func TestFinding04ALineWithNULIsNotActedOn(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.c("RETR x\x00y")
	x.s("550 x")
	x.c("PASV\x00")
	x.s(ok227)
	x.wantNever()
	for _, line := range []string{"MKD q/a\r\x00213 x\r\x00" + evil227, "USER \x00", "PORT 10,1,4,4,\x00180,117"} {
		x = newWire(t).login()
		x.c(line)
		x.s("500 x")
		x.wantHelp()
	}
}

// Clients connect to the server itself, whatever a 227 says.
func TestFinding19AddressesIn227(t *testing.T) {
	for _, addr := range []string{"0,0,0,0", "127,0,0,1", "192,168,1,5", "10,2,5,6", "10,1,4,4", "255,255,255,255"} {
		x := newWire(t).login()
		x.c("PASV")
		x.s("227 Entering Passive Mode (" + addr + ",180,117)")
		x.wantOpen(x.passive(46197))
		if addr == "10,2,5,6" {
			found := false
			for _, e := range x.events {
				found = found || anyOf(e.Reason, "address")
			}
			if !found {
				t.Errorf("nothing is told of a foreign address:\n%s", x.told())
			}
		}
	}
	x := newWire(t).login() // its port counts all the same
	x.c("PASV")
	x.s("227 (192,168,1,5,0,22)")
	x.wantNever()
	x.wantReason(alg.PinholeRefused, "lowest|min_port")
}
