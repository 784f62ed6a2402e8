package alg_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// takenUp is a dialogue whose beginning a new worker did not see, and for which
// connection tracking vouches.
func takenUp(t tb, change ...func(*alg.Policy)) *wire {
	x := vouchedWire(t, change...)
	x.tracking.vouched[x.flow] = true
	return x
}

func TestFinding07TakenUpAfterOneCommandAndItsReply(t *testing.T) {
	for _, tc := range []struct {
		name string
		want bool
		say  func(x *wire)
	}{
		{"a command and its reply first", true, func(x *wire) { x.c("TYPE I"); x.s("200 x"); x.port(); x.retr() }},
		{"PORT is that command, or the rest of another", false, func(x *wire) { x.port(); x.retr() }},
		{"no reply yet", false, func(x *wire) { x.c(port46197, "RETR x") }},
		{"a reply that belongs to what was not seen", false, func(x *wire) { x.s("226 x"); x.c(port46197, "RETR x") }},
		{"in the middle of a line", false, func(x *wire) { x.c(",4,180,117"); x.s(ok200); x.retr() }},
		{"HTTP", false, func(x *wire) { x.c("POST / HTTP/1.1"); x.s(ok200); x.port(); x.retr() }},
		{"a new login is under way", false, func(x *wire) { x.c("USER u"); x.s("331 x"); x.port(); x.retr() }},
		{"no ACK", false, func(x *wire) {
			x.packet(fromClient, x.build(fromClient, x.next[fromClient], 0, tcp.PSH, "NOOP\r\n"+port46197+"\r\nRETR x\r\n"))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := takenUp(t)
			tc.say(x)
			if got := len(x.kernel.opened) > 0; got != tc.want {
				t.Errorf("helped: %v, want %v\n%s", got, tc.want, x.told())
			}
			y := vouchedWire(t) // and never if nobody vouches
			tc.say(y)
			y.wantNever()
		})
	}
}

func TestFinding44TakenUpForActiveModeAlone(t *testing.T) {
	for _, late := range []bool{false, true} {
		x := takenUp(t)
		x.c("TYPE I")
		x.s("200 x")
		if late {
			x.wantHelp()
		}
		for range 3 {
			x.c("PASV")
			x.s(ok227)
			x.c("EPSV")
			x.s("229 ok (|||50100|)")
		}
		for _, p := range x.kernel.opened {
			if p.Mode == alg.Passive {
				t.Errorf("opened %v: a 227 is believed in a dialogue that was taken up", p)
			}
		}
		x.wantHelp()
	}
}

func TestFinding44OpenOnPortInADialogueThatWasTakenUp(t *testing.T) {
	x := takenUp(t, func(p *alg.Policy) { p.OpenOnPort = true })
	x.c(port46197)
	x.wantNever()
}

func (x *wire) wantVouched(want bool) {
	x.t.Helper()
	if got := x.tracking.vouched[x.flow]; got != want {
		x.t.Errorf("vouched for: %v, want %v\n%s", got, want, x.told())
	}
}

// The label says: FTP, logged in, believed.
func TestFinding44WhatIsVouchedFor(t *testing.T) {
	x := newWire(t).connect()
	x.wantVouched(false)
	x.s("220 hello")
	x.c("USER u")
	x.s("331 p")
	x.wantVouched(false)
	x.c("PASS p")
	x.s("230 in")
	x.wantVouched(true)
	x.wantHelp()
	x.wantPassive()
	x.wantVouched(true)
}

// It is taken away before the verdict of the packet that ends the belief.
func TestFinding44TheVouchEndsBeforeTheVerdict(t *testing.T) {
	for name, end := range map[string]struct {
		d    side
		text string
	}{
		"not FTP":         {fromClient, "POST / HTTP/1.1\r\n"},
		"a foreign line":  {fromClient, "Host: x\r\n"},
		"IAC":             {fromClient, "MKD \xff\xfbx\r\n"},
		"STAT x":          {fromClient, "STAT x\r\n"},
		"noise":           {fromServer, "noise\r\n"},
		"a surplus reply": {fromServer, "200 x\r\n"},
		"unasked 234":     {fromServer, "234 x\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			x.wantVouched(true)
			p := x.build(end.d, x.next[end.d], x.next[end.d.other()], tcp.ACK, end.text)
			r := x.w.Batch(x.now, []alg.Packet{{ID: 9001, Data: p, In: x.in[end.d], Out: x.out[end.d]}})
			x.wantVouched(false) // Settle comes after the verdicts
			x.take(r)
			x.wantVouched(false)
		})
	}
	x := newWire(t).login() // a new login
	x.c("USER other")
	x.s("331 p")
	x.wantVouched(false)
	x = newWire(t).login()
	x.c("AUTH TLS")
	x.s("234 x")
	x.wantVouched(false)
}
