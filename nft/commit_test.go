package nft

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

var (
	active4 = alg.Pinhole{
		Mode: alg.Active, Source: netip.MustParseAddr("10.2.5.5"), SourcePorts: port20,
		Dest: netip.MustParseAddrPort("10.1.4.4:46197"),
	}
	active6 = alg.Pinhole{
		Mode: alg.Active, Source: netip.MustParseAddr("fd00:2::5"), SourcePorts: port20,
		Dest: netip.MustParseAddrPort("[fd00:1::4]:46197"),
	}
	passive4 = alg.Pinhole{
		Mode: alg.Passive, Source: netip.MustParseAddr("10.1.4.4"),
		Dest: netip.MustParseAddrPort("10.2.5.5:30000"),
	}
	passive6 = alg.Pinhole{
		Mode: alg.Passive, Source: netip.MustParseAddr("fd00:1::4"),
		Dest: netip.MustParseAddrPort("[fd00:2::5]:30000"),
	}
	control4 = alg.Flow{Client: netip.MustParseAddrPort("10.1.4.4:50000"), Server: netip.MustParseAddrPort("10.2.5.5:21")}
	control6 = alg.Flow{Client: netip.MustParseAddrPort("[fd00:1::4]:50000"), Server: netip.MustParseAddrPort("[fd00:2::5]:21")}
)

func opened(p alg.Pinhole) alg.Op {
	return alg.Op{Kind: alg.OpOpen, Pinhole: p, Timeout: 30 * time.Second}
}

func closed(p alg.Pinhole) alg.Op { return alg.Op{Kind: alg.OpClose, Pinhole: p} }

func commit(t testing.TB, table *Table, ops ...alg.Op) {
	t.Helper()
	if err := table.Commit(ops); err != nil {
		t.Fatal(err)
	}
}

func wantUnused(t *testing.T, table *Table, p alg.Pinhole, want bool) {
	t.Helper()
	if got, err := table.Unused(p); got != want || err != nil {
		t.Errorf("Unused(%v) = %v, %v, want %v", p, got, err, want)
	}
}

// elements returns those of a set, as nft lists them but for what is left of the time.
func elements(t testing.TB, set string) string {
	t.Helper()
	kind := "set"
	if strings.HasPrefix(set, mapDNAT) || strings.HasPrefix(set, mapSNAT) {
		kind = "map"
	}
	_, list, _ := strings.Cut(nft(t, "list", kind, "inet", "ftpalg", set), "elements = {")
	list, _, _ = strings.Cut(list, "}")
	return strings.Join(strings.Fields(expiring.ReplaceAllString(list, "")), " ")
}

var expiring = regexp.MustCompile(` expires \w+`)

// everyKernel runs a test with what this kernel can do, and as on one that cannot
// destroy what is absent.
func everyKernel(t *testing.T, test func(t *testing.T, caps Caps)) {
	for _, destroy := range []bool{true, false} {
		t.Run(fmt.Sprintf("destroy=%v", destroy), func(t *testing.T) {
			inNamespace(t)
			caps := probe(t)
			if destroy && !caps.Destroy {
				t.Skip("this kernel has no NFT_MSG_DESTROYSETELEM")
			}
			caps.Destroy = destroy
			test(t, caps)
		})
	}
}

func TestOpenAndClose(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		table := install(t, defaults(), caps)
		for _, tt := range []struct {
			pinhole   alg.Pinhole
			set, want string
		}{
			{active4, "active4", "10.2.5.5 . 20 . 10.1.4.4 . 46197"},
			{active6, "active6", "fd00:2::5 . 20 . fd00:1::4 . 46197"},
			{passive4, "passive4", "10.1.4.4 . 10.2.5.5 . 30000"},
			{passive6, "passive6", "fd00:1::4 . fd00:2::5 . 30000"},
		} {
			wantUnused(t, table, tt.pinhole, false)
			commit(t, table, closed(tt.pinhole)) // absent: no error
			commit(t, table, opened(tt.pinhole))
			wantUnused(t, table, tt.pinhole, true)
			want := tt.want + " limit rate 1/day burst 1 packets timeout 30s"
			if got := elements(t, tt.set); got != want {
				t.Errorf("set %s has %q, want %q", tt.set, got, want)
			}
			transfers := setTransfers + tt.set[len(tt.set)-1:]
			want = strings.Replace(tt.want, " . 20", "", 1) + " timeout 1m"
			if got := elements(t, transfers); got != want {
				t.Errorf("set %s has %q, want %q", transfers, got, want)
			}
			commit(t, table, closed(tt.pinhole), closed(tt.pinhole))
			wantUnused(t, table, tt.pinhole, false)
			for _, set := range []string{tt.set, transfers} {
				if got := elements(t, set); got != "" {
					t.Errorf("set %s has %q after the close", set, got)
				}
			}
		}
	})
}

