package nft

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	nflog "github.com/ftpalg/ftpalg/nft/queue"
)

// teller has what the table's rules log.
type teller struct {
	mu      sync.Mutex
	entries []nflog.LogEntry
}

// newTeller listens to the group on the host for the time of the test.
func newTeller(t *testing.T, h *host, cfg Config) *teller {
	t.Helper()
	var l *nflog.Log
	h.run(t, func() (err error) {
		l, err = nflog.OpenLog(cfg.group())
		return err
	})
	tell := new(teller)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- l.Run(ctx, func(e nflog.LogEntry) {
			tell.mu.Lock()
			defer tell.mu.Unlock()
			tell.entries = append(tell.entries, e)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return tell
}

// take returns what came since the last call, when nothing more is on its way.
func (tell *teller) take() []nflog.LogEntry {
	time.Sleep(150 * time.Millisecond)
	tell.mu.Lock()
	defer tell.mu.Unlock()
	entries := tell.entries
	tell.entries = nil
	return entries
}

// want fails the test if other prefixes came.
func (tell *teller) want(t *testing.T, what string, want ...string) []nflog.LogEntry {
	t.Helper()
	entries := tell.take()
	var got []string
	for _, e := range entries {
		got = append(got, e.Prefix)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: told was %q, want %q", what, got, want)
	}
	return entries
}

// A SYN of a server with a control connection, to a port that could be one of a data
// connection, that finds no pinhole is told, and goes on to the operator's chain.
func TestMissed(t *testing.T) {
	for _, tt := range []struct {
		flow    alg.Flow
		pinhole alg.Pinhole
	}{{control4, active4}, {control6, active6}} {
		t.Run(tt.flow.Client.String(), func(t *testing.T) {
			n, table := newGateway(t, func(*Config, *Caps) {})
			needs(t, table.caps.Log, "the log statement")
			tell, heard := newTeller(t, n.gateway, table.cfg), n.client.silence(t)
			from := netip.AddrPortFrom(tt.pinhole.Source, 33333)

			n.server.syn(t, from, tt.pinhole.Dest, 1)
			tell.want(t, "without a control connection")
			n.server.listen(t, tt.flow.Server)
			c := n.client.dial(t, tt.flow.Client, tt.flow.Server, true)
			echo(t, c)
			commit(t, table, opened(tt.pinhole))
			tell.want(t, "the control connection")

			n.server.syn(t, from, tt.pinhole.Dest, 1)
			entries := tell.want(t, "from another port", LogMissed)
			if len(entries) == 1 {
				e := entries[0]
				tcp := e.Packet[20:]
				if tt.flow.Client.Addr().Is6() {
					tcp = e.Packet[40:]
				}
				if e.In == 0 || e.Out == 0 || e.In == e.Out || tcp[0] != 33333>>8 || tcp[1] != 33333&0xff {
					t.Errorf("told was %+v", e)
				}
			}
			n.server.syn(t, from, port(tt.pinhole.Dest, 1023), 1)
			n.client.syn(t, netip.AddrPortFrom(tt.flow.Client.Addr(), 40000), port(tt.flow.Server, 2000), 1)
			tell.want(t, "to a low port, and from the client")
			wantCount(t, "what was told alone", heard, 0)
			n.server.syn(t, port(from, 20), tt.pinhole.Dest, 1)
			tell.want(t, "what finds its pinhole")
			wantCount(t, "what finds its pinhole", heard, 1)
		})
	}
}

// A near miss is the operator's to judge, as if there were no table.
func TestMissedGoesOn(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	needs(t, table.caps.Log, "the log statement")
	n.gateway.load(t, "insert rule inet filter forward tcp dport 7000 accept")
	n.server.listen(t, control4.Server)
	n.client.dial(t, control4.Client, control4.Server, true)
	tell := newTeller(t, n.gateway, table.cfg)
	to := port(active4.Dest, 7000)
	n.client.listen(t, to)
	echo(t, n.server.dial(t, netip.AddrPortFrom(active4.Source, 0), to, true))
	tell.want(t, "a connection of the operator's", LogMissed)
}

// A server that tries many ports is told some of them, and another one no less for it.
func TestMissedIsLimited(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	needs(t, table.caps.Log, "the log statement")
	tell := newTeller(t, n.gateway, table.cfg)
	other := netip.MustParseAddr("10.2.5.6")
	n.server.run(t, func() error { return address("eth0", "10.2.5.6/24") })
	for _, server := range []netip.Addr{control4.Server.Addr(), other} {
		at := netip.AddrPortFrom(server, 21)
		n.server.listen(t, at)
		n.client.dial(t, port(control4.Client, 0), at, true)
	}
	begin := time.Now()
	for p := range uint16(100) {
		n.server.syn(t, netip.AddrPortFrom(control4.Server.Addr(), 20), port(active4.Dest, 2000+p), 1)
	}
	most := 21 + int(10*time.Since(begin).Seconds())
	if got := len(tell.take()); got < 20 || got > most {
		t.Errorf("of 100 near misses %d were told, want 20 to %d", got, most)
	}
	n.server.syn(t, netip.AddrPortFrom(other, 20), active4.Dest, 1)
	tell.want(t, "another server", LogMissed)
}
