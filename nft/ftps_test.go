package nft

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

var (
	ftpsPorts = alg.Ports{First: 50000, Last: 50100}
	range4    = alg.Range{Client: control4.Client.Addr(), Server: control4.Server.Addr(), Ports: ftpsPorts}
	range6    = alg.Range{Client: control6.Client.Addr(), Server: control6.Server.Addr(), Ports: ftpsPorts}
)

func admitted(r alg.Range, timeout time.Duration) alg.Op {
	return alg.Op{Kind: alg.OpAdmit, Range: r, Timeout: timeout}
}

func revoked(r alg.Range) alg.Op { return alg.Op{Kind: alg.OpRevoke, Range: r} }

// newFTPSGateway is a gateway for which ftps_ports is set.
func newFTPSGateway(t *testing.T, change func(*Config, *Caps)) (*network, *Table) {
	t.Helper()
	n, table := newGateway(t, func(cfg *Config, caps *Caps) {
		needs(t, caps.Count, "the ct count statement")
		cfg.FTPS = []alg.Ports{ftpsPorts}
		change(cfg, caps)
	})
	return n, table
}

// From the one client to the named ports of the one server any number of connections come
// in, one after the other, until that is revoked. What is in by then stays.
func TestFTPS(t *testing.T) {
	for _, r := range []alg.Range{range4, range6} {
		t.Run(r.Client.String(), func(t *testing.T) {
			n, table := newFTPSGateway(t, func(*Config, *Caps) {})
			tell := newTeller(t, n.gateway, table.cfg)
			from, to := netip.AddrPortFrom(r.Client, 0), netip.AddrPortFrom(r.Server, 50000)
			for _, p := range []uint16{49999, 50000, 50100, 50101} {
				n.server.listen(t, port(to, p))
			}
			n.client.dial(t, from, to, false)
			commit(t, table, admitted(r, 30*time.Second))
			var c net.Conn
			for _, p := range []uint16{50000, 50100, 50100} {
				c = n.client.dial(t, from, port(to, p), true)
				echo(t, c)
			}
			tell.want(t, "three connections", LogFTPS, LogFTPS, LogFTPS)
			n.client.dial(t, from, port(to, 49999), false)
			n.client.dial(t, from, port(to, 50101), false)
			n.gateway.dial(t, netip.AddrPort{}, port(to, 50101), true) // the listener is there
			commit(t, table, revoked(r), revoked(r))
			n.client.dial(t, from, to, false)
			echo(t, c)
			tell.want(t, "other ports, and what is revoked")
		})
	}
}

// Another client and another server have no part in it, nor the other direction.
func TestFTPSOthers(t *testing.T) {
	n, table := newFTPSGateway(t, func(*Config, *Caps) {})
	n.client.run(t, func() error { return address("eth0", "10.1.4.6/24") })
	n.server.run(t, func() error { return address("eth0", "10.2.5.6/24") })
	heard, back := n.server.silence(t), n.client.silence(t)
	commit(t, table, admitted(range4, 30*time.Second))
	client, server := netip.AddrPortFrom(range4.Client, 40000), netip.AddrPortFrom(range4.Server, 50050)
	n.client.syn(t, netip.MustParseAddrPort("10.1.4.6:40000"), server, 1)
	n.client.syn(t, client, netip.MustParseAddrPort("10.2.5.6:50050"), 1)
	n.server.syn(t, server, port(client, 50050), 1)
	wantCount(t, "other ends", heard, 0)
	wantCount(t, "the other direction", back, 0)
	n.client.syn(t, client, server, 1)
	wantCount(t, "the client to the server", heard, 1)
}

// A repeated SYN is admitted again, told once, and not beyond the end.
func TestFTPSRepetition(t *testing.T) {
	n, table := newFTPSGateway(t, func(*Config, *Caps) {})
	tell, heard := newTeller(t, n.gateway, table.cfg), n.server.silence(t)
	client, server := netip.AddrPortFrom(range4.Client, 40000), netip.AddrPortFrom(range4.Server, 50050)
	commit(t, table, admitted(range4, 30*time.Second))
	for range 3 {
		n.client.syn(t, client, server, 1)
	}
	wantCount(t, "a SYN and its repetitions", heard, 3)
	tell.want(t, "a SYN and its repetitions", LogFTPS)
	commit(t, table, revoked(range4))
	n.client.syn(t, client, server, 1)
	wantCount(t, "a repetition after the end", heard, 0)
}

