package main_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg/ftp"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// forger sends segments of a control connection that no kernel would send, from the
// client's host.
type forger struct {
	t    *testing.T
	c    *control
	out  net.PacketConn
	seen *lab.Capture
}

func (c *control) forger() *forger {
	c.t.Helper()
	seen, err := c.g.Client.Capture("eth0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = seen.Stop() })
	out, err := c.g.Client.ListenPacket(c.t.Context(), "ip4:tcp", c.g.Client.IPv4.String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { out.Close() })
	return &forger{c.t, c, out, seen}
}

// next returns what the client sends next, as its last segment on the wire says.
func (f *forger) next() (seq, ack uint32) {
	f.t.Helper()
	from := f.c.client.LocalAddr().(*net.TCPAddr).Port
	eventually(f.t, time.Second, "a segment of the client is captured", func() bool {
		for _, p := range f.seen.Packets() {
			packet := gopacket.NewPacket(p.Frame, layers.LayerTypeEthernet, gopacket.NoCopy)
			if tcp, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP); ok && int(tcp.SrcPort) == from {
				seq, ack = tcp.Seq+uint32(len(tcp.Payload)), tcp.Ack
			}
		}
		return seq != 0
	})
	return seq, ack
}

// segment builds a segment of the client.
func (f *forger) segment(seq, ack uint32, payload string) []byte {
	f.t.Helper()
	local, remote := f.c.client.LocalAddr().(*net.TCPAddr), f.c.client.RemoteAddr().(*net.TCPAddr)
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(local.Port), DstPort: layers.TCPPort(remote.Port),
		Seq: seq, Ack: ack, ACK: true, PSH: true, Window: 0xffff,
	}
	if err := tcp.SetNetworkLayerForChecksum(&layers.IPv4{SrcIP: local.IP, DstIP: remote.IP, Protocol: layers.IPProtocolTCP}); err != nil {
		f.t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, tcp, gopacket.Payload(payload)); err != nil {
		f.t.Fatal(err)
	}
	return buf.Bytes()
}

func (f *forger) send(segment []byte) {
	f.t.Helper()
	to := &net.IPAddr{IP: f.c.client.RemoteAddr().(*net.TCPAddr).IP}
	_, err := f.out.WriteTo(segment, to)
	for errors.Is(err, unix.ENOBUFS) { // while too much is under way
		time.Sleep(time.Millisecond)
		_, err = f.out.WriteTo(segment, to)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// wantSilence checks that nothing arrives at the server.
func (c *control) wantSilence() {
	c.t.Helper()
	_ = c.server.SetReadDeadline(time.Now().Add(patience))
	if line, err := c.in[c.server].ReadString('\n'); err == nil {
		c.t.Errorf("%q arrived", line)
	}
}

// announced returns what an announcement names that arrives at the server.
func (c *control) announced(f family) netip.AddrPort {
	c.t.Helper()
	_ = c.server.SetReadDeadline(time.Now().Add(5 * time.Second))
	line, err := c.in[c.server].ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q arrived, %v", line, err)
	}
	at, err := ftp.ParsePort([]byte(strings.TrimSuffix(strings.TrimPrefix(line, "PORT "), "\r\n")))
	if err != nil || at.Addr() != f.seen || f.seen == f.client && at.Port() != announcedPort {
		c.t.Fatalf("%q arrived", line)
	}
	return at
}

func TestForgedSegments(t *testing.T) { t.Parallel(); everywhere(t, "", forgedSegments) }

func forgedSegments(t *testing.T, g *gateway) {
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	port := f.port() + "\r\n"

	t.Run("the replay of an announcement opens nothing", func(t *testing.T) {
		c := g.login(f)
		forge := c.forger()
		c.c(f.port())
		seq, ack := forge.next()
		c.s("200 ok")
		c.c("RETR x")
		c.wantData(f, true, "as announced")
		c.s("226 ok")
		forge.send(forge.segment(seq-uint32(len(port)), ack, port))
		forge.send(forge.segment(seq-uint32(len(port)), ack, port+"RETR x\r\n"))
		c.wantData(f, false, "after the replay")
		c.c("NOOP")
	})
	t.Run("a rewrite of passed bytes is dropped", func(t *testing.T) {
		c := g.login(f)
		forge := c.forger()
		c.c("NOOP")
		seq, ack := forge.next()
		forge.send(forge.segment(seq-6, ack, "XOOP\r\n"+port+"RETR x\r\n"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := g.daemon.AwaitEvent(ctx, func(e lab.Event) bool { return e.Event == "violation" }); err != nil {
			t.Error(err)
		}
		c.wantSilence()
		c.wantData(f, false, "after the rewrite")
		c.s("200 ok")
	})
	t.Run("a wrong checksum and a number out of the window are not read", func(t *testing.T) {
		c := g.login(f)
		forge := c.forger()
		c.c("NOOP")
		c.s("200 ok")
		seq, ack := forge.next()
		wrong := forge.segment(seq, ack, port+"RETR x\r\n")
		wrong[16] ^= 1
		forge.send(wrong)
		forge.send(forge.segment(seq+1<<28, ack, port+"RETR x\r\n"))
		forge.send(forge.segment(seq-1<<28, ack, port+"RETR x\r\n"))
		c.wantData(f, false, "after segments that no server reads")
		c.c("NOOP")
	})
	t.Run("a segment beyond a gap waits for the gap", func(t *testing.T) {
		c := g.login(f)
		forge := c.forger()
		c.c("NOOP")
		seq, ack := forge.next()
		forge.send(forge.segment(seq+10, ack, port[10:]))
		c.wantSilence()
		forge.send(forge.segment(seq, ack, port[:10]))
		c.announced(f)
	})
	t.Run("an announcement in IP fragments is served", func(t *testing.T) {
		c := g.login(f)
		forge := c.forger()
		c.c("NOOP")
		c.s("200 ok")
		seq, ack := forge.next()
		forge.fragments(forge.segment(seq, ack, port+"RETR x\r\n"))
		at := c.announced(f)
		if !reached(t, g.Server, netip.AddrPortFrom(f.server, 20), at) {
			t.Error("the data connection did not get through")
		}
	})
}

// fragments sends a segment as IP fragments of 24 bytes.
func (f *forger) fragments(segment []byte) {
	f.t.Helper()
	local, remote := f.c.client.LocalAddr().(*net.TCPAddr), f.c.client.RemoteAddr().(*net.TCPAddr)
	raw, err := f.c.g.Client.ListenPacket(f.t.Context(), "ip4:255", local.IP.String())
	if err != nil {
		f.t.Fatal(err)
	}
	defer raw.Close()
	const size = 24
	for at := 0; at < len(segment); at += size {
		part := segment[at:min(at+size, len(segment))]
		ip := &layers.IPv4{
			Version: 4, TTL: 64, Id: 4711, Protocol: layers.IPProtocolTCP, SrcIP: local.IP, DstIP: remote.IP,
			FragOffset: uint16(at / 8),
		}
		if at+size < len(segment) {
			ip.Flags = layers.IPv4MoreFragments
		}
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, gopacket.Payload(part)); err != nil {
			f.t.Fatal(err)
		}
		if _, err := raw.WriteTo(buf.Bytes(), &net.IPAddr{IP: remote.IP}); err != nil {
			f.t.Fatal(err)
		}
	}
}
