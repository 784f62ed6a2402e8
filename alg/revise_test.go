package alg_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// revise puts another policy in force.
func (x *wire) revise(change ...func(*alg.Policy)) {
	x.t.Helper()
	p := alg.DefaultPolicy()
	for _, c := range change {
		c(&p)
	}
	x.policy = p
	x.take(x.w.Revise(x.now, p))
}

func TestReviseLosesNoSession(t *testing.T) {
	x := newWire(t).login()
	y := x.another(5000).connect()
	x.port()
	x.revise(func(p *alg.Policy) { p.MinPort = 2000 })
	x.retr()
	x.wantOpen(x.hole(46197))
	x.s("150 x", "226 x")
	y.s("220 hello")
	y.c("USER u")
	y.s("230 in")
	y.wantHelp()
	x.wantHelp()
	x.wantCount(alg.SessionEnd, 0)
}

// What the new policy does not admit is not open any more, nor announced.
func TestReviseClosesWhatIsNotAdmitted(t *testing.T) {
	deny := func(p *alg.Policy) { p.DenyPorts = append(p.DenyPorts, 46197) }
	x := newWire(t).login()
	x.port()
	x.retr()
	x.wantOpen(x.hole(46197))
	x.revise(deny)
	x.wantOpen()
	x.wantReason(alg.PinholeClosed, "the configuration has changed")

	x = newWire(t).login()
	x.port()
	x.revise(deny)
	x.retr()
	x.wantNever()
	x.port()
	x.wantReason(alg.PinholeRefused, "a denied port")
	x.revise() // and back
	x.wantHelp()
}

func TestReviseOfThePassivePorts(t *testing.T) {
	only := func(first, last uint16) func(*alg.Policy) {
		return func(p *alg.Policy) {
			rules := p.Rules
			rules.PassivePorts = alg.Ports{First: first, Last: last}
			p.Overrides = []alg.Override{{Servers: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, Rules: rules}}
		}
	}
	x := newWire(t, only(50000, 50100)).login()
	x.c("EPSV")
	x.s("229 x (|||50000|)")
	x.wantOpen(x.passive(50000))
	x.revise(only(50000, 50000))
	x.wantOpen(x.passive(50000))
	x.revise(only(50001, 50100))
	x.wantOpen()
}

// What is open keeps the source ports that it was opened for; what is announced is opened
// for the new ones.
func TestReviseOfTheSourcePort(t *testing.T) {
	any := func(p *alg.Policy) { p.SourcePort = alg.Ports{} }
	x := newWire(t).login()
	x.port()
	x.revise(any)
	x.retr()
	wide := x.hole(46197)
	wide.SourcePorts = alg.Ports{}
	x.wantOpen(wide)
	x.revise()
	x.wantOpen(wide)
	x.s("425 no")
	x.wantOpen()
	x.retr() // the announcement stands
	x.s("150 x", "226 x")
	x.port()
	x.retr()
	x.wantOpen(x.hole(46197))
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	x.wantOpen()
}

func TestReviseOfTheTimeout(t *testing.T) {
	timeout := func(d time.Duration) func(*alg.Policy) { return func(p *alg.Policy) { p.Timeout = d } }
	for _, to := range []time.Duration{5 * time.Second, time.Minute} {
		x := newWire(t).login()
		x.port()
		x.retr()
		x.wait(10 * time.Second)
		x.revise(timeout(to))
		x.wait(4 * time.Second)
		x.wantOpen(x.hole(46197))
		// The kernel takes it away after 30 s, which must not be taken for its use.
		x.wait(min(to, 20*time.Second) - 4*time.Second)
		x.wantOpen()
		x.wait(time.Minute)
		x.wantReason(alg.PinholeClosed, "timeout")
		x.wantCount(alg.PinholeUsed, 0)

		x.port()
		x.retr()
		x.wait(to - time.Second)
		x.wantOpen(x.hole(46197))
		x.wait(time.Second)
		x.wantOpen()
	}
}

// Those who are not named any more are not helped, and another connection between the same
// ends neither.
func TestReviseOfTheClients(t *testing.T) {
	x := newWire(t).login()
	y := x.from("10.9.0.1", 5000).login()
	x.port()
	x.retr()
	x.wantOpen(x.hole(46197))
	x.revise(others)
	x.wantOpen()
	x.wantReason(alg.SessionEnd, "helped no more")
	if n := x.sessions(); n != 1 {
		t.Errorf("%d sessions, want one", n)
	}
	x.wantPass(x.say(fromClient, "NOOP\r\n"), x.say(fromServer, "200 x\r\n"))
	y.c("PORT 10,9,0,1,180,117")
	y.s("200 ok")
	y.retr()
	y.wantOpen(y.hole(46197))
	x.next = [2]uint32{5 << 28, 6 << 28}
	x.connect()
	if n := x.sessions(); n != 1 {
		t.Errorf("%d sessions, want one", n)
	}
}

