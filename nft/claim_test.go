package nft

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// Two clients behind one address announce the same port. Each has a port outside, and
// nobody can have that of the other.
func TestTwoClientsOnePort(t *testing.T) {
	n, table := newTranslator(t, masquerade, func(*Config, *Caps) {})
	n.client.run(t, func() error { return address("eth0", "10.1.4.6/24") })
	first, second := masked4, masked4
	second.Dest = netip.MustParseAddrPort("10.1.4.6:46197")
	at4, at6 := n.client.listen(t, first.Dest), n.client.listen(t, second.Dest)
	commit(t, table, opened(first))
	if err := table.Commit([]alg.Op{opened(second)}); !errors.Is(err, unix.EEXIST) {
		t.Errorf("the outside port of another client: %v, want EEXIST", err)
	}
	wantUnused(t, table, second, false)
	second = at(second, serverSide4, 40223)
	commit(t, table, opened(second))
	from := netip.AddrPortFrom(first.Source, 20)
	echo(t, n.server.dial(t, from, second.At, true))
	if len(at4) != 0 || len(at6) != 1 {
		t.Errorf("%d connections came to the first client and %d to the second", len(at4), len(at6))
	}
	wantUnused(t, table, first, true)
	echo(t, n.server.dial(t, from, first.At, true))
	if len(at4) != 1 {
		t.Error("no connection came to the first client")
	}
}

// An element of a map is not taken away from whom it belongs to; its owner can open it anew.
func TestClaim(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		table := install(t, defaults(), caps)
		owner := as(masked4, clientSide4)
		other, source := owner, owner
		other.Dest = port(owner.Dest, 2000)
		source.At, source.As = netip.AddrPort{}, netip.MustParseAddr("10.1.4.2")
		short := alg.Op{Kind: alg.OpOpen, Pinhole: owner, Timeout: 300 * time.Millisecond}
		commit(t, table, short)
		for _, p := range []alg.Pinhole{other, source} {
			err := table.Commit([]alg.Op{opened(active6), opened(p)})
			if !errors.Is(err, unix.EEXIST) || !strings.Contains(err.Error(), describePinhole(p)) {
				t.Errorf("%s: %v, want EEXIST and its name", describePinhole(p), err)
			}
		}
		wantUnused(t, table, active6, false)
		wantUnused(t, table, other, false)
		commit(t, table, opened(owner))
		time.Sleep(900 * time.Millisecond) // more than twice the time that it had
		for set, want := range map[string]string{
			"dnat4":       "10.2.5.5 . 10.2.5.1 . 40222 timeout 1m : 10.1.4.4 . 46197",
			"snat4":       "10.2.5.5 . 10.1.4.4 . 46197 timeout 1m : 10.1.4.1",
			"outside4":    "10.2.5.5 . 10.2.5.1 . 40222 timeout 1m",
			"translated4": "10.2.5.5 . 10.1.4.4 . 46197 timeout 1m2s",
		} {
			wantElements(t, set, want)
		}
		commit(t, table, closed(owner), closed(owner))
		for set, want := range map[string]string{
			"dnat4": "", "snat4": "", "outside4": "", "transfers4": "",
			// What was translated a moment ago is still to be known as such.
			"translated4": "10.2.5.5 . 10.1.4.4 . 46197 timeout 2s",
		} {
			wantElements(t, set, want)
		}
		commit(t, table, opened(other))
		// Time too is up for who comes next.
		commit(t, table, closed(other), short)
		time.Sleep(700 * time.Millisecond)
		commit(t, table, opened(other))
	})
}

func wantElements(t *testing.T, set, want string) {
	t.Helper()
	if got := elements(t, set); got != want {
		t.Errorf("%s has %q, want %q", set, got, want)
	}
}

// Without a translation nothing is written that would not be without ours.
func TestNothingTranslated(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	commit(t, table, opened(active4), opened(active6), opened(passive4), opened(passive6))
	for _, set := range []string{"dnat4", "dnat6", "snat4", "snat6", "outside4", "outside6", "translated4", "translated6"} {
		wantElements(t, set, "")
	}
}

func TestTranslationRefused(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	for _, p := range []alg.Pinhole{
		at(active4, serverSide6, 40222), at(active6, serverSide4, 40222), at(active4, serverSide4, 0),
		at(active4, netip.MustParseAddr("::ffff:10.2.5.1"), 40222), as(active4, clientSide6), as(active6, clientSide4),
		as(active6, netip.MustParseAddr("::ffff:10.1.4.1")),
	} {
		for _, op := range []alg.Op{opened(p), closed(p)} {
			if err := table.Commit([]alg.Op{op}); !errors.Is(err, unix.EINVAL) {
				t.Errorf("%s: %v, want EINVAL", describe(op), err)
			}
		}
		wantUnused(t, table, p, false)
	}
	short := opened(masked4)
	short.Timeout = time.Microsecond
	if err := table.Commit([]alg.Op{short}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("time-out %v: %v, want EINVAL", short.Timeout, err)
	}
}
