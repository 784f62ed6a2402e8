package alg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// Kernels without @ih divert pure ACKs too.
func TestAPureACKIsNotHeld(t *testing.T) {
	x := newWire(t).login()
	id := x.at(fromClient, 10, "") // a segment before it was lost
	x.wantPass(id)
}

// A server that says 150 before it connects, and a long transfer.
func TestAUsedPinholeDoesNotTimeOut(t *testing.T) {
	x := newWire(t).login()
	x.c(port46197)
	x.s(ok200)
	x.c("RETR big")
	x.s("150 Opening data connection.")
	x.kernel.use(x.hole(46197))
	x.wait(10 * time.Minute)
	if x.count(alg.PinholeClosed) != 0 {
		t.Errorf("told while the transfer runs:\n%s", x.told())
	}
	x.s("226 x")
	x.wantReason(alg.PinholeClosed, "complete")
	for _, e := range x.events {
		if e.Kind == alg.PinholeUsed && e.Open > 31*time.Second {
			t.Errorf("open for %v", e.Open)
		}
	}
}

// Sent ahead of the answer to USER or REIN.
func TestNothingOpensWhileALoginIsDue(t *testing.T) {
	for _, change := range []string{"REIN", "USER other"} {
		x := newWire(t).login()
		x.c(change + "\r\n" + port46197 + "\r\nRETR x")
		x.wantNever()
	}
}

// What TCP sends again first is the last segment (a tail loss probe).
func TestATailLossProbeIsNoProofOfLoss(t *testing.T) {
	x := newWire(t).login()
	line := port46197 + "\r\n"
	x.at(fromClient, len(line), "NOOP\r\n") // PORT was lost before us
	x.wait(time.Second + tick)
	x.at(fromClient, len(line), "NOOP\r\n") // the probe: RTT 600 ms
	x.say(fromClient, line)                 // the retransmission time-out
	x.next[fromClient] += 6
	x.s(ok200, "200 x")
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestHeldSegmentsWaitTheirOwnTime(t *testing.T) {
	x := newWire(t).login()
	x.at(fromClient, 3, "P\r\n") // NOO is missing
	x.wait(900 * time.Millisecond)
	late := x.at(fromClient, 12, "NOOP\r\n")
	x.say(fromClient, "NOO") // fills the first gap
	x.wait(300 * time.Millisecond)
	x.wantHeld(late)
}

// Refusals without an event.
func TestEachRefusalIsTold(t *testing.T) {
	x := newWire(t).login()
	x.packet(fromClient, x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK|tcp.URG, port46197+"\r\n"))
	if x.count(alg.PinholeRefused) == 0 {
		t.Error("urgent: not told")
	}
	x = newWire(t).login()
	x.c(port46197 + strings.Repeat(" ", 5000))
	if x.count(alg.PinholeRefused) == 0 {
		t.Error("long: not told")
	}
}

// Opened, closed in one batch whose transaction fails.
func TestAFailedOpenThatWasClosedInTheSameBatch(t *testing.T) {
	x := newWire(t).login()
	x.kernel.fail = func([]alg.Op) error { return errKernel }
	x.c(port46197 + "\r\nRETR x\r\n" + port46197 + "\r\nQUIT")
	if x.count(alg.PinholeClosed) > 1 { // the second, never opened, is
		t.Errorf("closed, but it never opened:\n%s", x.told())
	}
}

// No ACK flag: no receiver reads it (RFC 9293, 3.10.7.4, fifth).
func TestASegmentWithoutACKIsNotRead(t *testing.T) {
	x := newWire(t).login()
	x.packet(fromClient, x.build(fromClient, x.next[fromClient], 0, tcp.PSH, port46197+"\r\nRETR x\r\n"))
	x.wantNever()
}

// An error of Unused.
func TestAnErrorOfUnusedIsTold(t *testing.T) {
	x := newWire(t).login()
	x.kernel.err = errKernel
	x.port()
	x.retr()
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	if x.count(alg.Failure) == 0 {
		t.Errorf("not told:\n%s", x.told())
	}
}

// No room, then room.
func TestAFlowThatHadNoRoomIsNotHelpedLater(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.MaxSessionsPerClient = 1 })
	y := x.another(5000)
	y.login()
	x.connect()
	x.c("POST / HTTP/1.1", "Host: x", "")
	y.flags(fromClient, tcp.RST)
	x.wait(61 * time.Second)
	smuggle(x)
	x.wantNever()
}
