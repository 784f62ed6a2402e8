package alg

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// smuggle is what a page makes a browser send, after lines that are not FTP.
func smuggle(x *wire) {
	x.c("USER u")
	x.s("230 in")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
}

// A lying ACK takes the place of the greeting and hides the client's first bytes.
func TestLyingACKBeforeTheGreeting(t *testing.T) {
	x := newWire(t).connect()
	head := "POST / HTTP/1.1\r\nHost: x\r\n\r\n"
	// The server acknowledges what the client has not sent: the client's kernel drops it.
	hello := "220 hello\r\n"
	x.packet(x.build(fromServer, x.next[fromServer], x.next[fromClient]+uint32(len(head)), tcp.ACK, hello))
	x.say(fromServer, hello) // and once more, for the client to go on
	x.say(fromClient, head+"NOOP\r\n")
	x.s("200 x")
	smuggle(x)
	x.wantNever()
}

// A RST that no receiver accepts ends what is flagged for good.
func TestFlaggedForGoodSurvivesAForgedRST(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	x.c("POST / HTTP/1.1")
	x.packet(x.build(fromServer, x.next[fromServer]+500_000, 0, tcp.RST, ""))
	x.wait(61 * time.Second)
	smuggle(x)
	x.wantNever()
}

func TestCondemnedSurvivesAForgedRST(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.Reset = true }).login()
	x.say(fromClient, "PORT 10,1,4,9,200,1\r\n")
	x.next[fromClient] -= uint32(len("PORT 10,1,4,9,200,1\r\n"))
	x.packet(x.build(fromServer, x.next[fromServer]+500_000, 0, tcp.RST, ""))
	x.wantVerdict(x.say(fromClient, "NOOP\r\n"), Drop)
}

// Blind RST, helps end.
func TestARSTOutOfPlaceDoesNotEndTheHelp(t *testing.T) {
	x := newWire(t).login()
	x.packet(x.build(fromServer, x.next[fromServer]+900_000, 0, tcp.RST, ""))
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

// A SYN/ACK in the middle.
func TestFlaggedForGoodSurvivesASYNACK(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	x.c("POST / HTTP/1.1")
	x.connect() // the same numbers as now: the client's kernel answers with a challenge
	x.s("220 hello")
	smuggle(x)
	x.wantNever()
}

// The first SYN/ACK has a short time to live and acknowledges what was not sent.
func TestTwoDifferentSYNACKs(t *testing.T) {
	x := newWire(t)
	head := "POST / HTTP/1.1\r\nHost: x\r\n\r\n"
	x.packet(x.build(fromServer, x.next[fromServer]-1, x.next[fromClient]+uint32(len(head)), tcp.SYN|tcp.ACK, ""))
	x.connect() // the true one
	x.s("220 hello")
	x.say(fromClient, head+"NOOP\r\n")
	x.s("200 x")
	smuggle(x)
	x.wantNever()
}

func TestAForgedSYNACKDoesNotEndTheHelp(t *testing.T) {
	x := newWire(t).login()
	x.packet(x.build(fromServer, 0x12345678, 0x87654321, tcp.SYN|tcp.ACK, "")) // anybody's: no number need be known
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

// A long line that is not a command.
func TestALongForeignLineIsNotFTP(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	x.c("\x16\x03\x01\x40\x00\x01" + strings.Repeat("t", 5000)) // a ClientHello with a ticket
	x.s("500 x")
	smuggle(x)
	x.wantNever()
	if x.count(NotFTP) != 1 {
		t.Error("not flagged")
	}
}

// A lying ACK of the client moves the ALG into a multi-line reply.
func TestLyingACKIntoAMultiLineReply(t *testing.T) {
	x := newWire(t).login()
	x.c("STAT upload")
	part1 := "213-Status follows:\r\n total 1\r\n"
	// The server drops this: it acknowledges what was not sent. PASV is sent for real later.
	x.packet(x.build(fromClient, x.next[fromClient], x.next[fromServer]+uint32(len(part1)-3), tcp.ACK, "PASV\r\n"))
	x.s(part1 + "227 x (10,2,5,5,200,1)\r\n213 End")
	x.wantNever()
}

// Fast open, of which the server takes a part.
func TestPartlyAcceptedSYNData(t *testing.T) {
	x := newWire(t)
	head := "POST / HTTP/1.1\r\n"
	x.packet(x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, head+"NOOP\r\n"))
	x.next[fromClient] += uint32(len(head))
	x.connect()
	x.s("220 hello")
	smuggle(x)
	x.wantNever()
}

// A connection from port 21 to a service inside: the roles are the other way round.
func TestAConnectionFromPort21IsNotItsServer(t *testing.T) {
	x := newWire(t)
	x.packet(x.build(fromServer, x.next[fromServer]-1, 0, tcp.SYN, ""))
	x.packet(x.build(fromClient, x.next[fromClient]-1, x.next[fromServer], tcp.SYN|tcp.ACK, ""))
	x.s("NOOP") // an echo service, or any that repeats a line
	x.c("NOOP")
	x.s("200 x")
	x.c(port46197)
	x.s("200 x")
	x.c("RETR x")
	x.wantNever()
}

// The segment that is picked up opens a pinhole by itself.
func TestOpenOnPortOfAPickedUpSession(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.OpenOnPort = true })
	x.c(port46197)
	x.wantNever()
}

