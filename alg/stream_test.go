package alg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

func TestOneByteASegment(t *testing.T) {
	x := newWire(t).connect()
	bytewise := func(d side, text string) {
		for i := range len(text) {
			x.wantPass(x.say(d, text[i:i+1])) // a partial line never waits
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
	x.wantPass(x.at(fromClient, -len(both), line))
	x.wantPass(x.at(fromClient, -len(both), both))
	x.wantPass(x.at(fromClient, -len(both)+4, both[4:20]))
	x.wantOpen()
	x.wantPass(x.at(fromClient, -8, "RETR x\r\nNOOP\r\n"))
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
	x.wantDrop(x.at(fromClient, -6, "XOOP\r\n"))
	x.wantDrop(x.at(fromClient, -3, "x\r\n"+port46197+"\r\n"))
	x.wantReason(alg.Violation, "differ")
	x.s("200 x")
	x.c("RETR x")
	x.wantNever()
	if x.w.Stats().Conflicts != 2 {
		t.Errorf("%d conflicts, want 2", x.w.Stats().Conflicts)
	}
}

func TestReorderedSegmentsWaitForTheGap(t *testing.T) {
	x := newWire(t).login()
	line := port46197 + "\r\n"
	late := x.at(fromClient, 10, line[10:])
	x.wantHeld(late)
	early := x.at(fromClient, 0, line[:10])
	x.wantPass(early)
	x.wantPass(late)
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
	x.wantDrop(late)
	x.say(fromClient, line) // TCP sends all of it again
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestKeepAliveWithAByteThatMeansNothing(t *testing.T) {
	x := newWire(t).login()
	id := x.at(fromClient, -1, "\x00")
	x.wantPass(id)
	seg, err := tcp.Parse(x.verdicts[id].Data)
	if err != nil || string(seg.Payload) != "\n" || !seg.ChecksumOK() {
		t.Errorf("went out as %q, %v: the receiver may not have the true byte yet", seg.Payload, err)
	}
	if x.count(alg.Violation) != 0 {
		t.Error("taken for a violation")
	}
}

func TestUrgentDataInALineOpensNothing(t *testing.T) {
	x := newWire(t).login()
	line := port46197 + "\r\n"
	seq := x.next[fromClient]
	x.packet(fromClient, x.build(fromClient, seq, x.next[fromServer], tcp.ACK|tcp.URG, line))
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
	x.wantHelp()

	// Nobody says so: but what came too early comes again, not what was before it.
	x = newWire(t).login()
	x.next[fromServer] += 500
	first := x.say(fromServer, "200-more\r\n")
	x.wantHeld(first)
	x.wait(2 * time.Second)
	x.wantDrop(first)
	x.wantHeld(x.at(fromServer, -10, "200-more\r\n")) // once may be a tail loss probe
	x.wait(2 * time.Second)
	x.wantPass(x.at(fromServer, -10, "200-more\r\n"))
	x.wantPass(x.say(fromServer, "200 x\r\n"))
}

func TestChecksumAndWindow(t *testing.T) {
	x := newWire(t).login()
	p := x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, port46197+"\r\n")
	p[len(p)-3] ^= 1
	x.wantPass(x.packet(fromClient, p))
	x.at(fromClient, 1<<29, port46197+"\r\n")
	x.at(fromClient, -(1 << 29), port46197+"\r\n")
	x.wait(2 * time.Second)
	x.s("200 x")
	x.c("RETR x")
	x.wantNever()
	x.s("425 x")
	x.wantHelp()
}

func TestLongLines(t *testing.T) {
	const most = 4096 // bytes of a line that are read
	for _, size := range []int{most, 5000, 100_000} {
		x := newWire(t).login()
		rest := "SITE " + strings.Repeat("A", size)
		for ; rest != ""; rest = rest[min(1000, len(rest)):] {
			x.wantPass(x.say(fromClient, rest[:min(1000, len(rest))]))
			x.flags(fromServer, tcp.ACK) // diverted where much waits for it
		}
		x.c("") // its end
		x.s("500 x")
		x.wantHelp()
	}
	// PORT in a line that is too long is no announcement.
	x := newWire(t).login()
	x.c(port46197 + strings.Repeat(" ", 5000))
	x.s(ok200)
	x.c("RETR x")
	x.wantNever()
	x.wantReason(alg.PinholeRefused, "")
	// Nor is a 227, and a long line in a multi-line reply ends none.
	x = newWire(t).login()
	x.c("PASV")
	x.s(ok227 + strings.Repeat(" ", 5000))
	x.c("HELP")
	x.s("214-x", "214"+strings.Repeat("x", 5000), "214 End")
	x.wantNever()
}

func TestOddBytesInALineOfTheClient(t *testing.T) {
	for _, odd := range []string{
		"PORT 10,1,4,4,180,117\x00\r\n", "PORT 10,1,4,4\r,180,117\r\n", "SITE x\rPORT 10,1,4,4,180,117\r\n",
		"PORT 10,1,4,4,180,117\r\r\n", "PORT\t10,1,4,4,180,117\r\n", "PORT 10,1,4,4,\xff\xf6180,117\r\n",
	} {
		x := newWire(t).login()
		x.say(fromClient, odd)
		x.s(ok200)
		x.c("RETR x")
		if len(x.kernel.opened) > 0 {
			t.Errorf("%q opened %v", odd, x.kernel.opened)
		}
	}
}

func TestALineOfTheClientEndsWithLF(t *testing.T) {
	x := newWire(t).login()
	x.say(fromClient, port46197+"\n")
	x.s(ok200)
	x.say(fromClient, "RETR x\n")
	x.wantOpen(x.hole(46197))
}
