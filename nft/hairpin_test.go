package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ftpalg/ftpalg/alg"
)

// Client and server are neighbours, and the server is addressed at the gateway's outside.
func TestHairpin(t *testing.T) {
	client, server := netip.MustParseAddr("10.3.0.4"), netip.MustParseAddr("10.3.0.5")
	for _, p := range []alg.Pinhole{
		as(at(alg.Pinhole{
			Mode: alg.Active, Source: server, SourcePorts: port20, Dest: netip.AddrPortFrom(client, 46197),
		}, netip.MustParseAddr("10.3.0.1"), 40222), clientSide4),
		as(at(alg.Pinhole{
			Mode: alg.Passive, Source: client, Dest: netip.AddrPortFrom(server, 30000),
		}, clientSide4, 60003), netip.MustParseAddr("10.3.0.1")),
	} {
		t.Run(p.Mode.String(), func(t *testing.T) {
			n, table := newTranslator(t, `chain pre { type nat hook prerouting priority dstnat;
					ip daddr 10.1.4.1 tcp dport 2121 dnat ip to 10.3.0.5:21; }
				chain post { type nat hook postrouting priority srcnat;
					ip saddr 10.3.0.0/24 ip daddr 10.3.0.5 tcp dport 21 snat ip to 10.3.0.1; }`, func(*Config, *Caps) {})
			n.client, n.server = newHost(t), newHost(t)
			n.bridge(t, map[*host]netip.Addr{n.client: client, n.server: server})
			src, dst, from, to := n.ends(p)
			heard := dst.listen(t, p.Dest)
			commit(t, table, opened(p))
			echo(t, src.dial(t, from, to, true))
			if got := <-heard; got.Addr() != p.As || p.Mode == alg.Active && got.Port() != 20 {
				t.Errorf("it came from %v", got)
			}
			src.dial(t, port(from, 0), to, false)
		})
	}
}

// bridge connects hosts, each at its address, to a bridge of the gateway, which is 10.3.0.1.
func (n *network) bridge(t testing.TB, hosts map[*host]netip.Addr) {
	t.Helper()
	n.gateway.run(t, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "br0"
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return fmt.Errorf("bridge: %w", err)
		}
		return address("br0", "10.3.0.1/24")
	})
	for h, a := range hosts {
		n.gateway.run(t, func() error {
			name := fmt.Sprintf("br%d", a.As4()[3])
			if err := veth(name, h); err != nil {
				return err
			}
			port, portErr := netlink.LinkByName(name)
			bridge, bridgeErr := netlink.LinkByName("br0")
			if err := errors.Join(portErr, bridgeErr); err != nil {
				return err
			}
			return errors.Join(netlink.LinkSetMaster(port, bridge), netlink.LinkSetUp(port))
		})
		h.run(t, func() error {
			return errors.Join(address("eth0", a.String()+"/24"), route(netip.MustParseAddr("10.3.0.1")))
		})
	}
}