func TestReviseOfTheFTPSPorts(t *testing.T) {
	other := alg.Ports{First: 60000, Last: 60001}
	ports := func(r alg.Ports) func(*alg.Policy) {
		return func(p *alg.Policy) {
			helpFTPS(p)
			p.Overrides[0].Rules.FTPSPorts = r
		}
	}
	of := func(x *wire) (all []alg.Ports) {
		for r, until := range x.kernel.ranges {
			if x.now.Before(until) {
				all = append(all, r.Ports)
			}
		}
		return all
	}
	x := newWire(t, helpFTPS).secure()
	x.wantAdmitted(true)
	x.revise(ports(other))
	for range 10 {
		if got := of(x); len(got) != 1 || got[0] != other {
			t.Fatalf("admitted: %v, want %v", got, other)
		}
		x.wait(10 * time.Second)
	}
	x.revise()
	for range 3 {
		if got := of(x); len(got) != 0 {
			t.Errorf("admitted: %v", got)
		}
		x.wait(10 * time.Second)
	}

	// Before TLS was proven: nothing is admitted, whatever is said then.
	x = newWire(t, helpFTPS).connect()
	x.s("220 hello")
	x.c("AUTH TLS")
	x.s("234 Proceed.")
	x.revise()
	x.say(fromClient, clientHello)
	x.say(fromServer, serverHello)
	x.wait(time.Minute)
	if len(x.kernel.ranges) != 0 {
		t.Errorf("admitted: %v", x.kernel.ranges)
	}
}

func TestReviseOfTheLimits(t *testing.T) {
	t.Parallel()
	l := alg.NewLimits(1000, 1000)
	g := newWireOf(t, clientAddr, serverAddr, alg.WorkerConfig{Policy: alg.DefaultPolicy()})
	g.w.Limits = l
	g.login()
	l.Set(1, 1)
	g.another(5000).login().wantNoHelp()
}

// others names clients of which most wires are none.
func others(p *alg.Policy) { p.Clients = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")} }

// A connection that is to be ended stays so, whomever the new policy helps.
func TestReviseSparesNoCondemnedConnection(t *testing.T) {
	reset := func(p *alg.Policy) { p.Reset = true }
	x := newWire(t, reset).login()
	x.c("PORT 10,1,4,4,0,22")
	x.wantDrop(x.say(fromClient, "NOOP\r\n"))
	x.revise(reset, others)
	x.wantDrop(x.say(fromClient, "NOOP\r\n"))
}

// What could not be closed is tried again for as long as the packet filter may admit it.
func TestReviseOfTheTimeoutWhileTheFilterRefuses(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.Timeout = 5 * time.Minute }).login()
	x.port()
	x.retr()
	x.wantOpen(x.hole(46197))
	x.kernel.fail = func([]alg.Op) error { return errors.New("no memory") }
	x.revise(func(p *alg.Policy) { p.Timeout, p.MinPort = 5*time.Second, 60000 })
	x.wait(20 * time.Second)
	x.kernel.fail = nil
	x.wait(time.Second)
	x.wantOpen()
}

// A connection that has ended is not counted for its client again.
func TestReviseCountsNoEndedSession(t *testing.T) {
	deny := func(p *alg.Policy) { p.DenyTLS, p.MaxSessionsPerClient = true, 1 }
	x := newWire(t, deny).login()
	x.flags(fromClient, tcp.FIN|tcp.ACK)
	x.flags(fromServer, tcp.FIN|tcp.ACK)
	x.revise(deny, others)
	x.revise(deny)
	x.another(5000).login().wantHelp()
}

// Where a login is required from now on, one that may come yet keeps nothing open.
func TestReviseOfTheLoginClosesWhatWaitsForOne(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.RequireLogin = false }).connect()
	x.s("220 hello")
	x.port()
	x.retr()
	x.wantOpen(x.hole(46197))
	x.c("PASS x")
	x.wantOpen(x.hole(46197))
	x.revise()
	x.wantOpen()
	x.wantReason(alg.PinholeClosed, "the configuration has changed")
}
