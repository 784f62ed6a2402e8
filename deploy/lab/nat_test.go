package lab_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestNAT connects the client with port 21 behind the stateful firewall, in both families,
// and has the server say whom it sees.
func TestNAT(t *testing.T) {
	for _, nat := range [][]string{nil, {"masquerade"}, {"forward"}, {"masquerade", "forward"}} {
		t.Run(strings.Join(nat, "+"), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, lab.Options{Ruleset: lab.Ruleset("stateful"), NAT: nat})
			for _, f := range []struct{ client, gateway, outside, server netip.Addr }{
				{l.Client.IPv4, l.Gateway.IPv4, netip.MustParseAddr("10.2.5.1"), l.Server.IPv4},
				{l.Client.IPv6, l.Gateway.IPv6, netip.MustParseAddr("fd00:2:5::1"), l.Server.IPv6},
			} {
				dialled, sees := f.server, f.client
				if slices.Contains(nat, "forward") {
					dialled = f.gateway
				}
				if slices.Contains(nat, "masquerade") {
					sees = f.outside
				}
				ln, err := l.Server.Listen(t.Context(), "tcp", netip.AddrPortFrom(f.server, 21).String())
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				conn, err := l.Client.DialFrom(t.Context(), netip.AddrPort{}, "tcp", netip.AddrPortFrom(dialled, 21).String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				peer, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer peer.Close()
				if got := netip.MustParseAddrPort(peer.RemoteAddr().String()).Addr(); got != sees {
					t.Errorf("the server at %v sees %v, want %v", dialled, got, sees)
				}
			}
		})
	}
}

// TestNATAgain loads the files twice, as one who has changed them does.
func TestNATAgain(t *testing.T) {
	l := newLab(t, lab.Options{NAT: []string{"masquerade", "forward", "masquerade", "forward"}})
	out, err := l.Gateway.Command(t.Context(), "nft", "list", "ruleset").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{`oifname "outside" masquerade`, "ip daddr 10.3.3.2 tcp dport 21 dnat ip to 10.2.5.5"} {
		if n := strings.Count(string(out), rule); n != 1 {
			t.Errorf("%q is there %d times: %s", rule, n, out)
		}
	}
}

func TestUnknownNAT(t *testing.T) {
	needsRoot(t)
	if l, err := lab.New(t.Context(), lab.Options{NAT: []string{"open"}}); err == nil || !strings.Contains(err.Error(), "masquerade, forward") {
		t.Errorf("a firewall as NAT: lab %v, %v", l, err)
	}
}
