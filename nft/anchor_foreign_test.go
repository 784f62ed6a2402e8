package nft

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// An operator's chain may hold anything, and rules whose user data is not nft's.
func TestAnchorAmongOthers(t *testing.T) {
	inNamespace(t)
	load(t, `table inet filter {
		set dyn { type ipv4_addr; size 100; flags dynamic,timeout; }
		counter c { }
		quota q { over 10 mbytes }
		chain other { }
		chain forward {
			type filter hook forward priority filter; policy drop;
			limit rate over 100 kbytes/second burst 10 kbytes drop
			limit rate 3/week accept
			quota over 10 mbytes drop
			ct count over 5 drop
			fib saddr . iif oif missing drop
			tcp option maxseg size set rt mtu
			log prefix "x" level debug flags all
			reject with icmpx type port-unreachable
			numgen inc mod 2 vmap { 0 : accept, 1 : drop }
			jhash ip saddr mod 4 vmap { 0 : accept, 1 : drop }
			ip saddr . tcp dport { 10.0.0.1 . 22 } accept
			tcp dport vmap { 22 : accept, 80 : jump other }
			meta time >= "2020-01-01 00:00:00" accept
			ct helper "ftp" accept
			ct bytes > 100 accept
			ct id 5 accept
			ipsec in reqid 1 accept
			osf name "Linux" accept
			synproxy mss 1460 wscale 7 timestamp sack-perm
			iifname "eth*" oifname { "a", "b" } accept
			add @dyn { ip saddr limit rate over 5/minute } drop
			update @dyn { ip saddr timeout 1m counter }
			counter name "c" accept
			quota name "q" drop
			ct mark set ip dscp map { cs1 : 1 }
			@nh,8,8 set 5
		}
	}`)
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := &nftables.Table{Name: "filter", Family: nftables.TableFamilyINet}
	for _, data := range []string{"\x00", "\x00\xff", "raw", "\x00\x13inserted by ftpal!\x00"} {
		conn.AddRule(&nftables.Rule{
			Table: table, Chain: &nftables.Chain{Name: "forward"},
			Exprs: []expr.Any{&expr.Counter{}}, UserData: []byte(data),
		})
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	before := nft(t, "list", "ruleset")
	a := anchor(t, "inet filter", []string{"forward"}, tag126)
	if chains, err := a.Accepts(); err != nil || !chains[0].Accepts {
		t.Errorf("Accepts = %v, %v", chains, err)
	}
	if err := a.Remove(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, nft(t, "list", "ruleset")); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	if chains, err := a.Accepts(); err != nil || chains[0].Accepts {
		t.Errorf("without the line: Accepts = %v, %v", chains, err)
	}
}

// A table of iptables-nft gets the line in iptables' own form, and it works.
func TestAnchorOfIptables(t *testing.T) {
	for name, tag := range tags {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			n.gateway.load(t, `flush ruleset
				table ip filter {
					chain INPUT { type filter hook input priority filter; policy accept; }
					chain FORWARD { type filter hook forward priority filter; policy drop; ct state established,related accept; }
				}`)
			cfg := defaults()
			cfg.Tag = tag
			var table *Table
			n.gateway.do(t, func() {
				table = install(t, cfg, probe(t))
				a := anchor(t, "ip filter", []string{"FORWARD"}, tag)
				code := nft(t, "--debug=netlink", "list", "chain", "ip", "filter", "FORWARD")
				for _, want := range []string{"[ match name connlabel rev", "[ match name mark rev"} {
					if !strings.Contains(code, want) {
						t.Errorf("there is no %q in\n%s", want, code)
					}
				}
				if inserted, err := a.Ensure(); inserted || err != nil {
					t.Errorf("once more: %v, %v", inserted, err)
				}
				if chains, err := a.Accepts(); err != nil || !chains[0].Accepts {
					t.Errorf("Accepts = %v, %v", chains, err)
				}
			})
			n.client.listen(t, active4.Dest)
			from := netip.AddrPortFrom(active4.Source, 20)
			n.server.dial(t, from, active4.Dest, false)
			commit(t, table, opened(active4))
			echo(t, n.server.dial(t, from, active4.Dest, true))
		})
	}
}

// What -m connlabel and -m mark say, in other words than ours.
func TestAcceptsIptables(t *testing.T) {
	label := func(bit, options byte) *expr.Match {
		return &expr.Match{Name: "connlabel", Info: &xt.Unknown{bit, 0, options, 0, 0, 0, 0, 0}}
	}
	mark := func(name string, value, mask uint32, invert byte) *expr.Match {
		info := xt.Unknown(append(append(native(value), native(mask)...), invert, 0, 0, 0, 0, 0, 0, 0))
		return &expr.Match{Name: name, Rev: 1, Info: &info}
	}
	good, bit := label(126, 0), uint32(0x01000000)
	for _, tt := range []struct {
		name                  string
		matches               []*expr.Match
		wantLabel, wantMarked bool
	}{
		{"both", []*expr.Match{good, mark("mark", bit, bit, 0)}, true, true},
		{"the other way round", []*expr.Match{mark("mark", bit, bit, 0), good}, true, true},
		{"label", []*expr.Match{good}, true, false},
		{"mark", []*expr.Match{mark("mark", bit, bit, 0)}, false, true},
		{"label, and sets it", []*expr.Match{label(126, 2)}, false, false},
		{"another label", []*expr.Match{label(125, 0), mark("mark", bit, bit, 0)}, false, false},
		{"not the label", []*expr.Match{label(126, 1)}, false, false},
		{"another mark", []*expr.Match{good, mark("mark", 2, 2, 0)}, false, false},
		{"a bit that is not ours", []*expr.Match{good, mark("mark", bit, bit|1, 0)}, false, false},
		{"not the mark", []*expr.Match{good, mark("mark", bit, bit, 1)}, false, false},
		{"every mark", []*expr.Match{mark("mark", 0, 0, 0)}, false, false},
		{"the connection's mark", []*expr.Match{mark("connmark", bit, bit, 0)}, false, false},
		{"cut off", []*expr.Match{{Name: "mark", Info: &xt.Unknown{1, 2, 3}}}, false, false},
		{"cut off label", []*expr.Match{{Name: "connlabel", Info: &xt.Unknown{}}}, false, false},
		{"another match", []*expr.Match{{Name: "comment", Info: new(xt.Comment)}}, false, false},
	} {
		var rule []expr.Any
		for _, m := range tt.matches {
			rule = append(rule, m)
		}
		rule = append(rule, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept})
		if label, mark := tag126.asks(rule); label != tt.wantLabel || mark != tt.wantMarked {
			t.Errorf("%s: label %v, mark %v, want %v, %v", tt.name, label, mark, tt.wantLabel, tt.wantMarked)
		}
	}
}

// A table that belongs to another process, as that of newer versions of firewalld does: the
// error says what is the matter, since EPERM alone sounds like a missing capability.
func TestAnchorInATableOfAnotherProcess(t *testing.T) {
	inNamespace(t)
	needs(t, probe(t).Owner, "owned tables")
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseLasting() }()
	table := conn.AddTable(&nftables.Table{Name: "firewalld", Family: nftables.TableFamilyINet, Flags: nftables.TableFlagOwner})
	conn.AddChain(&nftables.Chain{Name: "filter_FORWARD", Table: table})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAnchor("inet firewalld", []string{"filter_FORWARD"}, defaults().Tag)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	inserted, err := a.Ensure()
	if inserted || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "inet firewalld belongs to another process") {
		t.Errorf("Ensure = %v, %v", inserted, err)
	}
}
