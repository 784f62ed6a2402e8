package main_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// arrangement is a way in which the gateway translates between the lab's client and server.
type arrangement struct {
	name        string
	masquerades bool // the client, as the server sees it, has the gateway's address
	forwards    bool // the client dials the gateway
}

var (
	untranslated = arrangement{name: "untranslated"}
	arrangements = []arrangement{
		{"masquerade", true, false},
		{"forward", false, true},
		{"both", true, true},
	}
)

const (
	masquerading = `
	chain source {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "outside" masquerade
	}`
	forwarding = `
	chain destination {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 10.3.3.102 tcp dport 21 dnat ip to 10.2.5.5
		ip6 daddr fd00:3:3::102 tcp dport 21 dnat ip6 to fd00:2:5::5
	}`
)

// dials is the address that the client takes for the server's.
func (a arrangement) dials(server netip.Addr) netip.Addr {
	switch {
	case !a.forwards:
		return server
	case server.Is4():
		return netip.MustParseAddr("10.3.3.102")
	}
	return netip.MustParseAddr("fd00:3:3::102")
}

// seen is the address that the server takes for the client's.
func (a arrangement) seen(client netip.Addr) netip.Addr {
	switch {
	case !a.masquerades:
		return client
	case client.Is4():
		return netip.MustParseAddr("10.2.5.101")
	}
	return netip.MustParseAddr("fd00:2:5::101")
}

// longer gives the gateway addresses by which announcements become longer. Those outside come
// before its other ones, as masquerading takes what comes first or is preferred.
const longer = `
ip addr del 10.2.5.1/24 dev outside &&
ip addr add 10.2.5.101/24 dev outside && ip addr add 10.2.5.1/24 dev outside &&
ip addr add fd00:2:5::101/64 dev outside nodad && ip addr change fd00:2:5::1/64 dev outside preferred_lft 0 &&
ip addr add 10.3.3.102/24 dev inside && ip addr add fd00:3:3::102/64 dev inside nodad`

func (a arrangement) apply(t *testing.T, l *lab.Lab) {
	t.Helper()
	if a.masquerades || a.forwards {
		if out, err := run(t, l.Gateway, longer); err != nil {
			t.Fatal(err, out)
		}
	}
	rules := ""
	if a.masquerades {
		rules += masquerading
	}
	if a.forwards {
		rules += forwarding
	}
	translate(t, l, rules)
}

// translate has the gateway translate by these chains.
func translate(t *testing.T, l *lab.Lab, chains string) {
	t.Helper()
	if chains == "" {
		return
	}
	// What connection tracking calls invalid is not translated: it is the gateway's own, which
	// would answer with a reset that ends the connection.
	const unanswered = `
	chain input {
		type filter hook input priority filter; policy accept;
		ct state invalid drop
	}`
	if err := l.Gateway.LoadRuleset(t.Context(), "table inet translation {"+chains+unanswered+"\n}\n"); err != nil {
		t.Fatal(err)
	}
}

// everywhere does a test without a translation, and with one of the client and of the server.
func everywhere(t *testing.T, config string, do func(t *testing.T, g *gateway)) {
	t.Helper()
	for _, a := range []arrangement{untranslated, arrangements[0], arrangements[1]} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			do(t, newGatewayIn(t, a, config))
		})
	}
}

// outside is how an announcement reads behind the gateway, where its port is free there.
func (f family) outside(line string) string {
	commas := func(a netip.Addr) string { return strings.ReplaceAll(a.String(), ".", ",") }
	for own, other := range map[string]string{
		f.client.String(): f.seen.String(), commas(f.client): commas(f.seen), commas(f.server): commas(f.dials),
	} {
		line = strings.Replace(line, own, other, 1)
	}
	return line
}

// newGatewayIn is newGateway in an arrangement.
func newGatewayIn(t *testing.T, a arrangement, config string) *gateway {
	t.Helper()
	g := newGateway(t, config)
	g.in = a
	a.apply(t, g.Lab)
	return g
}
