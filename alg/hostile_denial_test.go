package alg_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// With auth_tls = "deny" sessions that are not FTP stay for five days, count for no
// client and make no room.
func TestDeniedSessionsFillTheTable(t *testing.T) {
	x := newWire(t, denyTLS, func(p *alg.Policy) { p.MaxSessions = 20; p.MaxSessionsPerClient = 2 })
	for i := range 20 {
		y := x.another(uint16(50000 + i)).connect()
		y.say(fromClient, "X\r\n") // and nothing more
	}
	x.wait(time.Minute)
	x.now = x.now.Add(24 * time.Hour)
	x.take(x.w.Tick(x.now))
	z := x.from("10.1.9.9", 40000).login()
	if n := len(x.injected); n > 0 {
		t.Errorf("another client's login: %d resets; %d sessions", n, x.w.Sessions())
	}
	z.c("PORT 10,1,9,9,180,117")
	z.s(ok200)
	z.retr()
	z.wantOpen(z.hole(46197))
}

// More sessions than max_sessions_per_client, the same way.
func TestMoreThanPerClient(t *testing.T) {
	x := newWire(t, denyTLS, func(p *alg.Policy) { p.MaxSessions = 20; p.MaxSessionsPerClient = 2 })
	for i := range 20 {
		y := x.another(uint16(50000 + i)).connect()
		y.s("220 x")
	}
	x.now = x.now.Add(24 * time.Hour)
	x.take(x.w.Tick(x.now))
	if n := x.w.Sessions(); n > 2 {
		t.Errorf("%d sessions of one client a day later, of 2", n)
	}
}

// One client and its accomplice use the memory of all: then no segment of another that
// is longer than 1,024 bytes passes, ever.
func TestMemoryOfOneStallsAnother(t *testing.T) {
	x := newWire(t)
	x.lean = true
	chunk := strings.Repeat("NOOP "+strings.Repeat("a", 1000)+"\r\n", 32)[:32000]
	chunk = chunk[:len(chunk)-2] + "\r\n"
	n := 0
	for i := range 1000 {
		y := x.another(uint16(20000 + i)).connect()
		y.s("220 x")
		y.say(fromClient, chunk)
		y.say(fromClient, chunk)
		for range 2 { // and the accomplice answers without end; its client acknowledges nothing
			seq := y.next[fromServer]
			y.next[fromServer] += 32000
			y.packet(fromServer, y.build(fromServer, seq, y.next[fromClient]-64000, tcp.ACK, "214-"+strings.Repeat("a", 31996)))
		}
		n++
	}
	x.lean = false
	x.wait(2 * time.Minute)
	z := x.from("10.1.9.9", 40000).login()
	z.c("FEAT")
	reply := "211-Features:\r\n" + strings.Repeat(" XXXXXXXXX\r\n", 100) + "211 End\r\n" // 1,224 bytes
	seq := z.next[fromServer]
	passed := false
	for range 20 { // the server sends it again, for minutes
		id := z.packet(fromServer, z.build(fromServer, seq, z.next[fromClient], tcp.ACK, reply))
		passed = passed || !x.verdicts[id].Drop
		x.wait(5 * time.Second)
	}
	t.Logf("passed %v", passed)
	if !passed {
		t.Errorf("a reply of %d bytes never passes while %d sessions of one other client wait", len(reply), n)
	}
}

// A condemned session on a single host answers its own resets.
func TestResetsOfAHostToItself(t *testing.T) {
	for name, ways := range map[string][2]uint32{"server on this host": {3, 0}, "both on this host": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, func(p *alg.Policy) { p.Reset = true })
			near, far := ways[0], ways[1]
			x.in, x.out = [2]uint32{near, far}, [2]uint32{far, near}
			x.login()
			x.c("PORT 10,9,9,9,200,1")
			total, pending := 0, x.injected
			for round := 0; len(pending) > 0 && total < 5000; round++ {
				x.injected = nil
				for _, p := range pending {
					// the output hook diverts it: cmd (fin|rst) queue
					seg, _ := tcp.Parse(p)
					out := near
					if near == 3 && seg.Dst == x.flow.Server {
						out = 1 // to itself
					}
					x.by(0, out, p)
					total++
				}
				pending = x.injected
			}
			if total > 10 {
				t.Errorf("%d resets were injected because of one line", total)
			}
		})
	}
}

