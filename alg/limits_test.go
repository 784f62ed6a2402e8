package alg_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// heap is what is reachable now.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// crowd has n sessions through one worker, of which those that hostile names do what they
// can to have memory held for them. It returns one that is not.
func crowd(x *wire, n int, hostile func(i int) bool) *wire {
	x.lean = true
	var honest *wire
	for i := range n {
		y := x.from(fmt.Sprintf("10.%d.%d.%d", 64+i/500>>8, i/500&0xff, 1), uint16(10000+i%500)).login()
		y.c("TYPE I")
		y.s("200 Switching to Binary mode.")
		if hostile(i) {
			y.hoard()
		} else {
			honest = y
		}
	}
	return honest
}

// hoard has as much remembered and held back as there is a way to.
func (x *wire) hoard() {
	big := strings.Repeat("x", 1400)
	ack := x.next[fromServer] // what the server says is never acknowledged
	x.c("HELP")
	x.s("214-x")
	for range 12 {
		x.say(fromServer, big+"\r\n")
	}
	line := "SITE " + big + big // nor is this, and it does not end
	for range 2 {
		x.packet(fromClient, x.build(fromClient, x.next[fromClient], ack, tcp.ACK, line))
		x.next[fromClient] += uint32(len(line))
		line = big + big
	}
	for i := range 4 { // behind a gap
		x.at(fromClient, 100+i*len(big), big)
		x.at(fromServer, 100+i*len(big), big)
	}
}

func TestMemoryOfAHundredThousandSessionsOfWhichHalfAreHostile(t *testing.T) {
	const n, limit = 100_000, 300 << 20
	before := heap()
	x := newWire(t, func(p *alg.Policy) { p.MaxSessions = n })
	honest := crowd(x, n, func(i int) bool { return i%2 == 1 })
	if got := x.sessions(); got != n {
		t.Fatalf("%d sessions, want %d", got, n)
	}
	if used := heap() - before; used > limit {
		t.Errorf("%d MB, want %d at most", used>>20, limit>>20)
	} else {
		t.Logf("%d MB, %d bytes a session", used>>20, used/uint64(n))
	}
	// Who wants no more than his share has it.
	port := honest.flow.Client.Addr().As4()
	honest.c(fmt.Sprintf("PORT %d,%d,%d,%d,180,117", port[0], port[1], port[2], port[3]))
	honest.s(ok200)
	honest.retr()
	honest.wantOpen(honest.hole(46197))
	runtime.KeepAlive(x)
}

func TestMemoryOfAnIdleSession(t *testing.T) {
	const n = 20_000
	before := heap()
	x := newWire(t)
	crowd(x, n, func(int) bool { return false })
	x.wait(2 * time.Minute)
	x.tracking.vouched = nil // that is the test's own
	used := heap() - before
	if got := x.sessions(); got != n {
		t.Fatalf("%d sessions", got)
	}
	if each := used / n; each > 1024 {
		t.Errorf("%d bytes a session, want 1024 at most", each)
	} else {
		t.Logf("%d bytes a session", each)
	}
}

// What the receiver has acknowledged need not be remembered.
func TestAcknowledgedBytesAreGivenBack(t *testing.T) {
	const n = 2000
	before := heap()
	x := newWire(t)
	x.lean = true
	for i := range n {
		y := x.from(fmt.Sprintf("10.64.%d.1", i/500), uint16(10000+i%500)).login()
		y.c("HELP")
		y.s("214-x")
		for range 10 {
			y.say(fromServer, strings.Repeat("x", 1400)+"\r\n")
		}
		y.s("214 End")
		y.c("NOOP") // acknowledges it
		y.s("200 x")
		y.c("NOOP")
		y.s("200 x")
	}
	x.wait(2 * time.Minute)
	if each := (heap() - before) / n; each > 2048 {
		t.Errorf("%d bytes a session, want 2048 at most", each)
	}
	runtime.KeepAlive(x)
}

// Sessions that are over leave nothing.
func TestMemoryAfterTheSessionsAreOver(t *testing.T) {
	const n = 5000
	x := newWire(t)
	x.lean = true
	around := func() {
		for i := range n {
			y := x.from(fmt.Sprintf("10.64.%d.1", i/500), uint16(10000+i%500)).login()
			y.hoard()
			y.flags(fromClient, tcp.RST)
		}
		x.wait(2 * time.Minute)
	}
	around() // maps grow once
	x.kernel.log = nil
	before := heap()
	around()
	x.kernel.log = nil
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("%d kB more after %d sessions that are over", grown>>10, n)
	}
	if got := x.sessions(); got != 0 {
		t.Errorf("%d sessions left", got)
	}
}