// A client has 32 connections at a time, whatever its sessions, and an IPv6 client all
// addresses of its /64.
func TestFTPSBound(t *testing.T) {
	for _, r := range []alg.Range{range4, range6} {
		t.Run(r.Client.String(), func(t *testing.T) {
			n, table := newFTPSGateway(t, func(*Config, *Caps) {})
			tell := newTeller(t, n.gateway, table.cfg)
			to := netip.AddrPortFrom(r.Server, 50000)
			n.server.listen(t, to)
			clients := []alg.Range{r}
			if r.Client.Is6() {
				for i := range 7 {
					other := r
					other.Client = netip.MustParseAddr(fmt.Sprintf("fd00:1::%d:1", i+1))
					n.client.run(t, func() error { return address("eth0", other.Client.String()+"/64") })
					clients = append(clients, other)
				}
			}
			for _, c := range clients {
				commit(t, table, admitted(c, 30*time.Second))
			}
			var conns []net.Conn
			for i := range maxFTPS {
				conns = append(conns, n.client.dial(t, netip.AddrPortFrom(clients[i%len(clients)].Client, 0), to, true))
			}
			tell.want(t, "32 connections", slices.Repeat([]string{LogFTPS}, maxFTPS)...)
			n.client.dial(t, netip.AddrPortFrom(clients[len(clients)-1].Client, 0), to, false)
			tell.want(t, "one more", LogFTPSFull)
			hangUp(conns[0])
			time.Sleep(100 * time.Millisecond)
			echo(t, n.client.dial(t, netip.AddrPortFrom(clients[0].Client, 0), to, true))
			tell.want(t, "after one has ended", LogFTPS)
			n.client.dial(t, netip.AddrPortFrom(clients[0].Client, 0), to, false)

			if r.Client.Is6() { // another network is another client
				n.client.run(t, func() error { return address("eth0", "fd00:1:0:1::4/64") })
				n.gateway.run(t, func() error { return address("to4", "fd00:1:0:1::1/64") })
				other := r
				other.Client = netip.MustParseAddr("fd00:1:0:1::4")
				commit(t, table, admitted(other, 30*time.Second))
				echo(t, n.client.dial(t, netip.AddrPortFrom(other.Client, 0), to, true))
			}
		})
	}
}

// A client is told to have too many so often and no more.
func TestFTPSFullIsLimited(t *testing.T) {
	n, table := newFTPSGateway(t, func(*Config, *Caps) {})
	tell := newTeller(t, n.gateway, table.cfg)
	commit(t, table, admitted(range4, 30*time.Second))
	n.server.silence(t)
	begin := time.Now()
	for i := range uint16(100) {
		n.client.syn(t, netip.AddrPortFrom(range4.Client, 40000+i), netip.AddrPortFrom(range4.Server, 50000), 1)
	}
	most := 6 + int(time.Since(begin).Seconds())
	told := make(map[string]int)
	for _, e := range tell.take() {
		told[e.Prefix]++
	}
	if told[LogFTPS] != maxFTPS || told[LogFTPSFull] < 5 || told[LogFTPSFull] > most {
		t.Errorf("of 100 connections were told %v, want 32 and 5 to %d", told, most)
	}
}

// Where there is no room to count a client, it is not admitted.
func TestFTPSCountIsFull(t *testing.T) {
	n, table := newFTPSGateway(t, func(cfg *Config, _ *Caps) { cfg.SetSize = 1 })
	n.client.run(t, func() error { return address("eth0", "10.1.4.6/24") })
	second := range4
	second.Client = netip.MustParseAddr("10.1.4.6")
	to := netip.AddrPortFrom(range4.Server, 50000)
	n.server.listen(t, to)
	commit(t, table, admitted(range4, 30*time.Second))
	c := n.client.dial(t, netip.AddrPortFrom(range4.Client, 0), to, true)
	commit(t, table, revoked(range4))
	commit(t, table, admitted(second, 30*time.Second))
	n.client.dial(t, netip.AddrPortFrom(second.Client, 0), to, false)
	echo(t, c)
}

// The daemon has to say again and again that it still holds.
func TestFTPSExpires(t *testing.T) {
	n, table := newFTPSGateway(t, func(*Config, *Caps) {})
	heard := n.server.silence(t)
	client, server := netip.AddrPortFrom(range4.Client, 40000), netip.AddrPortFrom(range4.Server, 50050)
	for range 4 {
		commit(t, table, admitted(range4, 500*time.Millisecond))
		time.Sleep(200 * time.Millisecond)
	}
	n.client.syn(t, client, server, 1)
	wantCount(t, "while it is refreshed", heard, 1)
	time.Sleep(500 * time.Millisecond)
	n.client.syn(t, port(client, 40001), server, 1)
	wantCount(t, "after it has expired", heard, 0)
}

// The elements, on every kernel; ranges of their own have sets of their own.
func TestAdmitAndRevoke(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		needs(t, caps.Count, "the ct count statement")
		cfg := defaults()
		single, all := alg.Ports{First: 990, Last: 990}, alg.Ports{}
		cfg.FTPS = []alg.Ports{ftpsPorts, single, all}
		table := install(t, cfg, caps)
		with := func(r alg.Range, p alg.Ports) alg.Range { r.Ports = p; return r }
		for _, tt := range []struct {
			r         alg.Range
			set, want string
		}{
			{range4, "ftps50000to50100_4", "10.1.4.4 . 10.2.5.5 timeout 30s"},
			{range6, "ftps50000to50100_6", "fd00:1::4 . fd00:2::5 timeout 30s"},
			{with(range4, single), "ftps990_4", "10.1.4.4 . 10.2.5.5 timeout 30s"},
			{with(range6, all), "ftpsany6", "fd00:1::4 . fd00:2::5 timeout 30s"},
		} {
			commit(t, table, revoked(tt.r)) // absent: no error
			commit(t, table, admitted(tt.r, 200*time.Millisecond), admitted(tt.r, 30*time.Second))
			if got := elements(t, tt.set); got != tt.want {
				t.Errorf("set %s has %q, want %q", tt.set, got, tt.want)
			}
			commit(t, table, revoked(tt.r))
			if got := elements(t, tt.set); got != "" {
				t.Errorf("set %s has %q after the end", tt.set, got)
			}
		}
	})
}

// What cannot be bounded is not admitted.
func TestFTPSNeedsCount(t *testing.T) {
	cfg := defaults()
	cfg.FTPS = []alg.Ports{ftpsPorts}
	if _, err := Install(cfg, Caps{}); !errors.Is(err, ErrNoCount) {
		t.Errorf("Install without ct count: %v, want ErrNoCount", err)
	}
}
