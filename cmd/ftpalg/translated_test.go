package main_test

import (
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// arrangement is a way in which the gateway translates between the lab's client and server.
type arrangement struct {
	name  string
	rules string
	dials string // what the client takes for the server; empty: the server's own address
}

const masquerading = `
	chain source {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "outside" masquerade
	}`

const forwarding = `
	chain destination {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 10.3.3.2 tcp dport 21 dnat ip to 10.2.5.5
		ip6 daddr fd00:3:3::2 tcp dport 21 dnat ip6 to fd00:2:5::5
	}`

var (
	untranslated = arrangement{}
	arrangements = []arrangement{
		{"masquerade", masquerading, ""},
		{"forward", forwarding, "outside"},
		{"both", masquerading + forwarding, "outside"},
	}
)

// hosts are the addresses that the client takes for the server's.
func (a arrangement) hosts() []netip.Addr {
	if a.dials == "" {
		return []netip.Addr{netip.MustParseAddr("10.2.5.5"), netip.MustParseAddr("fd00:2:5::5")}
	}
	return []netip.Addr{netip.MustParseAddr("10.3.3.2"), netip.MustParseAddr("fd00:3:3::2")}
}

func (a arrangement) apply(t *testing.T, l *lab.Lab) {
	t.Helper()
	if a.rules == "" {
		return
	}
	if out, err := run(t, l.Gateway, "nft -f - <<'END'\ntable inet translation {"+a.rules+"\n}\nEND"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
