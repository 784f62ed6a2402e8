package story

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// place is where packets are captured.
type place int

const (
	atClient place = iota
	inside         // of the gateway, where the client is
	outside        // of the gateway, where the server is
	places
)

// names of the places, and of their files.
var names = [places]string{"client", "inside", "outside"}

// sighting is a packet as one place has seen it. Without a frame: it has not.
type sighting struct {
	lab.Packet
	ttl uint8
}

// packet is one IPv4 packet of the run. The places see it with different Ethernet
// addresses and TTLs.
type packet struct {
	from, to netip.AddrPort // the ports of an ICMP error are those that it quotes
	tcp      *layers.TCP    // one of the three; the others are nil
	udp      *layers.UDP
	icmp     *layers.ICMPv4
	seen     [places]sighting

	quotedTTL uint8 // of the packet that an ICMP error quotes

	// Of TCP. The numbers are relative to the connection's beginning, the window is in
	// bytes. Again: the client has seen it before.
	seq, ack, window uint32
	again            bool
}

// gather joins what the places have seen, in the order of first sight.
func gather(captures [places][]lab.Packet) []*packet {
	type key struct {
		identity string
		nth      int // a retransmission may be the same to the last bit
	}
	var all []*packet
	known := map[key]*packet{}
	for at := range captures {
		count := map[string]int{}
		for _, c := range captures[at] {
			p, ip := decode(c.Frame)
			if p == nil {
				continue
			}
			c.Time = c.Time.UTC()
			id := identity(ip)
			count[id]++
			k := key{id, count[id]}
			if known[k] == nil {
				known[k] = p
				all = append(all, p)
			}
			known[k].seen[at] = sighting{c, ip.TTL}
		}
	}
	slices.SortStableFunc(all, func(a, b *packet) int { return a.first().Compare(b.first()) })
	analyse(all)
	return all
}

// decode returns nil for what is not TCP, UDP or ICMP over IPv4.
func decode(frame []byte) (*packet, *layers.IPv4) {
	decoded := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	ip, ok := decoded.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	if !ok {
		return nil, nil
	}
	p := &packet{}
	p.tcp, _ = decoded.Layer(layers.LayerTypeTCP).(*layers.TCP)
	p.udp, _ = decoded.Layer(layers.LayerTypeUDP).(*layers.UDP)
	p.icmp, _ = decoded.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	var sport, dport uint16
	switch {
	case p.tcp != nil:
		sport, dport = uint16(p.tcp.SrcPort), uint16(p.tcp.DstPort)
	case p.udp != nil:
		sport, dport = uint16(p.udp.SrcPort), uint16(p.udp.DstPort)
	case p.icmp != nil:
		quoted := gopacket.NewPacket(p.icmp.Payload, layers.LayerTypeIPv4, gopacket.NoCopy)
		if about, ok := quoted.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
			p.quotedTTL = about.TTL
		}
		if udp, ok := quoted.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
			sport, dport = uint16(udp.SrcPort), uint16(udp.DstPort)
		}
	default:
		return nil, nil
	}
	from, _ := netip.AddrFromSlice(ip.SrcIP)
	to, _ := netip.AddrFromSlice(ip.DstIP)
	p.from, p.to = netip.AddrPortFrom(from, sport), netip.AddrPortFrom(to, dport)
	return p, ip
}

// identity is what the places see alike. The TTL and its checksum change at every hop,
// and the checksums of UDP and TCP may be completed on the way, as on a network card.
func identity(ip *layers.IPv4) string {
	head, body := bytes.Clone(ip.Contents), bytes.Clone(ip.Payload)
	head[8], head[10], head[11] = 0, 0, 0
	at := map[layers.IPProtocol]int{layers.IPProtocolTCP: 16, layers.IPProtocolUDP: 6}[ip.Protocol]
	if at > 0 && len(body) >= at+2 {
		body[at], body[at+1] = 0, 0
	}
	return string(head) + string(body)
}

// flow is one direction of a connection.
type flow struct{ from, to netip.AddrPort }

// analyse sets the relative numbers of TCP, as analysers show them.
func analyse(packets []*packet) {
	first, next, shift := map[flow]uint32{}, map[flow]uint32{}, map[flow]uint8{}
	for _, p := range packets {
		if p.tcp == nil {
			continue
		}
		there, back := flow{p.from, p.to}, flow{p.to, p.from}
		if p.tcp.SYN {
			first[there], shift[there] = p.tcp.Seq, windowScale(p.tcp)
		}
		p.seq = p.tcp.Seq - first[there]
		if p.tcp.ACK {
			p.ack = p.tcp.Ack - first[back]
		}
		p.window = uint32(p.tcp.Window)
		if !p.tcp.SYN { // RFC 7323, section 2.2
			p.window <<= shift[there]
		}
		if p.seen[atClient].Frame != nil {
			p.again = p.length() > 0 && p.seq+p.length() <= next[there]
			next[there] = max(next[there], p.seq+p.length())
		}
	}
}

// length is how many sequence numbers the segment takes.
func (p *packet) length() uint32 {
	n := uint32(len(p.tcp.Payload))
	for _, counted := range []bool{p.tcp.SYN, p.tcp.FIN} {
		if counted {
			n++
		}
	}
	return n
}

func windowScale(t *layers.TCP) uint8 {
	for _, o := range t.Options {
		if o.OptionType == layers.TCPOptionKindWindowScale && len(o.OptionData) == 1 {
			return o.OptionData[0]
		}
	}
	return 0
}

// first returns when the packet was first seen at any of the places.
func (p *packet) first() time.Time { return earliest(p.seen[:]) }

// atGateway returns when the packet came to the gateway; the zero time: it did not.
func (p *packet) atGateway() time.Time { return earliest(p.seen[inside:]) }

func earliest(seen []sighting) (t time.Time) {
	for _, s := range seen {
		if s.Frame != nil && (t.IsZero() || s.Time.Before(t)) {
			t = s.Time
		}
	}
	return t
}

// dropped reports whether the gateway did not forward the packet.
func (p *packet) dropped() bool {
	return (p.seen[inside].Frame == nil) != (p.seen[outside].Frame == nil)
}

// payload is that of TCP.
func (p *packet) payload() []byte {
	if p.tcp == nil {
		return nil
	}
	return p.tcp.Payload
}

// control reports whether the packet belongs to a control connection.
func (p *packet) control() bool {
	return p.tcp != nil && (p.from.Port() == 21 || p.to.Port() == 21)
}
