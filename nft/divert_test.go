package nft

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ftpalg/ftpalg/alg"
)

// The dialogue is diverted from the SYN to the FIN of both sides, on one queue, and
// pure ACKs are not. Of a released connection the end alone is, until a new one takes its
// place.
func TestDivert(t *testing.T) {
	for _, flow := range []alg.Flow{control4, control6} {
		t.Run(flow.Client.String(), func(t *testing.T) {
			n, table := newGateway(t, func(*Config, *Caps) {})
			needs(t, table.caps.InnerHeader, "@ih")
			l := newListener(t, n.gateway, table.cfg)
			n.server.listen(t, flow.Server)
			set := "released4"
			if flow.Client.Addr().Is6() {
				set = "released6"
			}
			released := func(want bool) {
				t.Helper()
				n.gateway.do(t, func() {
					if got := elements(t, set); (got != "") != want {
						t.Errorf("set %s has %q", set, got)
					}
				})
			}

			c := n.client.dial(t, flow.Client, flow.Server, true)
			segs := l.want(t, "handshake", "50000>21 flags 0x2 payload 0", "21>50000 flags 0x12 payload 0")
			echo(t, c)
			segs = append(segs, l.want(t, "echo", "50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5")...)

			commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: flow})
			echo(t, c)
			l.want(t, "released")
			released(true)
			c.Close()
			l.want(t, "released, and its end", "50000>21 flags 0x11 payload 0", "21>50000 flags 0x11 payload 0")
			for _, s := range segs {
				if s.queue != segs[0].queue {
					t.Errorf("%v came to queue %d, the handshake to %d", s, s.queue, segs[0].queue)
				}
			}

			commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: flow})
			c = n.client.dial(t, flow.Client, flow.Server, true)
			l.want(t, "a new connection between the same ends",
				"50000>21 flags 0x2 payload 0", "21>50000 flags 0x12 payload 0")
			released(false)
			echo(t, c)
			l.want(t, "its echo", "50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5")
		})
	}
}

// The workers share the hosts.
func TestQueues(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	l := newListener(t, n.gateway, table.cfg)
	n.server.listen(t, control4.Server)
	used := make(map[int]bool)
	for i := range 20 {
		client := netip.AddrFrom4([4]byte{10, 1, 4, byte(100 + i)})
		n.client.run(t, func() error { return address("eth0", client.String()+"/24") })
		n.client.dial(t, netip.AddrPortFrom(client, 0), control4.Server, true)
	}
	for _, s := range l.take() {
		used[s.queue] = true
	}
	if !used[0] || !used[1] {
		t.Errorf("20 clients used the queues %v of 2", used)
	}
}

// A SYN that conntrack does not call new may be anybody's: it is not diverted, and a
// released connection stays released.
func TestForgedSYN(t *testing.T) {
	for _, inner := range []bool{true, false} {
		for _, flow := range []alg.Flow{control4, control6} {
			t.Run(fmt.Sprintf("@ih=%v %v", inner, flow.Client), func(t *testing.T) {
				n, table := newGateway(t, func(_ *Config, caps *Caps) { caps.InnerHeader = caps.InnerHeader && inner })
				n.gateway.load(t, "insert rule inet filter forward ct state invalid accept") // as the server's is
				l := newListener(t, n.gateway, table.cfg)
				n.server.listen(t, flow.Server)
				c := n.client.dial(t, flow.Client, flow.Server, true)
				echo(t, c)
				passed := n.gateway.counts(t, "passed", "hook forward priority 50",
					"tcp flags & (fin|syn|rst|ack) == syn ct state != new", "drop")
				forge := func(what string) {
					t.Helper()
					l.take()
					for _, data := range [][]byte{nil, []byte("USER x\r\n")} {
						n.client.send(t, flow.Client, flow.Server, 12345, syn, data...)
						n.server.send(t, flow.Server, flow.Client, 12345, syn, data...)
					}
					l.want(t, what)
					wantCount(t, what+": what the operator accepted", passed, 4)
				}
				forge("forged SYNs of both ends")
				commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: flow})
				forge("after the release")
				n.gateway.do(t, func() {
					set := "released4"
					if flow.Client.Addr().Is6() {
						set = "released6"
					}
					if elements(t, set) == "" {
						t.Error("the connection is released no longer")
					}
				})
			})
		}
	}
}

// A SYN is diverted as often as it comes, while it has no answer, and with what it brings.
func TestDivertSYN(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	l := newListener(t, n.gateway, table.cfg)
	n.server.silence(t)
	n.client.syn(t, control4.Client, control4.Server, 1)
	n.client.syn(t, control4.Client, control4.Server, 2)
	n.client.send(t, control4.Client, control4.Server, 3, syn, 'U', 'S', 'E', 'R')
	l.want(t, "SYNs", "50000>21 flags 0x2 payload 0", "50000>21 flags 0x2 payload 0", "50000>21 flags 0x2 payload 4")
}

// expires returns what is left of the time of a set's only element.
func (h *host) expires(t *testing.T, set string) time.Duration {
	t.Helper()
	var list string
	h.do(t, func() { list = nft(t, "list", "set", "inet", "ftpalg", set) })
	_, left, _ := strings.Cut(list, "expires ")
	left, _, _ = strings.Cut(left, " ")
	d, err := time.ParseDuration(left)
	if err != nil {
		t.Fatalf("%v in\n%s", err, list)
	}
	return d
}

