package alg

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// AUTH that is not turned.
func TestDeniedTLSInALongLine(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.DenyTLS = true }).login()
	id := x.c1("AUTH TLS" + strings.Repeat(" ", 5000) + "\r\n")
	if x.verdicts[id].Data == nil {
		t.Error("AUTH went out as it was")
	}
}

func (x *wire) c1(text string) uint32 { return x.say(fromClient, text) }

func TestDeniedTLSManyTimes(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.DenyTLS = true }).login()
	text := strings.Repeat("AUTH TLS\r\n", 65)
	id := x.c1(text)
	if x.verdicts[id].Action == Drop {
		id = x.at(fromClient, -len(text), text) // TCP sends it again
	}
	arrived := text
	if x.verdicts[id].Action == Drop {
		arrived = ""
	}
	if v := x.verdicts[id]; v.Data != nil {
		seg, _ := tcp.Parse(v.Data)
		arrived = string(seg.Payload)
	}
	if strings.Contains(arrived, "AUTH") {
		t.Error("AUTH went out as it was")
	}
}

func TestDeniedTLSBehindALyingACK(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.DenyTLS = true }).login()
	x.packet(x.build(fromServer, x.next[fromServer], x.next[fromClient]+1000, tcp.ACK, "2"))
	id := x.c1("AUTH TLS\r\n")
	if x.verdicts[id].Data == nil {
		t.Errorf("AUTH went out as it was: %+v", x.w.Stats())
	}
}

// A pinhole that could not be closed.
func TestAFailedCloseIsTriedAgain(t *testing.T) {
	x := newWire(t).login()
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.kernel.fail = func(ops []Op) error {
		if ops[0].Kind == OpClose {
			return errKernel
		}
		return nil
	}
	x.s("550 x")
	x.kernel.fail = nil
	x.flags(fromClient, tcp.RST)
	x.wait(time.Second)
	x.wantOpen()
}

// Memory of a quiet session.
func TestAQuietSessionGivesBackItsMemory(t *testing.T) {
	x := newWire(t).login()
	x.c("STAT")
	x.s("211-x\r\n" + strings.Repeat("x", 15000) + "\r\n211 x")
	x.c("NOOP") // acknowledges it
	x.s("200 x")
	x.say(fromClient, "SITE "+strings.Repeat("x", 4000)) // no end
	x.wait(2 * time.Minute)
	s := x.w.sessions[x.flow]
	n := s.dirs[0].Held() + s.dirs[1].Held() + cap(s.dirs[0].line) + cap(s.dirs[1].line)
	if n > 1024 {
		t.Errorf("%d bytes besides the session: streams %d %d, lines %d %d", n, s.dirs[0].Held(), s.dirs[1].Held(), cap(s.dirs[0].line), cap(s.dirs[1].line))
	}
}

// Kernels without @ih divert pure ACKs too.
func TestAPureACKIsNotHeld(t *testing.T) {
	x := newWire(t).login()
	id := x.at(fromClient, 10, "") // a segment before it was lost
	x.wantVerdict(id, Accept)
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
	if x.count(PinholeClosed) != 0 {
		t.Errorf("told while the transfer runs:\n%s", x.told())
	}
	x.s("226 x")
	x.wantReason(PinholeClosed, "complete")
	for _, e := range x.events {
		if e.Kind == PinholeUsed && e.Open > 31*time.Second {
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

// One reply for a transfer and its ABOR.
func TestOneReplyForATransferAndItsABOR(t *testing.T) {
	x := newWire(t).login()
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.kernel.use(x.hole(46197))
	x.s("150 x")
	x.c("ABOR")
	x.s("226 ABOR successful.")
	for range 3 {
		x.c("PASV")
		x.s("227 (10,2,5,5,180,117)")
		x.c("LIST")
		x.s("150 x", "226 x")
	}
	if len(x.kernel.opened) < 2 {
		t.Errorf("passive transfers are not served any more:\n%s", x.told())
	}
}

// Refusals without an event.
func TestEachRefusalIsTold(t *testing.T) {
	x := newWire(t).login()
	x.packet(x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK|tcp.URG, port46197+"\r\n"))
	if x.count(PinholeRefused) == 0 {
		t.Error("urgent: not told")
	}
	x = newWire(t).login()
	x.c(port46197 + strings.Repeat(" ", 5000))
	if x.count(PinholeRefused) == 0 {
		t.Error("long: not told")
	}
}

// An error of Unused.
func TestAnErrorOfUnusedIsTold(t *testing.T) {
	x := newWire(t).login()
	k := &asking{kernel: x.kernel, err: errors.New("no")}
	x.w.Pinholes = k
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	if x.count(Failure) == 0 {
		t.Errorf("not told:\n%s", x.told())
	}
}

// Opened, closed in one batch whose transaction fails.
func TestAFailedOpenThatWasClosedInTheSameBatch(t *testing.T) {
	x := newWire(t).login()
	x.kernel.fail = func([]Op) error { return errKernel }
	x.c(port46197 + "\r\nRETR x\r\n" + port46197 + "\r\nQUIT")
	if x.count(PinholeClosed) > 1 { // the second, never opened, is
		t.Errorf("closed, but it never opened:\n%s", x.told())
	}
}

// Rewriting what is forgotten.
func TestUnacknowledgedBytesCannotBeRewritten(t *testing.T) {
	x := newWire(t).login()
	seq := x.next[fromClient]
	x.c1("NOOP  TLS\r\n")
	for range 6 { // none of it arrives: the time to live is short
		x.c1("SITE " + strings.Repeat("x", 3000) + "\r\n")
	}
	id := x.packet(x.build(fromClient, seq, x.next[fromServer], tcp.ACK, "AUTH  TLS\r\n"))
	x.wantVerdict(id, Drop)

	x = newWire(t).login()
	seq = x.next[fromClient]
	x.c1("NOOP  TLS\r\n")
	x.c1("SITE " + strings.Repeat("x", 200) + "\r\n")
	x.wait(61 * time.Second)
	id = x.packet(x.build(fromClient, seq, x.next[fromServer], tcp.ACK, "AUTH  TLS\r\n"))
	x.wantVerdict(id, Drop)
}

// No ACK flag: no receiver reads it (RFC 9293, 3.10.7.4, fifth).
func TestASegmentWithoutACKIsNotRead(t *testing.T) {
	x := newWire(t).login()
	x.packet(x.build(fromClient, x.next[fromClient], 0, tcp.PSH, port46197+"\r\nRETR x\r\n"))
	x.wantNever()
}

// Picked up without ACK: the numbers of the other side are nobody's.
func TestPickUpNeedsAnACK(t *testing.T) {
	x := newWire(t)
	x.next[fromServer] = 1 << 30
	x.packet(x.build(fromClient, x.next[fromClient], 0, tcp.PSH, "NOOP\r\n"))
	x.next[fromClient] += 6
	x.s("200 x")
	x.c("NOOP")
	x.s("200 x")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

// No room, then room.
func TestAFlowThatHadNoRoomIsNotPickedUpLater(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.MaxSessionsPerClient = 1 })
	y := x.another(5000)
	y.connect()
	x.id = y.id
	x.connect()
	x.c("POST / HTTP/1.1", "Host: x", "")
	y.id = x.id
	x.wait(61 * time.Second) // the other one is gone
	smuggle(x)
	x.wantNever()
}
