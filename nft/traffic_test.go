package nft

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ftpalg/ftpalg/alg"
)

// newGateway is a network with the table and the accept line on its gateway.
func newGateway(t *testing.T, change func(*Config, *Caps)) (*network, *Table) {
	t.Helper()
	n := newNetwork(t)
	var table *Table
	n.gateway.do(t, func() {
		cfg, caps := defaults(), probe(t)
		change(&cfg, &caps)
		table = install(t, cfg, caps)
		anchor(t, "inet filter", []string{"forward"}, cfg.Tag)
	})
	return n, table
}

// anchor inserts the accept line for the time of the test.
func anchor(t testing.TB, table string, chains []string, tag Tag) *Anchor {
	t.Helper()
	a, err := OpenAnchor(table, chains, tag)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if _, err := a.Ensure(); err != nil {
		t.Fatal(err)
	}
	return a
}

// port returns the same address with another port.
func port(a netip.AddrPort, p uint16) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), p) }

// echo fails the test if the connection does not carry data both ways.
func echo(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	var b [5]byte
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c, b[:]); err != nil || string(b[:]) != "hello" {
		t.Errorf("echo: %q, %v", b, err)
	}
}

// tags are ways to tell the operator's chain of an admitted packet.
var tags = map[string]Tag{
	"defaults": tag126,
	"others":   {Label: 0, Mark: 1},
}

// A pinhole of active mode admits one connection: from the announced server and its
// port to the announced port of the client, and not a second time.
func TestActiveTraffic(t *testing.T) {
	for name, tag := range tags {
		for _, p := range []alg.Pinhole{active4, active6} {
			t.Run(name+" "+p.Source.String(), func(t *testing.T) {
				n, table := newGateway(t, func(c *Config, _ *Caps) { c.Tag = tag })
				from, other := netip.AddrPortFrom(p.Source, 20), port(p.Dest, p.Dest.Port()+1)
				n.client.listen(t, p.Dest)
				n.client.listen(t, other)

				n.server.dial(t, from, p.Dest, false)
				commit(t, table, opened(p))
				n.server.dial(t, port(from, 0), p.Dest, false)
				n.server.dial(t, port(from, 21), p.Dest, false)
				n.server.dial(t, from, other, false)
				n.gateway.dial(t, netip.AddrPort{}, p.Dest, true) // the listener is there
				wantUnused(t, table, p, true)

				c := n.server.dial(t, from, p.Dest, true)
				echo(t, c)
				wantUnused(t, table, p, false)
				n.server.dial(t, port(from, 0), p.Dest, false)
				hangUp(c)
				n.server.dial(t, from, p.Dest, false)

				commit(t, table, opened(p))
				commit(t, table, closed(p))
				n.server.dial(t, from, p.Dest, false)
			})
		}
	}
}

// A pinhole of active mode, where any source port may come, and one of passive mode:
// the same from any port, and still only once.
func TestAnySourcePortTraffic(t *testing.T) {
	anyPort := active4
	anyPort.SourcePorts = alg.Ports{}
	for _, p := range []alg.Pinhole{anyPort, passive4, passive6} {
		t.Run(p.Mode.String()+" "+p.Source.String(), func(t *testing.T) {
			n, table := newGateway(t, func(c *Config, _ *Caps) { c.SourcePorts = []alg.Ports{{}} })
			src, dst := n.server, n.client
			if p.Mode == alg.Passive {
				src, dst = n.client, n.server
			}
			from, other := netip.AddrPortFrom(p.Source, 0), port(p.Dest, p.Dest.Port()+1)
			dst.listen(t, p.Dest)
			dst.listen(t, other)

			src.dial(t, from, p.Dest, false)
			commit(t, table, opened(p))
			src.dial(t, from, other, false)
			wantUnused(t, table, p, true)
			echo(t, src.dial(t, from, p.Dest, true))
			wantUnused(t, table, p, false)
			src.dial(t, from, p.Dest, false)
		})
	}
}

