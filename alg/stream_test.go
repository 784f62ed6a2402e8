package alg

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

func TestOneByteASegment(t *testing.T) {
	x := newWire(t).connect()
	bytewise := func(d side, text string) {
		for i := range len(text) {
			x.wantVerdict(x.say(d, text[i:i+1]), Accept) // a partial line never waits
		}
	}
	bytewise(fromServer, "220 hello\r\n")
	bytewise(fromClient, "USER u\r\n")
	bytewise(fromServer, "230 in\r\n")
	bytewise(fromClient, port46197+"\r\n")
	bytewise(fromServer, ok200+"\r\n")
	bytewise(fromClient, "RETR x\r\n")
	x.wantOpen(x.hole(46197))
	if len(x.kernel.opened) != 1 {
		t.Errorf("opened %v", x.kernel.opened)
	}
}

func TestRetransmissionsAreNotReadTwice(t *testing.T) {
	x := newWire(t).login()
	line := port46197 + "\r\n"
	x.say(fromClient, line)
	x.s(ok200)
	x.say(fromClient, "RETR x\r\n")
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	// The whole of it, a part of it, and a part of it with something new.
	both := line + "RETR x\r\n"
	x.wantVerdict(x.at(fromClient, -len(both), line), Accept)
	x.wantVerdict(x.at(fromClient, -len(both), both), Accept)
	x.wantVerdict(x.at(fromClient, -len(both)+4, both[4:20]), Accept)
	x.wantOpen()
	x.wantVerdict(x.at(fromClient, -8, "RETR x\r\nNOOP\r\n"), Accept)
	x.next[fromClient] += 6
	x.s("200 x")
	if len(x.kernel.opened) != 1 {
		t.Errorf("opened %v", x.kernel.opened)
	}
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestConflictingBytesAreDropped(t *testing.T) {
	x := newWire(t).login()
	x.c("NOOP")
	x.wantVerdict(x.at(fromClient, -6, "XOOP\r\n"), Drop)
	x.wantVerdict(x.at(fromClient, -3, "x\r\n"+port46197+"\r\n"), Drop)
	x.wantReason(Violation, "differ")
	x.s("200 x")
	x.c("RETR x")
	x.wantNever()
	if x.w.Stats().Conflicts != 2 {
		t.Errorf("%d conflicts, want 2", x.w.Stats().Conflicts)
	}
}

func TestResetAfterAViolation(t *testing.T) {
	for name, violate := range map[string]func(x *wire) uint32{
		"conflict": func(x *wire) uint32 { return x.at(fromClient, -14, "PASS ftpXass\r\n") },
		"foreign":  func(x *wire) uint32 { return x.say(fromClient, "PORT 10,1,4,9,200,1\r\n") },
		"low port": func(x *wire) uint32 { return x.say(fromClient, "PORT 10,1,4,4,0,22\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, func(p *Policy) { p.Reset = true }).login()
			before := x.next
			x.wantVerdict(violate(x), Drop)
			if len(x.injected) != 2 {
				t.Fatalf("%d packets injected, want 2", len(x.injected))
			}
			for i, to := range []side{fromServer, fromClient} {
				seg, err := tcp.Parse(x.injected[i])
				if err != nil || !seg.ChecksumOK() || !seg.Has(tcp.RST) {
					t.Fatalf("injected %x: %v", x.injected[i], err)
				}
				from := to.other()
				if seg.Seq != before[from] {
					t.Errorf("reset at %d, the receiver expects %d", seg.Seq, before[from])
				}
			}
			x.wantVerdict(x.say(fromServer, "226 x\r\n"), Drop)
			x.wantReason(Violation, "")
			x.wantNever()

			x = newWire(t).login() // "ignore" passes what is not a conflict
			want := Accept
			if name == "conflict" {
				want = Drop
			}
			x.wantVerdict(violate(x), want)
			if len(x.injected) != 0 {
				t.Error("a reset although the policy ignores violations")
			}
		})
	}
}

func TestReorderedSegmentsWaitForTheGap(t *testing.T) {
	x := newWire(t).login()
	line := port46197 + "\r\n"
	late := x.at(fromClient, 10, line[10:])
	x.wantHeld(late)
	early := x.at(fromClient, 0, line[:10])
	x.wantVerdict(early, Accept)
	x.wantVerdict(late, Accept)
	x.next[fromClient] += uint32(len(line))
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestWhatWaitsInVainIsDroppedAndMayComeAgain(t *testing.T) {
	x := newWire(t).login()
	line := port46197 + "\r\n"
	late := x.at(fromClient, 10, line[10:])
	x.wait(time.Second + tick)
	x.wantVerdict(late, Drop)
	x.say(fromClient, line) // TCP sends all of it again
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestHeldSegmentsAreBounded(t *testing.T) {
	x := newWire(t).login()
	held := 0
	for i := range 200 {
		id := x.at(fromClient, 10+i*1000, strings.Repeat("x", 1000))
		if _, given := x.verdicts[id]; !given {
			held++
		} else {
			x.wantVerdict(id, Drop)
		}
	}
	if held == 0 || held > maxHeldFlow/minHeld {
		t.Errorf("%d segments held", held)
	}
	if n := x.w.Limits.held.Load(); n > maxHeldFlow {
		t.Errorf("%d bytes held", n)
	}
	x.wait(2 * time.Second)
	if n := x.w.Limits.held.Load(); n != 0 || len(x.verdicts) != int(x.id) {
		t.Errorf("%d bytes still held, %d verdicts for %d packets", n, len(x.verdicts), x.id)
	}
}

func TestHeldSegmentsAreBoundedPerClientAndInAll(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.MaxSessionsPerClient = 10000 }).login()
	big := strings.Repeat("x", 1400)
	for port := range uint16(500) {
		y := x.another(2000 + port)
		y.login()
		for i := range 60 {
			y.at(fromClient, 10+i*1400, big)
		}
		x.id = y.id
	}
	if n := x.w.Limits.held.Load(); n > maxHeldClient {
		t.Errorf("%d bytes held for one client", n)
	}
}

func TestChecksumAndWindow(t *testing.T) {
	x := newWire(t).login()
	p := x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, port46197+"\r\n")
	p[len(p)-3] ^= 1
	x.wantVerdict(x.packet(p), Accept)
	x.wantVerdict(x.at(fromClient, 1<<29, port46197+"\r\n"), Accept)
	x.wantVerdict(x.at(fromClient, -(1<<29), port46197+"\r\n"), Accept)
	x.s(ok200)
	x.c("RETR x")
	x.wantNever()
	if s := x.w.Stats(); s.Checksum != 1 || s.Outside != 2 {
		t.Errorf("%+v", s)
	}
}

