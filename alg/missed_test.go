package alg_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// missed tells the worker of a SYN that found no pinhole.
func (x *wire) missed(from, to netip.AddrPort) {
	x.t.Helper()
	m, ok := any(x.w).(interface {
		Missed(now time.Time, from, to netip.AddrPort)
	})
	if !ok {
		x.t.Fatalf("a Worker cannot be told of near misses: it has no method Missed")
	}
	m.Missed(x.now, from, to)
	x.w.Settle(x.now)
}

// near is a SYN of the server to the client's port.
func (x *wire) near(from, to uint16) {
	x.t.Helper()
	x.missed(netip.AddrPortFrom(x.flow.Server.Addr(), from), netip.AddrPortFrom(x.flow.Client.Addr(), to))
}

// pyftpdlib connects at PORT, before it answers it.
func TestFinding16AConnectionBeforeTheTransferCommand(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.SourcePort = alg.Ports{} }).login()
	x.c(port46197)
	x.near(33333, 46197)
	x.wantReason(alg.PinholeMissed, "open_on")
	x.wantCount(alg.PinholeMissed, 1)
	for _, e := range x.events {
		if e.Kind == alg.PinholeMissed && (e.Client != x.flow.Client || e.Server != x.flow.Server || e.Session == 0 || e.Time != x.now) {
			t.Errorf("told as %+v", e)
		}
	}

	x = newWire(t).login() // both settings would be needed
	x.c(port46197)
	x.near(33333, 46197)
	x.wantReason(alg.PinholeMissed, "open_on")
	x.wantReason(alg.PinholeMissed, "source_port")
}

// proftpd without root takes any port.
func TestFinding17AConnectionFromAnotherPort(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	x.near(33333, 46197)
	x.wantReason(alg.PinholeMissed, "source_port")
	for _, e := range x.events {
		if e.Kind == alg.PinholeMissed && anyOf(e.Reason, "open_on") {
			t.Errorf("it came in time: %q", e.Reason)
		}
	}
	x.wantOpen(x.hole(46197)) // a miss changes nothing
}

// pure-ftpd takes 21, 22, 23, ... when 20 is busy.
func TestFinding36AConnectionFromAnotherPrivilegedPort(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	x.near(21, 46197)
	x.wantReason(alg.PinholeMissed, "source_port")
	// A range admits it.
	y := newWire(t, func(p *alg.Policy) { p.SourcePort = alg.Ports{First: 1, Last: 1023} }).login()
	y.port()
	y.retr()
	h := y.hole(46197)
	h.SourcePorts = alg.Ports{First: 1, Last: 1023}
	y.wantOpen(h)
}

func TestWhatIsNoNearMiss(t *testing.T) {
	for name, miss := range map[string]func(x *wire){
		"another port of the client": func(x *wire) { x.near(20, 46198) },
		"another server": func(x *wire) {
			x.missed(netip.MustParseAddrPort("10.2.5.6:20"), netip.AddrPortFrom(x.flow.Client.Addr(), 46197))
		},
		"another client": func(x *wire) {
			x.missed(netip.AddrPortFrom(x.flow.Server.Addr(), 20), netip.MustParseAddrPort("10.1.4.5:46197"))
		},
		"the other way": func(x *wire) {
			x.missed(netip.AddrPortFrom(x.flow.Client.Addr(), 46197), netip.AddrPortFrom(x.flow.Server.Addr(), 20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			x.port()
			miss(x)
			x.wantCount(alg.PinholeMissed, 0)
		})
	}
	x := newWire(t).login() // nothing is announced
	x.near(20, 46197)
	x.wantCount(alg.PinholeMissed, 0)
}

func TestManyNearMissesAreToldAFewTimes(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	for i := range uint16(5000) {
		x.near(1024+i, 46197)
	}
	if n := x.count(alg.PinholeMissed); n == 0 || n > 100 {
		t.Errorf("told %d times", n)
	}
}
