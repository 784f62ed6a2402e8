package lab_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestDetour sends the UDP probe with which the reference dialogue begins.
func TestDetour(t *testing.T) {
	for _, ruleset := range []string{"open", "stateless", "stateful"} {
		t.Run(ruleset, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, lab.Options{Ruleset: lab.Ruleset(ruleset)})
			atClient, atServer := capture(t, l.Client, "eth0"), capture(t, l.Server, "eth0")
			conn, err := l.Client.DialFrom(t.Context(), netip.MustParseAddrPort("10.1.4.4:49160"), "udp", "10.2.5.5:33440")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			raw, err := conn.(*net.UDPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			err = raw.Control(func(fd uintptr) {
				if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, 3); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(nil); err != nil {
				t.Fatal(err)
			}
			if ttl := awaitTTL(t, atServer, layers.LayerTypeUDP); ttl != 1 {
				t.Errorf("the probe, sent with TTL 3, arrives with %d", ttl)
			}
			if ttl := awaitTTL(t, atClient, layers.LayerTypeICMPv4); ttl != 253 {
				t.Errorf("the answer arrives with TTL %d", ttl)
			}
		})
	}
}

func capture(t *testing.T, h *lab.Host, name string) *lab.Capture {
	t.Helper()
	c, err := h.Capture(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// awaitTTL waits for a packet of one kind and returns its TTL.
func awaitTTL(t *testing.T, c *lab.Capture, kind gopacket.LayerType) uint8 {
	t.Helper()
	for range 200 {
		for _, p := range c.Packets() {
			pkt := gopacket.NewPacket(p.Frame, layers.LayerTypeEthernet, gopacket.Default)
			if ip, ok := pkt.NetworkLayer().(*layers.IPv4); ok && pkt.Layer(kind) != nil {
				return ip.TTL
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %v on %s of %s", kind, c.Interface, c.Host.Name)
	return 0
}

// TestReach connects every host with the server, in both families, from a chosen port.
func TestReach(t *testing.T) {
	l := newLab(t, lab.Options{})
	for _, server := range []netip.Addr{l.Server.IPv4, l.Server.IPv6} {
		ln, err := l.Server.Listen(t.Context(), "tcp", netip.AddrPortFrom(server, 7).String())
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		for _, h := range []*lab.Host{l.Client, l.Neighbour, l.Router, l.Gateway, l.Outsider} {
			from := h.IPv4
			if server.Is6() {
				from = h.IPv6
			}
			for range 2 { // the port is free again at once
				local := netip.AddrPortFrom(from, 20)
				conn, err := h.DialFrom(t.Context(), local, "tcp", ln.Addr().String())
				if err != nil {
					t.Fatalf("from %s: %v", h.Name, err)
				}
				peer, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				if got := peer.RemoteAddr().String(); got != local.String() {
					t.Errorf("%s arrives as %s", local, got)
				}
				conn.Close()
				_, _ = io.Copy(io.Discard, peer)
				peer.Close()
			}
		}
	}
}

func TestUnknownNetwork(t *testing.T) {
	l := newLab(t, lab.Options{})
	if _, err := l.Client.DialFrom(t.Context(), netip.MustParseAddrPort("10.1.4.4:0"), "sctp", "10.2.5.5:1"); err == nil {
		t.Error("connected with an unknown protocol")
	}
	if _, err := l.Client.Capture("eth7"); err == nil {
		t.Error("captured on an interface that does not exist")
	}
	if l.Host("gateway") != l.Gateway || l.Host("switch") != nil || l.Host("nobody") != nil {
		t.Error("hosts are not found by their names")
	}
}