// A client that announces again and again while the packet filter refuses: what is
// tried again, and told, has no bound.
func TestFailingCommits(t *testing.T) {
	x := newWire(t).login()
	x.kernel.fail = func([]alg.Op) error { return errKernel }
	for range 1000 {
		x.c(port46197, "RETR x")
		x.s(ok200, "425 x")
	}
	if n := x.count(alg.Failure); n > 100 {
		t.Errorf("%d failures told of one session", n)
	}
	calls := 0
	x.kernel.fail = func([]alg.Op) error { calls++; return errKernel }
	x.c(port46197, "RETR x") // open, wants
	calls = 0
	x.wait(tick)
	if calls > 100 {
		t.Errorf("%d transactions in one tick", calls)
	}
}

// A SYN with data is an event each.
func TestAnEventForEverySYN(t *testing.T) {
	x := newWire(t)
	for i := range 5000 {
		y := x.another(uint16(10000 + i))
		y.packet(fromClient, y.build(fromClient, 1, 0, tcp.SYN, "x"))
	}
	if n := len(x.events); n > 1000 {
		t.Errorf("%d events by %d packets of one client", n, 5000)
	}
}

// Deny: a client that sends its last line again after its FIN is reset.
func TestLastLineAgainAfterFIN(t *testing.T) {
	x := newWire(t, denyTLS).login()
	x.c("QUIT")
	x.flags(fromClient, tcp.FIN|tcp.ACK)
	x.at(fromClient, -7, "QUIT\r\n") // lost behind the gateway, sent again
	if n := len(x.injected); n > 0 {
		t.Errorf("%d resets", n)
	}
}

// A half-closed connection loses its transfer.
func TestHalfClosed(t *testing.T) {
	x := newWire(t).login()
	x.c(port46197, "RETR x", "QUIT")
	if len(x.kernel.holes()) == 0 {
		t.Errorf("RETR and QUIT in a row: the transfer is not served")
	}
}

// What waits before the greeting counts for no client, and is given back by it.
func TestHeldBeforeTheGreeting(t *testing.T) {
	x := newWire(t)
	for i := range 64 { // one client, 64 connections without a greeting
		y := x.another(uint16(10000 + i)).connect()
		for j := range 64 {
			y.at(fromClient, 1+j, "x")
		}
	}
	z := x.from("10.1.9.9", 40000).login()
	id := z.at(fromClient, 6, "NOOP\r\n")
	if v, ok := x.verdicts[id]; ok && v.Drop {
		t.Errorf("another client's segment that came too early is dropped: %s", fmt.Sprint(x.w.Stats()))
	}
}

// Without require_login a session whose numbers are not certain stays for five days,
// whatever ends it.
func TestBrokenSessionStays(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.RequireLogin = false }).connect()
	x.s("220 x")
	x.packet(fromClient, x.build(fromClient, x.next[fromClient], x.next[fromServer]+9, tcp.ACK, "USER u\r\n"))
	x.next[fromClient] += 8
	x.flags(fromClient, tcp.FIN|tcp.ACK)
	x.flags(fromServer, tcp.FIN|tcp.ACK)
	x.now = x.now.Add(24 * time.Hour)
	x.take(x.w.Tick(x.now))
	if n := x.w.Sessions(); n > 0 {
		t.Errorf("%d sessions a day after the end", n)
	}
}

// What is lost behind the gateway is sent again after both ends have finished, too. That is
// no connection that nobody has read.
func TestARepetitionAfterTheEndWhereTLSIsDenied(t *testing.T) {
	x := newWire(t, denyTLS, func(p *alg.Policy) { p.MaxSessionsPerClient = 1 }).login()
	x.c("QUIT")
	x.s("221 bye")
	for _, d := range []side{fromServer, fromClient} {
		x.flags(d, tcp.FIN|tcp.ACK)
	}
	if got := x.payload(x.at(fromClient, -7, "QUIT\r\n"), "QUIT\r\n"); got != "QUIT\r\n" || len(x.injected) > 0 {
		t.Errorf("it goes out as %q, with %d resets", got, len(x.injected))
	}
	x.wantCount(alg.SessionEnd, 1)
	x.another(4000).login().wantHelp() // the one that a client may have
	x.wait(2 * time.Minute)
	x.wantCount(alg.SessionEnd, 1)
	if n := x.sessions(); n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}
