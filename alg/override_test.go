package alg_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

// What the reason of a miss names is what helps.
func TestTheSettingsOfOneServer(t *testing.T) {
	rules := alg.DefaultPolicy().Rules
	rules.SourcePort, rules.OpenOnPort = alg.Ports{}, true
	override := func(prefix string) func(*alg.Policy) {
		return func(p *alg.Policy) {
			p.Overrides = []alg.Override{{Servers: []netip.Prefix{netip.MustParsePrefix(prefix)}, Rules: rules}}
		}
	}
	x := newWire(t, override("10.2.0.0/16")).login()
	x.c(port46197)
	h := x.hole(46197)
	h.SourcePorts = alg.Ports{}
	x.wantOpen(h)

	x = newWire(t, override("10.3.0.0/16")).login()
	x.c(port46197)
	x.wantNever()
	x.s(ok200)
	x.retr()
	x.wantOpen(x.hole(46197))

	// The longest prefix decides.
	x = newWire(t, override("10.2.0.0/16"), func(p *alg.Policy) {
		p.Overrides = append(p.Overrides, alg.Override{
			Servers: []netip.Prefix{netip.MustParsePrefix("10.2.5.5/32")}, Rules: alg.DefaultPolicy().Rules,
		})
	}).login()
	x.c(port46197)
	x.wantNever()
}

func TestPassivePortsOfOneServer(t *testing.T) {
	rules := alg.DefaultPolicy().Rules
	rules.PassivePorts = alg.Ports{First: 50000, Last: 50100}
	policy := func(p *alg.Policy) {
		p.Overrides = []alg.Override{{Servers: []netip.Prefix{netip.MustParsePrefix("10.2.5.5/32")}, Rules: rules}}
	}
	for port, open := range map[uint16]bool{49999: false, 50000: true, 50100: true, 50101: false, 46197: false} {
		x := newWire(t, policy).login()
		x.c("EPSV")
		x.s(fmt.Sprintf("229 ok (|||%d|)", port))
		if got := len(x.kernel.opened) == 1; got != open {
			t.Errorf("port %d: opened %v, want %v\n%s", port, got, open, x.told())
		}
		if !open {
			x.wantReason(alg.PinholeRefused, "passive_ports")
		}
	}
}