// Sessions after AUTH, and those that are not FTP, never end.
func TestUnreadSessionsEndWithTheirConnection(t *testing.T) {
	for name, flag := range map[string]func(x *wire){
		"TLS":  func(x *wire) { x.c("AUTH TLS"); x.s("234 x") },
		"HTTP": func(x *wire) { x.c("POST / HTTP/1.1") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, func(p *Policy) { p.MaxSessionsPerClient = 3 })
			for port := range uint16(3) {
				y := x.another(5000 + port)
				y.events = nil
				y.connect()
				y.s("220 x")
				flag(y)
				y.flags(fromClient, tcp.FIN|tcp.ACK)
				y.flags(fromServer, tcp.FIN|tcp.ACK)
				x.id = y.id
			}
			x.wait(2 * time.Minute)
			if n := x.w.Sessions(); n != 0 {
				t.Errorf("%d sessions 2 minutes after their ends", n)
			}
			x.login()
			x.c(port46197)
			x.s(ok200)
			x.c("RETR x")
			x.wantOpen(x.hole(46197))
		})
	}
}

// Released: the FIN is not even diverted.
func TestReleasedSessionsDoNotFillTheLimit(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.MaxSessionsPerClient = 3 })
	for port := range uint16(3) {
		y := x.another(5000 + port)
		y.connect()
		y.s("220 x")
		y.c("AUTH TLS")
		y.s("234 x")
		x.id = y.id
	}
	x.wait(2 * time.Hour)
	x.login()
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

// One segment out of nowhere makes a session for a day.
func TestUnprovenPickUpGoesQuickly(t *testing.T) {
	x := newWire(t)
	x.c("NOOP")
	x.wait(time.Minute + tick)
	if x.w.Sessions() != 0 {
		t.Error("a session that nothing was proven of is still there")
	}
}

// Half-open connections of many clients keep everybody out.
func TestHalfOpenSessionsDoNotKeepOthersOut(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.MaxSessions = 50 })
	for i := range 50 {
		z := newWireBetween(t, netip.AddrFrom4([4]byte{10, 1, 9, byte(i)}).String(), serverAddr)
		z.w, z.id, z.verdicts = x.w, x.id, x.verdicts
		z.connect()
		x.id = z.id
	}
	x.login()
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

// Each 150 is a question to the kernel.
type asking struct {
	*kernel
	asked int
	err   error
}

func (a *asking) Unused(p Pinhole) (bool, error) {
	a.asked++
	if a.err != nil {
		return false, a.err
	}
	return a.kernel.Unused(p)
}

func TestManyPreliminaryRepliesInOnePacket(t *testing.T) {
	x := newWire(t).login()
	k := &asking{kernel: x.kernel}
	x.w.Pinholes = k
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.say(fromServer, strings.Repeat("150\n", 15000))
	if k.asked > 2 {
		t.Errorf("the packet filter was asked %d times for one packet", k.asked)
	}
}

// Events per line.
func TestEventsOfOnePacketAreBounded(t *testing.T) {
	x := newWire(t).login()
	before := len(x.events)
	x.say(fromServer, strings.Repeat("227\n", 15000))
	if n := len(x.events) - before; n > 100 {
		t.Errorf("%d events for one packet", n)
	}
}

func TestEventsOfConflictsAreBounded(t *testing.T) {
	x := newWire(t).login()
	x.c("NOOP")
	for range 10000 {
		x.at(fromClient, -6, "XOOP\r\n")
	}
	if n := x.count(Violation); n > 100 {
		t.Errorf("%d events", n)
	}
}
