package nft

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

// The gateway's addresses on both sides.
var (
	clientSide4, serverSide4 = netip.MustParseAddr("10.1.4.1"), netip.MustParseAddr("10.2.5.1")
	clientSide6, serverSide6 = netip.MustParseAddr("fd00:1::1"), netip.MustParseAddr("fd00:2::1")
)

// masked4 and masked6 are for clients behind masquerade.
var (
	masked4 = at(active4, serverSide4, 40222)
	masked6 = at(active6, serverSide6, 40222)
)

func at(p alg.Pinhole, a netip.Addr, port uint16) alg.Pinhole {
	p.At = netip.AddrPortFrom(a, port)
	return p
}

func as(p alg.Pinhole, a netip.Addr) alg.Pinhole {
	p.As = a
	return p
}

// What an operator translates with.
const (
	masquerade = `chain post { type nat hook postrouting priority srcnat; oifname "to5" masquerade; }
`
	forwarding = `chain pre { type nat hook prerouting priority dstnat;
		iifname "to4" tcp dport 2121 dnat ip to 10.2.5.5:21; iifname "to4" tcp dport 2121 dnat ip6 to [fd00:2::5]:21; }`
)

// acceptsTranslated is what firewalld has in its forward chain.
const acceptsTranslated = "insert rule inet filter forward ct status dnat accept"

// newTranslator is a gateway that translates.
func newTranslator(t *testing.T, nat string, change func(*Config, *Caps)) (*network, *Table) {
	t.Helper()
	n, table := newGateway(t, func(cfg *Config, caps *Caps) {
		needs(t, caps.NAT, "NAT in family inet")
		change(cfg, caps)
	})
	n.gateway.load(t, "table inet nat {\n"+nat+"\n}")
	return n, table
}

// translations are pinholes of every way to translate, with what the operator has for it.
var translations = []struct {
	name, nat string
	pinhole   alg.Pinhole
	// sees is where the end that listens sees the connection come from.
	sees netip.Addr
}{
	{"masquerade, active", masquerade, masked4, active4.Source},
	{"masquerade, active, the client's own port", masquerade, at(active4, serverSide4, active4.Dest.Port()), active4.Source},
	{"masquerade, active, IPv6", masquerade, masked6, active6.Source},
	{"masquerade, passive", masquerade, as(passive4, netip.MustParseAddr("10.2.5.9")), netip.MustParseAddr("10.2.5.9")},
	{"masquerade, passive, IPv6", masquerade, as(passive6, netip.MustParseAddr("fd00:2::9")), netip.MustParseAddr("fd00:2::9")},
	{"port forwarding, passive", forwarding, at(passive4, clientSide4, passive4.Dest.Port()), passive4.Source},
	{"port forwarding, passive, another port", forwarding, at(passive4, clientSide4, 60003), passive4.Source},
	{"port forwarding, passive, IPv6", forwarding, at(passive6, clientSide6, 60003), passive6.Source},
	{"port forwarding, active", forwarding, as(active4, clientSide4), clientSide4},
	{"port forwarding, active, IPv6", forwarding, as(active6, clientSide6), clientSide6},
	{"both, active", masquerade + forwarding, as(masked4, clientSide4), clientSide4},
	{"both, active, IPv6", masquerade + forwarding, as(masked6, clientSide6), clientSide6},
	{"both, passive", masquerade + forwarding, as(at(passive4, clientSide4, 60003), serverSide4), serverSide4},
	{"both, passive, IPv6", masquerade + forwarding, as(at(passive6, clientSide6, 60003), serverSide6), serverSide6},
	{
		"prefix translation, active", `chain pre { type nat hook prerouting priority dstnat;
			dnat ip6 prefix to ip6 daddr map { fd00:9::/64 : fd00:1::/64 }; }
		chain post { type nat hook postrouting priority srcnat;
			snat ip6 prefix to ip6 saddr map { fd00:1::/64 : fd00:9::/64 }; }`,
		at(active6, netip.MustParseAddr("fd00:9::4"), 40222), active6.Source,
	},
}

// ends returns who connects and who listens, from where, and whereto.
func (n *network) ends(p alg.Pinhole) (src, dst *host, from, to netip.AddrPort) {
	src, dst, from, to = n.server, n.client, netip.AddrPortFrom(p.Source, p.SourcePorts.First), p.Dest
	if p.Mode == alg.Passive {
		src, dst = n.client, n.server
	}
	if p.At.IsValid() {
		to = p.At
	}
	return src, dst, from, to
}

// A translated pinhole admits one connection, to the address that was announced, and the
// end that listens sees it come from where the other end is for it.
func TestTranslated(t *testing.T) {
	for _, tt := range translations {
		for _, accepts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, accepts=%v", tt.name, accepts), func(t *testing.T) {
				t.Parallel()
				n, table := newTranslator(t, tt.nat, func(*Config, *Caps) {})
				n.gateway.run(t, func() error { return address("to5", "10.2.5.9/24", "fd00:2::9/64") })
				if accepts {
					n.gateway.load(t, acceptsTranslated)
				}
				p := tt.pinhole
				src, dst, from, to := n.ends(p)
				heard := dst.listen(t, p.Dest)
				dst.listen(t, port(p.Dest, p.Dest.Port()+1))

				commit(t, table, opened(p))
				if p.Mode == alg.Active {
					src.dial(t, port(from, 0), to, false)
				}
				c := src.dial(t, from, to, true)
				echo(t, c)
				switch got := <-heard; {
				case got.Addr() != tt.sees:
					t.Errorf("it came from %v, want %v", got, tt.sees)
				case p.Mode == alg.Active && got.Port() != 20:
					t.Errorf("it came from %v, want port 20", got)
				}
				wantUnused(t, table, p, false)
				src.dial(t, port(from, 0), to, false)
				hangUp(c)
				src.dial(t, from, to, false)
				commit(t, table, closed(p))
				src.refused(t, port(from, 0), to)
				select {
				case got := <-heard:
					t.Errorf("one more came in, from %v", got)
				default:
				}
			})
		}
	}
}

// refused fails the test if the host can connect: whether it hears of it or not.
func (h *host) refused(t *testing.T, from, to netip.AddrPort) {
	t.Helper()
	if _, err := h.connect(t, from, to, blocked); err == nil {
		t.Errorf("%v -> %v is admitted", from, to)
	}
}
