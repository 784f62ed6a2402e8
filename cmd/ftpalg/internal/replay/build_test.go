package replay

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// packet is one IP packet of a capture that a test makes up.
type packet struct {
	at    time.Time
	ip    []byte
	short int // bytes that the capture leaves out at the end of the frame
}

// talk makes a capture up: tests say what each end does, a millisecond apart.
type talk struct {
	t              testing.TB
	now            time.Time
	client, server netip.AddrPort
	next           map[netip.AddrPort]uint32 // sequence number of what an end sends next
	packets        []packet
}

func newTalk(t testing.TB, client, server string) *talk {
	c, s := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	return &talk{
		t: t, now: time.Date(2019, 3, 25, 10, 14, 0, 0, time.UTC), client: c, server: s,
		next: map[netip.AddrPort]uint32{c: 1000, s: 4294967290}, // wraps soon
	}
}

// connect is the three-way handshake.
func (k *talk) connect() {
	k.send(k.client, k.server, layers.TCP{SYN: true}, "")
	k.next[k.client]++
	k.send(k.server, k.client, layers.TCP{SYN: true, ACK: true}, "")
	k.next[k.server]++
	k.send(k.client, k.server, layers.TCP{ACK: true}, "")
}

func (k *talk) c(lines ...string) { k.lines(k.client, k.server, lines) }
func (k *talk) s(lines ...string) { k.lines(k.server, k.client, lines) }

// lines sends each line in a segment, which is acknowledged.
func (k *talk) lines(from, to netip.AddrPort, lines []string) {
	for _, l := range lines {
		k.send(from, to, layers.TCP{ACK: true, PSH: true}, l+"\r\n")
		k.next[from] += uint32(len(l)) + 2
		k.send(to, from, layers.TCP{ACK: true}, "")
	}
}

// close is the end of both directions, the client's first.
func (k *talk) close() {
	for _, end := range [][2]netip.AddrPort{{k.client, k.server}, {k.server, k.client}} {
		k.send(end[0], end[1], layers.TCP{FIN: true, ACK: true}, "")
		k.next[end[0]]++
	}
	k.send(k.client, k.server, layers.TCP{ACK: true}, "")
}

// login is a dialogue as far as the announcements.
func (k *talk) login() *talk {
	k.connect()
	k.s("220 (vsFTPd 3.0.3)")
	k.c("USER ftpuser")
	k.s("331 Please specify the password.")
	k.c("PASS ftppass")
	k.s("230 Login successful.")
	return k
}

// data is the handshake of a data connection, and a segment.
func (k *talk) data(from, to string) {
	f, t := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	k.send(f, t, layers.TCP{SYN: true}, "")
	k.send(t, f, layers.TCP{SYN: true, ACK: true}, "")
	k.send(f, t, layers.TCP{ACK: true}, "")
	k.send(f, t, layers.TCP{ACK: true, PSH: true}, "hello world")
}

// send makes a packet, with the sequence numbers of its ends.
func (k *talk) send(from, to netip.AddrPort, h layers.TCP, payload string) {
	h.SrcPort, h.DstPort = layers.TCPPort(from.Port()), layers.TCPPort(to.Port())
	h.Seq, h.Window = k.next[from], 64000
	if h.ACK {
		h.Ack = k.next[to]
	}
	k.packet(from.Addr(), to.Addr(), &h, gopacket.Payload(payload))
}

// packet makes an IP packet of layers, the checksums of which become right.
func (k *talk) packet(from, to netip.Addr, above ...gopacket.SerializableLayer) {
	var ip interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	}
	proto := layers.IPProtocolUDP
	if _, ok := above[0].(*layers.TCP); ok {
		proto = layers.IPProtocolTCP
	}
	if from.Is4() {
		ip = &layers.IPv4{Version: 4, TTL: 63, Protocol: proto, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	} else {
		ip = &layers.IPv6{Version: 6, HopLimit: 63, NextHeader: proto, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	}
	if l, ok := above[0].(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		if err := l.SetNetworkLayerForChecksum(ip); err != nil {
			k.t.Fatal(err)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, options, append([]gopacket.SerializableLayer{ip}, above...)...); err != nil {
		k.t.Fatal(err)
	}
	k.now = k.now.Add(time.Millisecond)
	k.packets = append(k.packets, packet{at: k.now, ip: bytes.Clone(buf.Bytes())})
}

// frame puts a packet behind the header of a link type.
func frame(link layers.LinkType, ip []byte) []byte {
	six := ip[0]>>4 == 6
	etherType, family := []byte{0x08, 0x00}, byte(2)
	if six {
		etherType, family = []byte{0x86, 0xdd}, 10
	}
	var header []byte
	switch link {
	case layers.LinkTypeEthernet:
		header = append(make([]byte, 12), etherType...)
		if n := 46 - len(ip); n > 0 { // IEEE 802.3: frames have a least length
			ip = append(bytes.Clone(ip), make([]byte, n)...)
		}
	case layers.LinkTypeLinuxSLL:
		header = append(make([]byte, 14), etherType...)
	case layers.LinkTypeLinuxSLL2:
		header = append(etherType, make([]byte, 18)...)
	case layers.LinkTypeNull:
		header = []byte{family, 0, 0, 0}
	case layers.LinkTypeLoop:
		header = []byte{0, 0, 0, family}
	}
	return append(header, ip...)
}

// pcap writes a capture in pcap format.
func pcap(order binary.AppendByteOrder, nanoseconds bool, link layers.LinkType, packets []packet) []byte {
	magic, unit := uint32(0xa1b2c3d4), time.Microsecond
	if nanoseconds {
		magic, unit = 0xa1b23c4d, time.Nanosecond
	}
	b := append32(order, nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	b = append32(order, b, 0, 0, 65535, uint32(link))
	for _, p := range packets {
		f := frame(link, p.ip)
		kept := len(f) - p.short
		b = append32(order, b, uint32(p.at.Unix()), uint32(p.at.Nanosecond())/uint32(unit), uint32(kept), uint32(len(f)))
		b = append(b, f[:kept]...)
	}
	return b
}

// pcapng writes a capture in pcapng format with an interface for each link type. The
// packets come in by them in turn.
func pcapng(order binary.AppendByteOrder, links []layers.LinkType, packets []packet) []byte {
	head := order.AppendUint16(order.AppendUint16(append32(order, nil, 0x1a2b3c4d), 1), 0)
	b := block(order, 0x0a0d0d0a, append32(order, head, 0xffffffff, 0xffffffff))
	for _, l := range links {
		b = append(b, block(order, 1, append32(order, order.AppendUint16(order.AppendUint16(nil, uint16(l)), 0), 0))...)
	}
	for i, p := range packets {
		f := frame(links[i%len(links)], p.ip)
		kept := len(f) - p.short
		at := p.at.UnixMicro()
		body := append32(order, nil, uint32(i%len(links)), uint32(at>>32), uint32(at), uint32(kept), uint32(len(f)))
		b = append(b, block(order, 6, append(body, f[:kept]...))...)
	}
	return b
}

// block makes a block of a file in pcapng format.
func block(order binary.AppendByteOrder, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	length := uint32(len(body)) + 12
	return append32(order, append(append32(order, nil, kind, length), body...), length)
}

func append32(order binary.AppendByteOrder, b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = order.AppendUint32(b, v)
	}
	return b
}
