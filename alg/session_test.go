package alg_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

func TestNotFTPOpensNothing(t *testing.T) {
	for name, start := range map[string]func(x *wire){
		"slipstream without a greeting": func(x *wire) { x.c("POST / HTTP/1.1") },
		"HTTP after a greeting":         func(x *wire) { x.s("220 hello"); x.c("POST / HTTP/1.1") },
		"a header line":                 func(x *wire) { x.s("220 hello"); x.c("USER u", "Host: x") },
		"a word that is no command":     func(x *wire) { x.s("220 hello"); x.c("USER u", "XYZZY x") },
		"a line of another protocol":    func(x *wire) { x.s("220 hello"); x.c("EHLO x") },
		"a path":                        func(x *wire) { x.s("220 hello"); x.c("/ HTTP/1.1") },
		"spaces before the verb":        func(x *wire) { x.s("220 hello"); x.c("  --boundary") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).connect()
			start(x)
			x.s("220 hello")
			x.c("USER u")
			x.s("230 in")
			x.port()
			x.wantPass(x.say(fromClient, "RETR x\r\n"))
			x.wantNever()
			x.wantCount(alg.NotFTP, 1)
			x.now = x.now.Add(25 * time.Hour)
			x.wait(tick)
			x.wantNoHelp()
		})
	}
}

func TestGreetings(t *testing.T) {
	for _, hello := range []string{
		"220 hello", "220-hello\r\n 530 x\r\n220 done", "120 in a minute\r\n220 now", "220",
		"220-hello\r\n230 in\r\n221 bye\r\n220 done",
	} {
		x := newWire(t).connect()
		x.s(hello)
		x.c("USER u")
		x.s("230 in")
		x.wantHelp()
	}
}

func TestASessionBeginsAtItsGreeting(t *testing.T) {
	x := newWire(t).connect()
	x.wantCount(alg.SessionStart, 0)
	x.s("220 hello")
	x.c("USER u")
	x.wantCount(alg.SessionStart, 1)
	x.flags(fromClient, tcp.RST)
	x.wantCount(alg.SessionEnd, 1)
}

func TestAFlowWithoutItsSYNIsNotHelped(t *testing.T) {
	for name, begin := range map[string]func(x *wire){
		"a command":           func(x *wire) { x.c("TYPE I"); x.s("200 x") },
		"a greeting":          func(x *wire) { x.s("220 hello"); x.c("USER u"); x.s("230 in") },
		"a SYN/ACK":           func(x *wire) { x.synack(); x.s("220 hello"); x.c("USER u"); x.s("230 in") },
		"a SYN/ACK sent late": func(x *wire) { x.c("TYPE I"); x.synack(); x.s("220 hello"); x.c("USER u"); x.s("230 in") },
		"the ACK of a SYN/ACK": func(x *wire) {
			x.synack()
			x.flags(fromClient, tcp.ACK)
			x.s("220 hello")
			x.c("USER u")
			x.s("230 in")
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, func(p *alg.Policy) { p.RequireLogin = false })
			begin(x)
			x.wantNoHelp()
			for id, v := range x.verdicts {
				if v.Drop || v.Data != nil {
					t.Errorf("packet %d did not pass as it was", id)
				}
			}
			x.login() // a SYN begins one
			x.wantHelp()
		})
	}
}

func TestOpenOnPortOfAFlowWithoutItsSYN(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.OpenOnPort = true; p.RequireLogin = false })
	x.port()
	x.wantNever()
}

