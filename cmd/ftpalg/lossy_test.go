package main_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
	"github.com/ftpalg/ftpalg/conntrack"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Many transfers in one session, of which every announcement changes its length: the
// sequence numbers are shifted by the sum of them.
func TestManyTransfersInOneSession(t *testing.T) {
	for _, a := range arrangements {
		for _, lossy := range []bool{false, true} {
			name := a.name
			if lossy {
				name += " with loss"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := newGatewayIn(t, a, "[pinhole]\ndeny_ports = []\n")
				if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
					t.Fatal(err)
				}
				g.count("ct state invalid")
				if lossy {
					g.loses()
				}
				for i, count := range []int{200, 50} {
					manyTransfers(t, g, g.families()[i], count)
				}
				if n := counted(t, g.Gateway); n != 0 {
					t.Errorf("%d packets were invalid", n)
				}
				if lossy && (counted(t, g.Client) == 0 || counted(t, g.Server) == 0) {
					t.Error("none was lost behind the gateway")
				}
			})
		}
	}
}

func manyTransfers(t *testing.T, g *gateway, f family, count int) {
	c := ftpLogin(t, g.Client, netip.AddrPortFrom(f.dials, 21))
	hows := announces[f.client.Is4()]
	for i := range count {
		c.hurries = i%3 == 0
		how := hows[i%len(hows)]
		want := bytes.Repeat([]byte(fmt.Sprintf("%s %d\n", how, i)), 1+i*37%500)
		name := fmt.Sprintf("%s-%d", f.name, i)
		path := g.Path(filepath.Join(lab.ServerFiles, name))
		if i/len(hows)%2 == 0 {
			c.put(how, name, want)
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("transfer %d, %s: %d bytes arrived of %d, or others: %v", i, how, len(got), len(want), err)
			}
			continue
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := c.get(how, name); !bytes.Equal(got, want) {
			t.Fatalf("transfer %d, %s: %d bytes arrived of %d, or others", i, how, len(got), len(want))
		}
	}
	for side, changes := range map[tcp.Side]bool{tcp.Client: g.in.masquerades, tcp.Server: g.in.forwards && f.server.Is4()} {
		if a := g.adjustments(c); (int(a[side].After) > count/8) != changes {
			t.Errorf("%s: adjusted by %+v", f.name, a)
		}
	}
	c.ask("QUIT", "221")
	c.conn.Close()
}

// adjustments are those of a control connection that stand in the gateway's kernel.
func (g *gateway) adjustments(c *ftpClient) [2]alg.Adjustment {
	g.t.Helper()
	flow := alg.Flow{Client: c.local(), Server: netip.AddrPortFrom(g.Server.IPv4, 21)}
	if flow.Client.Addr().Is6() {
		flow.Server = netip.AddrPortFrom(g.Server.IPv6, 21)
	}
	_, a, ok, err := g.tracking().Prepare(flow, false)
	if err != nil || !ok {
		g.t.Fatalf("asking for the adjustments of %+v: %v, %v", flow, ok, err)
	}
	return a
}

// tracking asks the gateway's connection tracking.
func (g *gateway) tracking() *conntrack.Conn {
	g.t.Helper()
	var conn *conntrack.Conn
	if err := g.Gateway.Do(func() (err error) { conn, err = conntrack.Open(0); return err }); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// count has the gateway count packets, before its filter.
func (g *gateway) count(match string) {
	g.t.Helper()
	if err := g.Gateway.LoadRuleset(g.t.Context(), `table inet counting {
	counter matched { }
	chain prerouting {
		type filter hook prerouting priority mangle
		`+match+` counter name matched
	}
}`); err != nil {
		g.t.Fatal(err)
	}
}

// counted returns how many packets a host has counted.
func counted(t *testing.T, h *lab.Host) (n int) {
	t.Helper()
	out, err := run(t, h, "nft list counter inet counting matched")
	m := regexp.MustCompile(`packets (\d+)`).FindStringSubmatch(out)
	if err != nil || m == nil {
		t.Fatal(err, out)
	}
	_, _ = fmt.Sscan(m[1], &n)
	return n
}

// loses has packets of control connections lost before the gateway and behind it, and sent
// twice by the ends, five of a hundred each.
func (g *gateway) loses() {
	g.t.Helper()
	loss := func(then string) string {
		return `	chain loss {
		type filter hook prerouting priority raw
		tcp dport 21 numgen random mod 100 < 5 ` + then + `drop
		tcp sport 21 numgen random mod 100 < 5 ` + then + `drop
	}
}
`
	}
	if err := g.Gateway.LoadRuleset(g.t.Context(), "table inet loss {\n"+loss("")); err != nil {
		g.t.Fatal(err)
	}
	for _, h := range []*lab.Host{g.Client, g.Server} {
		if err := h.LoadRuleset(g.t.Context(), "table inet counting {\n\tcounter matched { }\n"+loss("counter name matched ")+`
table netdev twice {
	chain egress {
		type filter hook egress device "eth0" priority filter
		tcp dport 21 numgen random mod 100 < 5 dup to "eth0"
		tcp sport 21 numgen random mod 100 < 5 dup to "eth0"
	}
}
`); err != nil {
			g.t.Fatal(err)
		}
	}
	g.sendsAgainSooner()
}

// sendsAgainSooner has both ends wait for less long before they send again.
func (g *gateway) sendsAgainSooner() {
	g.t.Helper()
	for _, h := range []*lab.Host{g.Client, g.Server} {
		// Those of the own network are another's where addresses are translated.
		const sooner = `for ip in "ip -4" "ip -6"; do
			$ip route show | grep -v fe80 | while read -r route; do $ip route change $route rto_min 20ms || exit; done || exit
		done`
		if out, err := run(g.t, h, sooner); err != nil {
			g.t.Fatal(err, out)
		}
	}
}