// Where any source port may come, the key has none.
func TestOpenAnySourcePort(t *testing.T) {
	inNamespace(t)
	cfg := defaults()
	cfg.SourcePorts = []alg.Ports{{}}
	table := install(t, cfg, probe(t))
	p := active4
	p.SourcePorts = alg.Ports{}
	commit(t, table, opened(p))
	wantUnused(t, table, p, true)
	if got := elements(t, "activeany4"); !strings.HasPrefix(got, "10.2.5.5 . 10.1.4.4 . 46197 ") {
		t.Errorf("set activeany4 has %q", got)
	}
}

// Each range of source ports has a set of its own, and single ports have one together.
func TestOpenBySourcePorts(t *testing.T) {
	inNamespace(t)
	cfg := defaults()
	low, port21 := alg.Ports{First: 1, Last: 1023}, alg.Ports{First: 21, Last: 21}
	cfg.SourcePorts = []alg.Ports{low, port20, {}, port21}
	table := install(t, cfg, probe(t))
	for _, tt := range []struct {
		ports     alg.Ports
		set, want string
	}{
		{port20, "active4", "10.2.5.5 . 20 . 10.1.4.4 . 46197 "},
		{port21, "active4", "10.2.5.5 . 21 . 10.1.4.4 . 46197 "},
		{low, "active1to1023_4", "10.2.5.5 . 10.1.4.4 . 46197 "},
		{alg.Ports{}, "activeany4", "10.2.5.5 . 10.1.4.4 . 46197 "},
	} {
		p := active4
		p.SourcePorts = tt.ports
		commit(t, table, opened(p))
		wantUnused(t, table, p, true)
		if got := elements(t, tt.set); !strings.HasPrefix(got, tt.want) {
			t.Errorf("set %s has %q, want %q", tt.set, got, tt.want)
		}
		commit(t, table, closed(p))
		wantUnused(t, table, p, false)
	}
}

// The operations of a transaction are done in order.
func TestCommitOrder(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		table := install(t, defaults(), caps)
		commit(t, table, opened(active4), closed(active4))
		wantUnused(t, table, active4, false)
		commit(t, table, closed(active4), opened(active4))
		wantUnused(t, table, active4, true)
	})
}

// A second OpOpen starts the time anew, and does not make a second element.
func TestOpenAgain(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		table := install(t, defaults(), caps)
		short := alg.Op{Kind: alg.OpOpen, Pinhole: active4, Timeout: 300 * time.Millisecond}
		commit(t, table, short)
		commit(t, table, opened(active4))
		time.Sleep(500 * time.Millisecond)
		wantUnused(t, table, active4, true)
		if got := elements(t, "active4"); strings.Count(got, "46197") != 1 || !strings.Contains(got, "timeout 30s") {
			t.Errorf("set active4 has %q", got)
		}
		commit(t, table, short)
		time.Sleep(500 * time.Millisecond)
		wantUnused(t, table, active4, false)
	})
}

// A flow may be released twice.
func TestRelease(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		table := install(t, defaults(), caps)
		for _, tt := range []struct {
			flow      alg.Flow
			set, want string
		}{
			{control4, "released4", "10.1.4.4 . 50000 . 10.2.5.5 . 21"},
			{control6, "released6", "fd00:1::4 . 50000 . fd00:2::5 . 21"},
		} {
			commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: tt.flow})
			commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: tt.flow})
			if got := elements(t, tt.set); got != tt.want {
				t.Errorf("set %s has %q, want %q", tt.set, got, tt.want)
			}
		}
	})
}

// A pinhole that was not used in time is none.
func TestExpiry(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	commit(t, table, alg.Op{Kind: alg.OpOpen, Pinhole: active4, Timeout: 200 * time.Millisecond})
	wantUnused(t, table, active4, true)
	time.Sleep(400 * time.Millisecond)
	wantUnused(t, table, active4, false)
	commit(t, table, closed(active4)) // no error either
	commit(t, table, opened(active4))
	wantUnused(t, table, active4, true)
}
