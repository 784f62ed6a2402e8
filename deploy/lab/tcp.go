package lab

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Segment is one TCP segment of a captured connection.
type Segment struct {
	Time       time.Time
	Initiator  bool   // sent by the end that opened the connection
	Seq, Ack   uint32 // counted from the first of each direction, as analysers show them
	SYN, FIN   bool
	RST        bool
	HasAck     bool
	Payload    []byte
	FrameBytes int // on the wire
}

// Connection is one captured TCP connection.
type Connection struct {
	From, To netip.AddrPort // From sent the SYN
	Segments []Segment      // in the order of their first sight
}

// Merge returns the packets of several captures in the order of their times. A packet
// that several have seen is there several times.
func Merge(captures ...*Capture) []Packet {
	var all []Packet
	for _, c := range captures {
		all = append(all, c.Packets()...)
	}
	slices.SortStableFunc(all, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	return all
}

type tuple struct{ from, to netip.AddrPort }

// seen tells a segment that comes again, at another interface or as a retransmission.
type seen struct {
	tuple
	seq, ack uint32
	length   int
	flags    [4]bool
}

// Connections returns the TCP connections of packets whose SYN is among them, in the
// order of their SYNs. Packets that come again are left out.
func Connections(packets []Packet) []Connection {
	var (
		conns []Connection
		index = map[tuple]int{}
		base  = map[tuple]uint32{} // first sequence number
		known = map[seen]bool{}
	)
	for _, p := range packets {
		flow, t, ok := decode(p.Frame)
		if !ok {
			continue
		}
		key := seen{flow, t.Seq, t.Ack, len(t.Payload), [4]bool{t.SYN, t.ACK, t.FIN, t.RST}}
		if known[key] {
			continue
		}
		known[key] = true
		back := tuple{flow.to, flow.from}
		if t.SYN {
			base[flow] = t.Seq
			if !t.ACK {
				index[flow] = len(conns)
				delete(index, back)
				conns = append(conns, Connection{From: flow.from, To: flow.to})
			}
		}
		i, initiator := index[flow]
		if !initiator {
			if i, ok = index[back]; !ok {
				continue
			}
		}
		s := Segment{
			Time: p.Time, Initiator: initiator, Seq: t.Seq - base[flow],
			SYN: t.SYN, FIN: t.FIN, RST: t.RST, HasAck: t.ACK,
			Payload: t.Payload, FrameBytes: len(p.Frame),
		}
		if t.ACK {
			s.Ack = t.Ack - base[back]
		}
		conns[i].Segments = append(conns[i].Segments, s)
	}
	return conns
}

func decode(frame []byte) (flow tuple, t *layers.TCP, ok bool) {
	pkt := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	t, ok = pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
	ip := pkt.NetworkLayer()
	if !ok || ip == nil {
		return flow, nil, false
	}
	from, to := ip.NetworkFlow().Endpoints()
	src, _ := netip.AddrFromSlice(from.Raw())
	dst, _ := netip.AddrFromSlice(to.Raw())
	flow.from = netip.AddrPortFrom(src, uint16(t.SrcPort))
	flow.to = netip.AddrPortFrom(dst, uint16(t.DstPort))
	return flow, t, true
}

// Line is one line of a control connection, without its CRLF.
type Line struct {
	Time     time.Time // of the segment that ended it
	Client   bool      // said by the client
	Text     string
	Seq, Ack uint32 // of that segment
	Len      int    // of that segment's payload
}

// Lines returns what both ends of a control connection said, in the order in which
// it was seen.
func (c *Connection) Lines() []Line {
	var lines []Line
	for _, initiator := range []bool{true, false} {
		var rest string
		next := uint32(1)
		for _, s := range c.Segments {
			if s.Initiator != initiator || len(s.Payload) == 0 || s.Seq != next {
				continue
			}
			next += uint32(len(s.Payload))
			rest += string(s.Payload)
			for {
				text, after, ok := strings.Cut(rest, "\r\n")
				if !ok {
					break
				}
				rest = after
				lines = append(lines, Line{s.Time, initiator, text, s.Seq, s.Ack, len(s.Payload)})
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return lines
}
