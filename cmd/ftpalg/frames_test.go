package main_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Flags of a TCP header (RFC 9293, section 3.1).
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// mss is how much a test's end wants in one segment.
const mss = 1400

// segment is a TCP segment as a test writes it down, in anybody's name.
type segment struct {
	from, to netip.AddrPort
	seq, ack uint32
	flags    uint8
	window   uint16
	ttl      uint8 // 0: 64
	payload  string
	scale    int // of the window, where the segment says it
	headers  int // IPv6 destination options before the TCP header
}

// tcp returns the segment from the TCP header on.
func (s segment) tcp(t *testing.T) []byte {
	t.Helper()
	h := &layers.TCP{
		SrcPort: layers.TCPPort(s.from.Port()), DstPort: layers.TCPPort(s.to.Port()),
		Seq: s.seq, Ack: s.ack, Window: s.window,
		FIN: s.flags&fin != 0, SYN: s.flags&syn != 0, RST: s.flags&rst != 0, PSH: s.flags&psh != 0, ACK: s.flags&ack != 0,
	}
	if h.SYN && !h.ACK { // a scale of 0 lets the other end have one
		h.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{0}}}
	}
	if h.SYN {
		h.Options = append(h.Options, layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{mss >> 8, mss & 0xff}})
	}
	var ip gopacket.NetworkLayer = &layers.IPv4{SrcIP: s.from.Addr().AsSlice(), DstIP: s.to.Addr().AsSlice(), Protocol: layers.IPProtocolTCP}
	if s.from.Addr().Is6() {
		ip = &layers.IPv6{SrcIP: s.from.Addr().AsSlice(), DstIP: s.to.Addr().AsSlice(), NextHeader: layers.IPProtocolTCP}
	}
	if err := h.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, h, gopacket.Payload(s.payload))
}

func serialize(t *testing.T, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// packet returns the segment from the IP header on.
func (s segment) packet(t *testing.T) []byte {
	t.Helper()
	if s.from.Addr().Is4() {
		return s.fragment(t, s.tcp(t), 0, false)
	}
	// Destination options of one PadN each (RFC 8200, section 4.6).
	body, next := s.tcp(t), layers.IPProtocolTCP
	for range s.headers {
		body = append([]byte{byte(next), 0, 1, 4, 0, 0, 0, 0}, body...)
		next = layers.IPProtocolIPv6Destination
	}
	ip := &layers.IPv6{
		Version: 6, HopLimit: s.hops(), NextHeader: next,
		SrcIP: s.from.Addr().AsSlice(), DstIP: s.to.Addr().AsSlice(),
	}
	return serialize(t, ip, gopacket.Payload(body))
}

// fragments returns the segment as IPv4 fragments that an Ethernet carries.
func (s segment) fragments(t *testing.T) [][]byte {
	t.Helper()
	const size = 1480
	var all [][]byte
	whole := s.tcp(t)
	for at := 0; at < len(whole); at += size {
		end := min(at+size, len(whole))
		all = append(all, s.fragment(t, whole[at:end], at, end < len(whole)))
	}
	return all
}

func (s segment) fragment(t *testing.T, part []byte, at int, more bool) []byte {
	t.Helper()
	ip := &layers.IPv4{
		Version: 4, TTL: s.hops(), Id: 4711, Protocol: layers.IPProtocolTCP, FragOffset: uint16(at / 8),
		SrcIP: s.from.Addr().AsSlice(), DstIP: s.to.Addr().AsSlice(),
	}
	if more {
		ip.Flags = layers.IPv4MoreFragments
	}
	return serialize(t, ip, gopacket.Payload(part))
}

func (s segment) hops() uint8 {
	if s.ttl == 0 {
		return 64
	}
	return s.ttl
}

// wire is an interface of a host, without what the host's kernel thinks of it: packets
// go out as they stand, whatever address they bear, to one next hop.
type wire struct {
	t    *testing.T
	fd   int
	next unix.SockaddrLinklayer
}

// wire returns the interface of a host towards an interface of the next hop.
func (g *gateway) wire(h *lab.Host, name string, hop *lab.Host, hopName string) *wire {
	g.t.Helper()
	w := &wire{t: g.t}
	if err := hop.Do(func() error {
		i, err := net.InterfaceByName(hopName)
		if err == nil {
			w.next.Halen = uint8(copy(w.next.Addr[:], i.HardwareAddr))
		}
		return err
	}); err != nil {
		g.t.Fatal(err)
	}
	all := uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL)<<8
	if err := h.Do(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		w.next.Ifindex = i.Index
		// SOCK_DGRAM: the kernel makes and takes away the link's header (packet(7)).
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
			unix.Bind(w.fd, &unix.SockaddrLinklayer{Ifindex: i.Index, Protocol: all}))
	}); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = unix.Close(w.fd) })
	return w
}

