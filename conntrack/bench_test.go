package conntrack

import (
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// fill makes so many entries of IPv4 and IPv6, half of each.
func (n *network) fill(b *testing.B, entries int) {
	b.Helper()
	var messages []netlink.Message
	for i := range entries {
		client, server := netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}), netip.MustParseAddr(server)
		if i%2 == 1 {
			a := netip.MustParseAddr("2001:db8::").As16()
			copy(a[12:], client.AsSlice())
			client, server = netip.AddrFrom16(a), netip.MustParseAddr(v6(server.String()))
		}
		f := alg.Flow{Client: netip.AddrPortFrom(client, uint16(1024+i%60000)), Server: netip.AddrPortFrom(server, 21)}
		entry := conntrack.Flow{Timeout: 1000, Status: conntrack.StatusConfirmed, ProtoInfo: conntrack.ProtoInfo{TCP: &conntrack.ProtoInfoTCP{State: 3}}}
		m, err := message(msgNew, netlink.Create|netlink.Excl|netlink.Acknowledge, client, copied(f, alg.Translation(f), entry)...)
		if err != nil {
			b.Fatal(err)
		}
		if messages = append(messages, m); len(messages) == 50 || i == entries-1 {
			answers, err := n.conn.raw.exchange(messages...)
			if err != nil {
				b.Fatal(err)
			}
			for _, a := range answers {
				if a.err != nil {
					b.Fatalf("entry %d: %v", i, a.err)
				}
			}
			messages = nil
		}
	}
}

// BenchmarkFlow measures what is asked of flows, in a table of 100,000 others.
func BenchmarkFlow(b *testing.B) {
	n := newNetwork(b)
	n.fill(b, 100_000)
	measure := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, way := range []string{"IPv4 masqueraded", "IPv4 forwarded", "IPv4 both", "IPv6 both"} {
		c := n.connect(b, ways()[way])
		prepare := func() error {
			t, _, ok, err := n.conn.Prepare(c.flow, true)
			if err == nil && (!ok || t != c.translation) {
				return ErrNoFlow
			}
			return err
		}
		if err := prepare(); err != nil {
			b.Fatal(err)
		}
		measure(way+"/Prepare", prepare)
		measure(way+"/Adjust", func() error {
			return n.conn.Adjust(c.flow, c.translation, tcp.Client, alg.Adjustment{Pos: 1})
		})
		measure(way+"/search", func() error {
			_, _, err := n.conn.search(c.flow)
			return err
		})
		measure(way+"/replace", func() error {
			entry, err := n.conn.adjust(c.flow, c.translation, tcp.Client, nothing)
			if err != nil {
				return err
			}
			return n.conn.replace(c.flow, c.translation, entry)
		})
	}
	// Each connection has its entry made anew once.
	b.Run("Prepare anew", func(b *testing.B) {
		w := ways()["IPv4 masqueraded"]
		for range b.N {
			b.StopTimer()
			c := n.connect(b, w)
			b.StartTimer()
			if _, _, ok, err := n.conn.Prepare(c.flow, true); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	from, at := netip.MustParseAddr(server), netip.MustParseAddrPort(outside+":45678")
	n.gateway.run(b, func() error {
		for name, ports := range map[string]alg.Ports{"port": {First: 20, Last: 20}, "any": {}} {
			measure("Free from a "+name, func() error {
				_, err := n.conn.Free(from, ports, at)
				return err
			})
		}
		return nil
	})
	measure("unfiltered", func() error {
		_, err := n.conn.dump(from)
		return err
	})
}