// A pinhole is for the host that was announced, not for its neighbour.
func TestOtherSource(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	n.client.listen(t, active4.Dest)
	neighbour := netip.MustParseAddr("10.2.5.6")
	n.server.run(t, func() error { return address("eth0", "10.2.5.6/24") })
	commit(t, table, opened(active4))
	n.server.dial(t, netip.AddrPortFrom(neighbour, 20), active4.Dest, false)
	wantUnused(t, table, active4, true)
}

// Beyond its time a pinhole admits nothing.
func TestExpiredTraffic(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	n.client.listen(t, active4.Dest)
	commit(t, table, alg.Op{Kind: alg.OpOpen, Pinhole: active4, Timeout: 100 * time.Millisecond})
	time.Sleep(200 * time.Millisecond)
	n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, false)
}

// The first SYN is lost on its way behind the gateway. Its repetition finds no pinhole,
// but that it is one.
func TestRepeatedSYN(t *testing.T) {
	for name, tag := range tags {
		t.Run(name, func(t *testing.T) {
			n, table := newGateway(t, func(c *Config, _ *Caps) { c.Tag = tag })
			n.client.listen(t, active4.Dest)
			n.client.load(t, `table inet lossy {
				chain input {
					type filter hook input priority filter; policy accept;
					tcp flags syn limit rate 1/day burst 1 packets counter drop
				}
			}`)
			commit(t, table, opened(active4))
			begin := time.Now()
			echo(t, n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, true))
			if time.Since(begin) < 900*time.Millisecond {
				t.Error("no SYN was lost: the test shows nothing")
			}
			n.client.do(t, func() {
				if got := nft(t, "list", "ruleset"); !strings.Contains(got, "counter packets 1 ") {
					t.Errorf("not one SYN was dropped:\n%s", got)
				}
			})
		})
	}
}

// Of two SYNs that look for the pinhole at the same moment one finds it. The first of
// them is here a rule that only looks, as a second CPU does before the first one has
// come to delete the element.
func TestTwoSYNsAtOnce(t *testing.T) {
	n, table := newGateway(t, func(_ *Config, caps *Caps) { caps.Owner = false }) // so that nft may insert a rule
	n.client.listen(t, active4.Dest)
	commit(t, table, opened(active4))
	n.gateway.do(t, func() {
		nft(t, "insert", "rule", "inet", "ftpalg", "pinholes",
			"ip saddr . tcp sport . ip daddr . tcp dport @active4 counter")
	})
	n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, false)
	n.gateway.do(t, func() {
		if got := nft(t, "list", "chain", "inet", "ftpalg", "pinholes"); !strings.Contains(got, "counter packets 1 ") {
			t.Errorf("the first of the two did not look:\n%s", got)
		}
	})
}

// A connection that established itself in another way does not use up a pinhole, nor
// does a packet that is no SYN.
func TestOnlyNewSYN(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	n.client.listen(t, active4.Dest)
	commit(t, table, opened(active4))
	c := n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, true)
	commit(t, table, opened(active4)) // the same ends once more, while the connection lives
	echo(t, c)
	wantUnused(t, table, active4, true)

	// Forget the connection: its next segment is new to the gateway, and no SYN.
	n.gateway.run(t, func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
	c.Write([]byte("hello"))
	time.Sleep(100 * time.Millisecond)
	wantUnused(t, table, active4, true)

	// A SYN that conntrack does not see cannot bear the tag.
	hangUp(c)
	n.gateway.load(t, `table inet raw {
		chain prerouting { type filter hook prerouting priority raw; notrack; }
	}`)
	n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, false)
	wantUnused(t, table, active4, true)
}

// A connection that fits two pinholes uses up one.
func TestOnePinholeAConnection(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	n.client.listen(t, active4.Dest)
	alike := alg.Pinhole{Mode: alg.Passive, Source: active4.Source, Dest: active4.Dest}
	commit(t, table, opened(active4), opened(alike))
	n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, true)
	wantUnused(t, table, active4, false)
	wantUnused(t, table, alike, true)
	n.server.dial(t, netip.AddrPortFrom(active4.Source, 0), active4.Dest, true)
	wantUnused(t, table, alike, false)
}