func TestKeepAliveWithAByteThatMeansNothing(t *testing.T) {
	x := newWire(t).login()
	id := x.at(fromClient, -1, "\x00")
	x.wantVerdict(id, Accept)
	seg, err := tcp.Parse(x.verdicts[id].Data)
	if err != nil || string(seg.Payload) != "\n" || !seg.ChecksumOK() {
		t.Errorf("went out as %q, %v: the receiver may not have the true byte yet", seg.Payload, err)
	}
	if x.count(Violation) != 0 {
		t.Error("taken for a violation")
	}
}

func TestDataInTheSYN(t *testing.T) {
	x := newWire(t)
	x.packet(x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, "USER u\r\n"))
	x.connect() // acknowledges none of it
	x.s("220 hello")
	x.c("USER u")
	x.s("230 in")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))

	x = newWire(t)
	x.packet(x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, "USER u\r\n"))
	x.next[fromClient] += 8
	x.connect() // acknowledges all of it: the client spoke first
	x.s("220 hello", "230 in")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantNever()
}

func TestRepeatedAndNewHandshakes(t *testing.T) {
	x := newWire(t)
	client, server := x.next[fromClient], x.next[fromServer]
	x.login()
	x.packet(x.build(fromServer, server-1, client, tcp.SYN|tcp.ACK, "")) // sent again
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
	x.next = [2]uint32{5 << 28, 6 << 28} // the same ports, another connection
	x.login()
	x.wantOpen()
	if x.count(SessionStart) != 2 || x.count(SessionEnd) != 1 || x.w.Sessions() != 1 {
		t.Error(x.told())
	}
}

