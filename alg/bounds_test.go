package alg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// unanswered is the number of packets without a verdict.
func (g *gateway) unanswered() int { return int(g.id) - len(g.verdicts) }

func TestHeldSegmentsAreBounded(t *testing.T) {
	x := newWire(t).login()
	for i := range 200 {
		x.at(fromClient, 10+i*1000, strings.Repeat("x", 1000))
	}
	if held := x.unanswered(); held == 0 || held > 64 {
		t.Errorf("%d segments of 1 kB held, want some, and 64 kB at most", held)
	}
	x.wait(2 * time.Second)
	if held := x.unanswered(); held != 0 {
		t.Errorf("%d of %d packets without a verdict", held, x.id)
	}
}

func TestHeldSegmentsAreBoundedPerClientAndInAll(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.MaxSessionsPerClient = 10000 }).login()
	big := strings.Repeat("x", 1400)
	for port := range uint16(100) {
		y := x.another(2000 + port).login()
		for i := range 60 {
			y.at(fromClient, 10+i*1400, big)
		}
	}
	if held := x.unanswered() * len(big); held == 0 || held > 1<<20 {
		t.Errorf("%d bytes held for one client", held)
	}
}

func TestTinyHeldSegmentsAreBounded(t *testing.T) {
	x := newWire(t).login()
	for i := range 2000 {
		x.at(fromClient, 10+2*i, "x")
	}
	if held := x.unanswered(); held > 64 {
		t.Errorf("%d places in the kernel's queue taken by one flow", held)
	}
}

func TestManyPortsOfOneSession(t *testing.T) {
	x := newWire(t).login()
	for range 1000 {
		x.port()
	}
	x.wantHelp()

	x = newWire(t).login()
	before := len(x.events)
	for range 1000 { // and no reply
		x.wantPass(x.say(fromClient, port46197+"\r\n"))
	}
	x.wantNever()
	if n := len(x.events) - before; n > 400 {
		t.Errorf("%d events", n)
	}
}

func TestManyRefusalsAreToldNoMoreButTheSessionIsHelped(t *testing.T) {
	x := newWire(t).login()
	for range 1000 {
		x.c("PORT 10,1,4,9,200,1")
		x.s("500 x")
	}
	if told := x.count(alg.PinholeRefused); told == 0 || told > 100 {
		t.Errorf("%d refusals told", told)
	}
	x.wantHelp()
}

func TestManyPreliminaryRepliesInOnePacket(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	before := x.kernel.asked
	x.say(fromServer, strings.Repeat("150\r\n", 12000))
	if n := x.kernel.asked - before; n > 2 {
		t.Errorf("the packet filter was asked %d times for one packet", n)
	}
}

func TestEventsOfOnePacketAreBounded(t *testing.T) {
	for _, text := range []string{"227\r\n", "229\r\n", "220\r\n", "noise\r\n", "234 x\r\n"} {
		x := newWire(t).login()
		before := len(x.events)
		x.say(fromServer, strings.Repeat(text, 60000/len(text)))
		if n := len(x.events) - before; n > 100 {
			t.Errorf("%q: %d events for one packet", text, n)
		}
	}
	for _, text := range []string{port46197 + "\r\n", "PORT 10,1,4,9,200,1\r\n", "AUTH TLS\r\n", "LPRT x\r\n", "\r\n"} {
		x := newWire(t, denyTLS).login()
		before := len(x.events)
		x.say(fromClient, strings.Repeat(text, 60000/len(text)))
		if n := len(x.events) - before; n > 300 {
			t.Errorf("%q: %d events for one packet", text, n)
		}
	}
}

func TestEventsOfConflictsAreBounded(t *testing.T) {
	x := newWire(t).login()
	x.c("NOOP")
	for range 10000 {
		x.at(fromClient, -6, "XOOP\r\n")
	}
	if n := x.count(alg.Violation); n == 0 || n > 100 {
		t.Errorf("%d events", n)
	}
}

func TestEventsOfPacketsFromElsewhereAreBounded(t *testing.T) {
	x := newWire(t).login()
	for range 10000 {
		x.by(serverSide, serverSide, x.build(fromClient, x.next[fromClient], x.next[fromServer], 0x18, "NOOP\r\n"))
	}
	x.wantCount(alg.Violation, 1)
}