func TestANewSYNEndsTheOldSession(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	x.wantOpen(x.hole(46197))
	x.next = [2]uint32{5 << 28, 6 << 28} // the same ports, another connection
	x.syn()
	x.wantOpen()
	x.wantCount(alg.SessionEnd, 1)
	x.synack()
	x.s("220 hello")
	x.wantNoHelp() // nobody is logged in here
	x.c("USER u")
	x.s("230 in")
	x.wantHelp()
	x.wantCount(alg.SessionStart, 2)
	if n := x.sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestASYNACKSentAgainChangesNothing(t *testing.T) {
	x := newWire(t)
	client, server := x.next[fromClient], x.next[fromServer]
	again := func() {
		x.packet(fromServer, x.build(fromServer, server-1, client, tcp.SYN|tcp.ACK, ""))
	}
	x.connect()
	again()
	x.s("220 hello")
	x.c("USER u")
	again()
	x.s("230 in")
	again()
	x.wantHelp()
	x.wantCount(alg.NotFTP, 0)
}

func TestTheSYNSentAgainChangesNothing(t *testing.T) {
	x := newWire(t)
	x.syn()
	x.wait(time.Second)
	x.login()
	x.wantHelp()
	x.wantCount(alg.NotFTP, 0)
}

func TestSessionsAreBoundedPerClientAndInAll(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.MaxSessionsPerClient = 10; p.MaxSessions = 15 })
	for i := range uint16(100) {
		x.another(5000 + i).login()
	}
	if n := x.sessions(); n != 10 {
		t.Errorf("%d sessions of one client", n)
	}
	for i := range 100 {
		z := x.from(fmt.Sprintf("10.1.9.%d", i), 41138).login()
		if i == 0 {
			z.c("PORT 10,1,9,0,180,117")
			z.s(ok200)
			z.retr()
			z.wantOpen(z.hole(46197))
		}
	}
	if n := x.sessions(); n != 15 {
		t.Errorf("%d sessions in all", n)
	}
}

func TestAnIPv6ClientIsA64(t *testing.T) {
	x := newWireBetween(t, "fd00:1::4", "fd00:2::5", func(p *alg.Policy) { p.MaxSessionsPerClient = 10 })
	for i := range 100 {
		x.from(fmt.Sprintf("fd00:1::%x:%x", i+1, i), 5000).login()
	}
	if n := x.sessions(); n != 10 {
		t.Errorf("%d sessions of one /64", n)
	}
	x.from("fd00:1:0:1::1", 5000).login()
	if n := x.sessions(); n != 11 {
		t.Errorf("%d sessions of two /64", n)
	}
}

func TestHalfOpenSessionsGoQuickly(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.MaxSessions = 1 })
	for range 2 {
		x.connect()
		x.wait(time.Minute + tick)
		if n := x.sessions(); n != 0 || len(x.events) != 0 {
			t.Errorf("%d sessions, told %s", n, x.told())
		}
	}
	x.login()
	x.flags(fromClient, tcp.FIN|tcp.ACK)
	x.s("221 bye")
	x.flags(fromServer, tcp.FIN|tcp.ACK)
	x.wait(time.Minute + tick)
	if n := x.sessions(); n != 0 {
		t.Errorf("%d sessions after the end", n)
	}
	y := x.another(5000).login()
	y.wantHelp()
}

func TestHalfOpenSessionsDoNotKeepOthersOut(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.MaxSessions = 50 })
	for i := range 50 {
		x.from(fmt.Sprintf("10.1.9.%d", i), 41138).connect()
	}
	x.login()
	x.wantHelp()
}

// Sessions after AUTH, and those that are not FTP, end as others do.
func TestUnreadSessionsEndWithTheirConnection(t *testing.T) {
	for name, flag := range map[string]func(x *wire){
		"TLS":  func(x *wire) { x.c("AUTH TLS"); x.s("234 x") },
		"HTTP": func(x *wire) { x.c("POST / HTTP/1.1") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, func(p *alg.Policy) { p.MaxSessionsPerClient = 3 })
			for port := range uint16(3) {
				y := x.another(5000 + port).connect()
				y.s("220 x")
				flag(y)
				y.flags(fromClient, tcp.FIN|tcp.ACK)
				y.flags(fromServer, tcp.FIN|tcp.ACK)
			}
			x.wait(2 * time.Minute)
			if n := x.sessions(); n != 0 {
				t.Errorf("%d sessions 2 minutes after their ends", n)
			}
			x.login()
			x.wantHelp()
		})
	}
}

// Released: the FIN is not even diverted.
func TestReleasedSessionsDoNotFillTheLimit(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.MaxSessionsPerClient = 3 })
	for port := range uint16(3) {
		y := x.another(5000 + port).connect()
		y.s("220 x")
		y.c("AUTH TLS")
		y.s("234 x")
	}
	x.wait(2 * time.Hour)
	x.login()
	x.wantHelp()
}