// A packet of a released connection starts its hour anew.
func TestReleasedIsRefreshed(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	l := newListener(t, n.gateway, table.cfg)
	n.server.listen(t, control4.Server)
	c := n.client.dial(t, control4.Client, control4.Server, true)
	echo(t, c)
	l.take()
	expires := func() time.Duration { return n.gateway.expires(t, "released4") }
	commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: control4})
	time.Sleep(500 * time.Millisecond)
	silent := expires()
	echo(t, c)
	if after := expires(); after <= silent || after > releasedFor {
		t.Errorf("%v were left after a silence, and %v after a packet", silent, after)
	}
	l.want(t, "released")
}

// Without @ih all packets are diverted, so that the dialogue is read all the same.
func TestDivertWithoutInnerHeader(t *testing.T) {
	n, table := newGateway(t, func(_ *Config, caps *Caps) { caps.InnerHeader = false })
	l := newListener(t, n.gateway, table.cfg)
	n.server.listen(t, control4.Server)
	n.client.dial(t, control4.Client, control4.Server, true)
	l.want(t, "handshake", "50000>21 flags 0x2 payload 0", "21>50000 flags 0x12 payload 0", "50000>21 flags 0x10 payload 0")
}

// Other ports are nobody's business, and neither is what the operator's chain drops.
func TestDivertOnlyWhatIsAccepted(t *testing.T) {
	n, table := newGateway(t, func(c *Config, _ *Caps) { c.Ports = []uint16{21, 2121} })
	n.gateway.load(t, `insert rule inet filter forward tcp dport 2122 accept
		insert rule inet filter forward tcp dport 2121 accept
		insert rule inet filter forward tcp dport { 21, 2121 } meta length > 500 drop`)
	l := newListener(t, n.gateway, table.cfg)
	for _, p := range []uint16{2121, 2122} {
		server := port(control4.Server, p)
		n.server.listen(t, server)
		c := n.client.dial(t, port(control4.Client, 0), server, true)
		echo(t, c)
		segs := l.take()
		if got := len(segs) > 0; got != (p == 2121) {
			t.Errorf("port %d: diverted is %v", p, segs)
		}
		if p == 2121 {
			c.Write(make([]byte, 1000))
			l.want(t, "what the operator drops")
		}
	}
}

// Who connects from a control port is no server.
func TestDivertNoClientFromControlPort(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	n.gateway.load(t, "insert rule inet filter forward tcp dport 8021 accept")
	l := newListener(t, n.gateway, table.cfg)
	n.server.listen(t, port(control4.Server, 8021))
	c := n.client.dial(t, port(control4.Client, 21), port(control4.Server, 8021), true)
	echo(t, c)
	hangUp(c)
	l.want(t, "from port 21 to port 8021")

	n.server.listen(t, control4.Server)
	echo(t, n.client.dial(t, port(control4.Client, 21), control4.Server, true))
	l.want(t, "from port 21 to port 21", "21>21 flags 0x2 payload 0", "21>21 flags 0x12 payload 0",
		"21>21 flags 0x10 payload 5", "21>21 flags 0x10 payload 5")
}

// A packet that conntrack does not know what to do with can still have a receiver.
func TestDivertInvalid(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	n.gateway.load(t, "insert rule inet filter forward ct state invalid tcp sport 21 accept")
	l := newListener(t, n.gateway, table.cfg)
	n.server.listen(t, control4.Server)
	c := n.client.dial(t, control4.Client, control4.Server, true)
	l.take()
	n.gateway.run(t, func() error {
		// From here on the connection is one whose beginning was not seen.
		if err := os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", []byte("0"), 0); err != nil {
			return err
		}
		return netlink.ConntrackTableFlush(netlink.ConntrackTable)
	})
	echo(t, c)
	l.want(t, "invalid", "50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5")
}

// While no one listens, control packets pass or do not, as configured.
func TestNobodyListens(t *testing.T) {
	for _, bypass := range []bool{true, false} {
		t.Run(fmt.Sprintf("bypass=%v", bypass), func(t *testing.T) {
			n, _ := newGateway(t, func(c *Config, _ *Caps) { c.Bypass = bypass })
			n.server.listen(t, control4.Server)
			n.client.dial(t, control4.Client, control4.Server, bypass)
		})
	}
}

// A single host, behind a filter of its own: pinholes out of it and into it.
func TestSingleHost(t *testing.T) {
	n := newNetwork(t)
	n.gateway.load(t, "flush ruleset")
	const filter = `table inet filter {
		chain input { type filter hook input priority filter; policy drop;
			ct state established,related accept; tcp dport 21 accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }
		chain output { type filter hook output priority filter; policy drop;
			ct state established,related accept; tcp dport 21 accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }
	}`
	n.server.load(t, filter)
	cfg := defaults()
	cfg.Hooks = []string{"input", "output"}
	var table *Table
	n.server.do(t, func() {
		table = install(t, cfg, probe(t))
		anchor(t, "inet filter", cfg.Hooks, cfg.Tag)
	})
	l := newListener(t, n.server, cfg)
	n.server.listen(t, control4.Server)
	c := n.client.dial(t, control4.Client, control4.Server, true)
	echo(t, c)
	l.want(t, "control connection", "50000>21 flags 0x2 payload 0", "21>50000 flags 0x12 payload 0",
		"50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5")

	for _, p := range []alg.Pinhole{active4, active6, passive4, passive6} {
		src, dst := n.server, n.client
		if p.Mode == alg.Passive {
			src, dst = n.client, n.server
		}
		from := netip.AddrPortFrom(p.Source, p.SourcePorts.First)
		dst.listen(t, p.Dest)
		src.dial(t, from, p.Dest, false)
		commit(t, table, opened(p))
		echo(t, src.dial(t, from, p.Dest, true))
		wantUnused(t, table, p, false)
		src.dial(t, port(from, 0), p.Dest, false)
	}
}
