package nft

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// New ranges get their sets and rules as if they had been there from the start, and
// what is in the sets stays.
func TestWiden(t *testing.T) {
	inNamespace(t)
	low, ftps := alg.Ports{First: 1, Last: 1023}, alg.Ports{First: 50000, Last: 50100}
	cfg := defaults()
	table := install(t, cfg, probe(t))
	hole := func(source alg.Ports) alg.Pinhole {
		return alg.Pinhole{
			Mode: alg.Active, Source: netip.MustParseAddr("10.2.5.5"), SourcePorts: source,
			Dest: netip.MustParseAddrPort("10.1.4.4:46197"),
		}
	}
	open := func(p alg.Pinhole) error {
		return table.Commit([]alg.Op{{Kind: alg.OpOpen, Pinhole: p, Timeout: time.Minute}})
	}
	wantOpen := func(p alg.Pinhole) {
		t.Helper()
		if unused, err := table.Unused(p); err != nil || !unused {
			t.Errorf("%v is open: %t, %v", p, unused, err)
		}
	}
	if err := open(hole(port20)); err != nil {
		t.Fatal(err)
	}
	if err := open(hole(low)); err == nil {
		t.Error("a range that the table does not know was opened")
	}
	if err := table.Widen(cfg.SourcePorts, nil); err != nil { // it knows them
		t.Fatal(err)
	}
	wantOpen(hole(port20))
	if err := table.Widen([]alg.Ports{low, {}}, []alg.Ports{ftps}); err != nil {
		t.Fatal(err)
	}
	wantOpen(hole(port20))
	for _, ports := range []alg.Ports{low, {}} {
		if err := open(hole(ports)); err != nil {
			t.Error(err)
		}
		wantOpen(hole(ports))
	}
	r := alg.Range{Client: netip.MustParseAddr("10.1.4.4"), Server: netip.MustParseAddr("10.2.5.5"), Ports: ftps}
	if err := table.Commit([]alg.Op{{Kind: alg.OpAdmit, Range: r, Timeout: time.Minute}}); err != nil {
		t.Error(err)
	}
	chains := func() string {
		var all strings.Builder
		for _, c := range newRuleset(cfg, probe(t)).all() {
			all.WriteString(nft(t, "list", "chain", "inet", tableName, c.name))
		}
		return all.String()
	}
	widened := chains()
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.SourcePorts, cfg.FTPS = []alg.Ports{{}, low, port20}, []alg.Ports{ftps}
	table = install(t, cfg, probe(t))
	if fresh := chains(); widened != fresh || !strings.Contains(fresh, "activeany4") {
		t.Errorf("widened:\n%s\nfrom the start:\n%s", widened, fresh)
	}
}

func TestWidenWithoutCount(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	caps.Count = false
	table := install(t, defaults(), caps)
	if err := table.Widen(nil, []alg.Ports{{First: 50000, Last: 50100}}); !errors.Is(err, ErrNoCount) {
		t.Errorf("%v, want %v", err, ErrNoCount)
	}
	if err := table.Widen([]alg.Ports{{}}, nil); err != nil {
		t.Error(err)
	}
}

// A firewall that is reloaded has its services reloaded with it (systemd's
// ReloadPropagatedFrom=), and may have flushed our table just then.
func TestWidenWhatIsGone(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	caps.Owner = false
	table := install(t, defaults(), caps)
	nft(t, "delete", "table", "inet", tableName)
	if err := table.Widen([]alg.Ports{{}}, nil); err != nil {
		t.Fatal(err)
	}
	if restored, err := table.Restore(); !restored || err != nil {
		t.Errorf("Restore = %v, %v", restored, err)
	}
	nft(t, "list", "set", "inet", tableName, "activeany4")
}
