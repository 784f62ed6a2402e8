package nft

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/nftables"

	"github.com/ftpalg/ftpalg/alg"
)

// Ours go before the first and after the last filter chain of others on the hook.
func TestPlacement(t *testing.T) {
	base := func(family, typ, hook, priority string) string {
		return "table " + family + " x { chain c { type " + typ + " hook " + hook + " priority " + priority + "; }; }\n"
	}
	for _, tt := range []struct {
		name, rules   string
		before, after int
	}{
		{"nobody", "", -10, 10},
		{"at filter", operator, -10, 10},
		{"firewalld", base("inet", "filter", "forward", "filter + 10"), -10, 11},
		{"the same priority as ours", base("ip", "filter", "forward", "-10") + base("ip6", "filter", "forward", "10"), -11, 11},
		{"security", base("ip", "filter", "forward", "security"), -10, 51},
		{"several", operator + base("ip", "filter", "forward", "-20") + base("ip6", "filter", "forward", "30"), -21, 31},
		{"the last that count", base("ip", "filter", "forward", "-99") + base("ip6", "filter", "forward", "99"), -100, 100},
		{"beyond", base("ip", "filter", "forward", "-150") + base("ip6", "filter", "forward", "100"), -10, 10},
		{"another hook", base("inet", "filter", "input", "20"), -10, 10},
		{"a bridge's", base("bridge", "filter", "forward", "20"), -10, 10},
		{"no base chain", "table inet x { chain c { accept; }; }", -10, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inNamespace(t)
			load(t, tt.rules)
			install(t, defaults(), probe(t)) // which is not regarded
			before, after, err := Placement([]string{"forward"})
			if before != tt.before || after != tt.after || err != nil {
				t.Errorf("Placement = %d, %d, %v, want %d, %d", before, after, err, tt.before, tt.after)
			}
		})
	}
	inNamespace(t)
	load(t, base("inet", "filter", "input", "20")+strings.ReplaceAll(base("ip", "filter", "output", "-20"), " x ", " y "))
	if before, after, err := Placement([]string{"input", "output"}); before != -21 || after != 21 || err != nil {
		t.Errorf("Placement on two hooks = %d, %d, %v", before, after, err)
	}
}

// The chains follow the operator's, each time in one transaction, and the sets stay.
func TestFollow(t *testing.T) {
	for _, owner := range []bool{true, false} {
		inNamespace(t)
		caps, cfg := probe(t), defaults()
		caps.Owner = caps.Owner && owner
		cfg.Hooks = []string{"input", "output", "forward"}
		load(t, operator)
		table := install(t, cfg, caps)
		commit(t, table, opened(active4))
		list := func() string {
			return timeless(nft(t, "list", "table", "inet", "ftpalg") + nft(t, "list", "table", "inet", guardName))
		}
		text := list()
		generation := func() uint32 {
			t.Helper()
			gen, err := table.conn.GetGen()
			if err != nil {
				t.Fatal(err)
			}
			return gen.ID
		}
		follow := func(want bool) {
			t.Helper()
			g := generation()
			if moved, err := table.Follow(); moved != want || err != nil {
				t.Errorf("Follow = %v, %v, want %v", moved, err, want)
			}
			if steps := generation() - g; steps != 0 && !want || steps != 1 && want {
				t.Errorf("Follow took %d transactions", steps)
			}
			wantUnused(t, table, active4, true)
		}
		follow(false)
		load(t, "table ip docker { chain f { type filter hook forward priority 20; }; chain o { type filter hook output priority -15; }; }")
		follow(true)
		follow(false)
		same := func(before, after int) {
			t.Helper()
			if got := list(); got != text {
				t.Errorf("there is\n%s\nand not\n%s", got, text)
			}
			for name, p := range priorities(t) {
				want := after
				switch name, _, _ := strings.Cut(name, "_"); name {
				case "pinholes":
					want = before
				case "guard":
					want = after + 1
				case "guardagain":
					want = after + 2
				case "outside":
					want = -10
				case "translate":
					want = p // beside NAT, not filter
				}
				if p != want {
					t.Errorf("chain %s has priority %d, want %d", name, p, want)
				}
			}
		}
		same(-16, 21)
		load(t, "delete table ip docker")
		follow(true)
		same(-10, 10)
		table.Close()
		if _, err := table.Follow(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// timeless takes out where the chains stand and what is left of an element's time.
func timeless(text string) string {
	return regexp.MustCompile(`priority [^;]*;| expires \w+`).ReplaceAllString(text, "")
}

// priorities returns those of the table's base chains.
func priorities(t *testing.T) map[string]int {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]int)
	for _, c := range chains {
		if (c.Table.Name == tableName || c.Table.Name == guardName) && c.Priority != nil {
			all[c.Name] = int(*c.Priority)
		}
	}
	return all
}

// Where the operator's chain stands as firewalld's does, what is admitted gets through, in
// the table's new place as in one that was right from the start.
func TestFollowTraffic(t *testing.T) {
	for _, placed := range []bool{true, false} {
		n := newNetwork(t)
		n.gateway.load(t, "flush ruleset"+strings.Replace(operator, "priority filter;", "priority filter + 10;", 1))
		var table *Table
		n.gateway.do(t, func() {
			cfg := defaults()
			if placed {
				var err error
				if cfg.Before, cfg.After, err = Placement(cfg.Hooks); err != nil {
					t.Fatal(err)
				}
			}
			table = install(t, cfg, probe(t))
			if moved, err := table.Follow(); moved == placed || err != nil {
				t.Errorf("Follow = %v, %v", moved, err)
			}
			anchor(t, "inet filter", []string{"forward"}, cfg.Tag)
		})
		l := newListener(t, n.gateway, table.cfg)
		n.client.listen(t, active4.Dest)
		from := netip.AddrPortFrom(active4.Source, 20)
		n.server.dial(t, from, active4.Dest, false)
		commit(t, table, opened(active4))
		echo(t, n.server.dial(t, from, active4.Dest, true))
		n.server.listen(t, control4.Server)
		n.client.dial(t, control4.Client, control4.Server, true)
		l.want(t, "handshake", "50000>21 flags 0x2 payload 0", "21>50000 flags 0x12 payload 0")
		commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: control4})
	}
}

// After a flush the table is put back where it stood.
func TestRestoreInPlace(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	caps.Owner = false
	cfg := defaults()
	table := install(t, cfg, caps)
	load(t, "table ip x { chain c { type filter hook forward priority 20; }; }")
	if moved, err := table.Follow(); !moved || err != nil {
		t.Fatalf("Follow = %v, %v", moved, err)
	}
	nft(t, "delete", "table", "inet", "ftpalg")
	want := "type filter hook forward priority 21;"
	if restored, err := table.Restore(); !restored || err != nil {
		t.Errorf("Restore = %v, %v", restored, err)
	}
	if got := nft(t, "list", "chain", "inet", "ftpalg", "divert_forward"); !strings.Contains(got, want) {
		t.Errorf("there is no %q in\n%s", want, got)
	}
	// A table that is gone is not moved, and is not taken to be where it should.
	nft(t, "flush", "ruleset")
	if moved, err := table.Follow(); moved || err == nil {
		t.Errorf("Follow without a table = %v, %v", moved, err)
	}
	if restored, err := table.Restore(); !restored || err != nil {
		t.Errorf("Restore = %v, %v", restored, err)
	}
	if moved, err := table.Follow(); !moved || err != nil {
		t.Errorf("Follow = %v, %v", moved, err)
	}
}