func (w *wire) put(packet []byte) {
	w.t.Helper()
	to := w.next
	to.Protocol = uint16(unix.ETH_P_IP)>>8 | uint16(unix.ETH_P_IP&0xff)<<8
	if packet[0]>>4 == 6 {
		to.Protocol = uint16(unix.ETH_P_IPV6>>8) | uint16(unix.ETH_P_IPV6&0xff)<<8
	}
	if err := unix.Sendto(w.fd, packet, 0, &to); err != nil {
		w.t.Fatalf("send a packet of %d bytes: %v", len(packet), err)
	}
}

func (w *wire) send(s segment) { w.t.Helper(); w.put(s.packet(w.t)) }

// take returns the next TCP segment that comes in, and false where none does.
func (w *wire) take(within time.Duration) (segment, bool) {
	w.t.Helper()
	buf := make([]byte, 1<<17)
	for end := time.Now().Add(within); ; {
		left := time.Until(end)
		if left <= 0 {
			return segment{}, false
		}
		tv := unix.NsecToTimeval(left.Nanoseconds() + int64(time.Millisecond))
		if err := unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			w.t.Fatal(err)
		}
		n, from, err := unix.Recvfrom(w.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); !ok || ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if s, ok := parseSegment(buf[:n]); ok {
			return s, true
		}
	}
}

// parseSegment reads a packet from its IP header on.
func parseSegment(b []byte) (s segment, ok bool) {
	if len(b) == 0 {
		return s, false
	}
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	h, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		return s, false
	}
	src, dst := p.NetworkLayer().NetworkFlow().Endpoints()
	a, _ := netip.AddrFromSlice(src.Raw())
	z, _ := netip.AddrFromSlice(dst.Raw())
	s = segment{
		from: netip.AddrPortFrom(a, uint16(h.SrcPort)), to: netip.AddrPortFrom(z, uint16(h.DstPort)),
		seq: h.Seq, ack: h.Ack, flags: h.Contents[13], window: h.Window, payload: string(h.Payload),
	}
	for _, o := range h.Options {
		if o.OptionType == layers.TCPOptionKindWindowScale && len(o.OptionData) == 1 {
			s.scale = int(o.OptionData[0])
		}
	}
	return s, true
}

// arrivals returns the sequence numbers of the SYNs between two ends that a capture
// has seen, in order.
func arrivals(c *lab.Capture, from, to netip.AddrPort) (seqs []uint32) {
	for _, p := range c.Packets() {
		if len(p.Frame) < 14 || binary.BigEndian.Uint16(p.Frame[12:]) != unix.ETH_P_IP && binary.BigEndian.Uint16(p.Frame[12:]) != unix.ETH_P_IPV6 {
			continue
		}
		if s, ok := parseSegment(p.Frame[14:]); ok && s.flags&(syn|ack) == syn && s.from == from && s.to == to {
			seqs = append(seqs, s.seq)
		}
	}
	return seqs
}

// silence keeps a host's kernel from hearing what a test answers in its place.
func silence(t *testing.T, h *lab.Host, match string) {
	t.Helper()
	if err := h.LoadRuleset(t.Context(), `table inet silence {
	chain prerouting {
		type filter hook prerouting priority raw
		`+match+` drop
	}
}`); err != nil {
		t.Fatal(err)
	}
}

// setting writes a sysctl of a host.
func setting(t *testing.T, h *lab.Host, key, value string) {
	t.Helper()
	if out, err := run(t, h, "sysctl -qw "+key+"='"+value+"'"); err != nil {
		t.Fatalf("sysctl %s: %v %s", key, err, out)
	}
}
