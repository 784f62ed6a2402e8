package main_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Translations out of the ordinary, with a real server.

// serves has clients get a file in every way there is.
func (g *gateway) serves(h *lab.Host, server netip.AddrPort) {
	g.t.Helper()
	c := ftpLogin(g.t, h, server)
	for range 2 {
		for _, how := range announces[server.Addr().Is4()] {
			if got := c.get(how, "R1.cfg"); string(got) != lab.R1 {
				g.t.Errorf("%s to %v: %q", how, server, got)
			}
		}
	}
	c.ask("QUIT", "221")
}

func TestPortForwardingFromAnotherPort(t *testing.T) {
	t.Parallel()
	for _, a := range []arrangement{untranslated, arrangements[0]} { // of the client
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "")
			chains := `
	chain destination {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 10.3.3.2 tcp dport 2121 dnat ip to 10.2.5.5:21
		ip6 daddr fd00:3:3::2 tcp dport 2121 dnat ip6 to [fd00:2:5::5]:21
	}`
			if a.masquerades {
				chains += masquerading
			}
			translate(t, g.Lab, chains)
			if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
				t.Fatal(err)
			}
			g.serves(g.Client, netip.MustParseAddrPort("10.3.3.2:2121"))
			g.serves(g.Client, netip.MustParseAddrPort("[fd00:3:3::2]:2121"))
		})
	}
}

// The operator's rule gives every connection another address: the data connection has to
// have that of the control connection, as the server looks whether both come from one.
func TestSourcesFromARange(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	if out, err := run(t, g.Gateway, `for i in 1 2 3; do
		ip addr add 10.2.5.10$i/24 dev outside && ip addr add fd00:2:5::10$i/64 dev outside nodad || exit
	done`); err != nil {
		t.Fatal(err, out)
	}
	translate(t, g.Lab, `
	chain source {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "outside" snat ip to numgen inc mod 3 map { 0 : 10.2.5.101, 1 : 10.2.5.102, 2 : 10.2.5.103 }
		oifname "outside" snat ip6 to numgen inc mod 3 map { 0 : fd00:2:5::101, 1 : fd00:2:5::102, 2 : fd00:2:5::103 }
	}`)
	if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, f := range g.families() {
		g.serves(g.Client, netip.AddrPortFrom(f.server, 21))
		g.serves(g.Neighbour, netip.AddrPortFrom(f.server, 21))
	}
}

// Client and server are on the same inside network, and the client knows the server by the
// gateway's outside address.
func TestHairpin(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	translate(t, g.Lab, `
	chain destination {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 10.2.5.1 tcp dport 21 dnat ip to 10.1.4.5
		ip6 daddr fd00:2:5::1 tcp dport 21 dnat ip6 to fd00:1:4::5
	}
	chain source {
		type nat hook postrouting priority srcnat; policy accept;
		iifname "inside" oifname "inside" tcp dport 21 masquerade
	}`)
	if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{Host: g.Neighbour}); err != nil {
		t.Fatal(err)
	}
	for _, outside := range []string{"10.2.5.1:21", "[fd00:2:5::1]:21"} {
		g.serves(g.Client, netip.MustParseAddrPort(outside))
	}
}

func TestPrefixTranslation(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	translate(t, g.Lab, `
	chain source {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "outside" snat ip6 prefix to ip6 saddr map { fd00:1:4::/64 : fd00:9:9::/64 }
	}
	chain destination {
		type nat hook prerouting priority dstnat; policy accept;
		iifname "outside" dnat ip6 prefix to ip6 daddr map { fd00:9:9::/64 : fd00:1:4::/64 }
	}`)
	if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*lab.Host{g.Client, g.Neighbour} {
		g.serves(h, netip.AddrPortFrom(g.Server.IPv6, 21))
	}
}

// outsideOf waits until a data connection to an end was announced, and returns the end that
// stands for it.
func (g *gateway) outsideOf(at netip.AddrPort) netip.AddrPort {
	g.t.Helper()
	e, err := g.daemon.AwaitEvent(g.t.Context(), func(e lab.Event) bool {
		return e.Event == "pinhole.announced" && e.Address == at.Addr() && e.Port == at.Port()
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return netip.AddrPortFrom(e.OutsideAddress, e.OutsidePort)
}

// fetches has a client get a file at a port that it announces.
type fetches struct {
	c  *ftpClient
	ln net.Listener
	at netip.AddrPort
}

func (g *gateway) fetches(h *lab.Host, f family, at netip.AddrPort) fetches {
	g.t.Helper()
	c := ftpLogin(g.t, h, netip.AddrPortFrom(f.dials, 21))
	ln := mustListen(g.t, h, at.String())
	g.t.Cleanup(func() { ln.Close() })
	c.announce("EPRT", at)
	return fetches{c, ln, at}
}

func (f fetches) wantR1() {
	f.c.t.Helper()
	_ = f.ln.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second))
	conn, err := f.ln.Accept()
	if err != nil {
		f.c.t.Fatal(err)
	}
	defer conn.Close()
	if b, err := io.ReadAll(conn); err != nil || string(b) != lab.R1 {
		f.c.t.Errorf("%q, %v", b, err)
	}
	f.c.hear("150")
	f.c.hear("226")
}

func TestTwoClientsBehindOneAddressAnnounceTheSamePort(t *testing.T) {
	t.Parallel()
	g := newGatewayIn(t, arrangements[0], "")
	if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, f := range g.families() {
		one := g.fetches(g.Client, f, netip.AddrPortFrom(f.client, announcedPort))
		other := g.fetches(g.Neighbour, f, netip.AddrPortFrom(f.neighbour, announcedPort))
		a, b := g.outsideOf(one.at), g.outsideOf(other.at)
		if a.Port() != announcedPort || b.Port() == announcedPort || a.Addr() != f.seen || b.Addr() != f.seen {
			t.Errorf("%s: %v stands for %v, and %v for %v", f.name, a, one.at, b, other.at)
		}
		other.c.tell("RETR R1.cfg")
		one.c.tell("RETR R1.cfg")
		one.wantR1()
		other.wantR1()
	}
}

// A port that somebody listens at on the gateway itself stands for nothing else.
func TestAnOutsidePortThatIsTaken(t *testing.T) {
	t.Parallel()
	for _, any := range []bool{false, true} {
		t.Run(fmt.Sprintf("at any address: %t", any), func(t *testing.T) {
			t.Parallel()
			g := newGatewayIn(t, arrangements[0], "")
			if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, f := range g.families() {
				at := netip.AddrPortFrom(f.seen, announcedPort)
				if any {
					at = netip.AddrPortFrom(netip.IPv6Unspecified(), announcedPort)
				}
				ln := mustListen(t, g.Gateway, at.String())
				client := g.fetches(g.Client, f, netip.AddrPortFrom(f.client, announcedPort))
				if out := g.outsideOf(client.at); out.Port() == announcedPort || out.Addr() != f.seen {
					t.Errorf("%v stands for %v", out, client.at)
				}
				client.c.tell("RETR R1.cfg")
				client.wantR1()
				_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond))
				if conn, err := ln.Accept(); err == nil {
					t.Errorf("%v came to the gateway", conn.RemoteAddr())
				}
				ln.Close()
			}
		})
	}
}