func TestUrgentDataInALineOpensNothing(t *testing.T) {
	x := newWire(t).login()
	line := port46197 + "\r\n"
	seq := x.next[fromClient]
	x.packet(x.build(fromClient, seq, x.next[fromServer], tcp.ACK|tcp.URG, line))
	x.next[fromClient] += uint32(len(line))
	x.s(ok200)
	x.c("RETR x")
	x.wantNever()
	x.s("425 x")
	x.c(port46197) // the next line is as good as any
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestBytesThatWentByUnseen(t *testing.T) {
	// With on_overload = "pass" the kernel lets packets by when the queue is full.
	x := newWire(t).login()
	x.c(port46197)
	x.next[fromClient] += 6 // NOOP, unseen
	x.s(ok200)              // acknowledges it
	x.c("RETR x")
	x.wantNever()
	x.s("425 x")
	x.c("NOOP")
	x.s("200 x")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))

	// Nobody says so: but what came too early comes again, not what was before it.
	x = newWire(t).login()
	x.next[fromServer] += 500
	first := x.say(fromServer, "200-more\r\n")
	x.wantHeld(first)
	x.wait(2 * time.Second)
	x.wantVerdict(first, Drop)
	x.wantHeld(x.at(fromServer, -10, "200-more\r\n")) // once may be a tail loss probe
	x.wait(2 * time.Second)
	x.wantVerdict(x.at(fromServer, -10, "200-more\r\n"), Accept)
	x.wantVerdict(x.say(fromServer, "200 x\r\n"), Accept)
}

func TestLongLines(t *testing.T) {
	for _, size := range []int{5000, 100_000} {
		x := newWire(t).login()
		x.c("SITE " + strings.Repeat("A", maxLine-5)) // longer by the CR
		x.s("200 x")
		rest := append([]byte("SITE "), bytes.Repeat([]byte{'A'}, size)...)
		for ; len(rest) > 0; rest = rest[min(1000, len(rest)):] {
			x.wantVerdict(x.say(fromClient, string(rest[:min(1000, len(rest))])), Accept)
			if n := cap(x.w.sessions[x.flow].dirs[fromClient].line); n > 2*maxLine {
				t.Fatalf("%d bytes kept of a line", n)
			}
		}
		x.c("") // its end
		x.s("500 x")
		x.c(port46197)
		x.s(ok200)
		x.c("RETR x")
		x.wantOpen(x.hole(46197))
	}
	// PORT in a line that is too long is no announcement.
	x := newWire(t).login()
	x.c(port46197 + strings.Repeat(" ", 5000))
	x.s(ok200)
	x.c("RETR x")
	x.wantNever()
}

func TestBareLineFeedsAndOddBytes(t *testing.T) {
	x := newWire(t).login()
	x.say(fromClient, port46197+"\n")
	x.say(fromServer, "200 ok\n")
	x.say(fromClient, "RETR x\n")
	x.wantOpen(x.hole(46197))
	for _, odd := range []string{"PORT 10,1,4,4,180,117\x00\r\n", "PORT 10,1,4,4\r,180,117\r\n", "SITE x\rPORT 10,1,4,4,180,117\r\n"} {
		x = newWire(t).login()
		x.say(fromClient, odd)
		x.s(ok200)
		x.c("RETR x")
		x.wantNever()
	}
}
