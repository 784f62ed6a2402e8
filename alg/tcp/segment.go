// Package tcp reads TCP segments out of IPv4 and IPv6 packets and puts the bytes
// of each direction in order.
//
// Nothing in it is safe for concurrent use, keeps a clock or does I/O.
package tcp

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Flags of a TCP header (RFC 9293, section 3.1).
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// What makes a packet unreadable as a TCP segment.
var (
	ErrTruncated = errors.New("packet ends before its headers do")
	ErrVersion   = errors.New("neither IPv4 nor IPv6")
	ErrFragment  = errors.New("an IP fragment")
	ErrNotTCP    = errors.New("not TCP")
	ErrHeader    = errors.New("a header length that cannot be")
	// ErrExtensions: its receiver may read it, but no host sends so many.
	ErrExtensions = errors.New("more IPv6 extension headers than are read")
)

// ErrEncoding says that bytes are not what this version wrote.
var ErrEncoding = errors.New("not the bytes of a value of this version")

// Segment is a view of one TCP segment. Payload aliases the packet it was parsed
// from.
type Segment struct {
	Src, Dst netip.AddrPort
	Seq, Ack uint32
	Flags    uint8
	Payload  []byte

	packet  []byte // the IP packet without what the link layer padded it with
	header  int    // offset of the TCP header in packet
	changed bool
}

// Has reports whether all of the flags are set.
func (s *Segment) Has(flags uint8) bool { return s.Flags&flags == flags }

// Len is the sequence space the segment takes: its bytes, and one for each of SYN
// and FIN (RFC 9293, section 3.4).
func (s *Segment) Len() uint32 {
	n := uint32(len(s.Payload))
	if s.Has(SYN) {
		n++
	}
	if s.Has(FIN) {
		n++
	}
	return n
}

// Parse reads a packet that begins with its IP header. It checks every length
// before it uses it and never panics. The checksum is a question of its own: see
// [Segment.ChecksumOK].
func Parse(packet []byte) (Segment, error) {
	if len(packet) < 1 {
		return Segment{}, ErrTruncated
	}
	switch packet[0] >> 4 {
	case 4:
		return parse4(packet)
	case 6:
		return parse6(packet)
	}
	return Segment{}, ErrVersion
}

func parse4(p []byte) (Segment, error) {
	if len(p) < 20 {
		return Segment{}, ErrTruncated
	}
	header, total := int(p[0]&0xf)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < 20 || total < header {
		return Segment{}, ErrHeader
	}
	if len(p) < total {
		return Segment{}, ErrTruncated
	}
	const moreOrOffset = 0x3fff // RFC 791, section 3.1: MF and the fragment offset
	if binary.BigEndian.Uint16(p[6:])&moreOrOffset != 0 {
		return Segment{}, ErrFragment
	}
	if p[9] != protocolTCP {
		return Segment{}, ErrNotTCP
	}
	src, dst := netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
	return parseTCP(p[:total], header, src, dst)
}

// Protocol numbers and IPv6 extension headers (RFC 8200, section 4).
const (
	protocolTCP     = 6
	hopByHop        = 0
	routing         = 43
	fragment        = 44
	authentication  = 51
	destination     = 60
	header6         = 40
	maxExtensions   = 8 // more than any host sends; bounds the walk
	fragmentPayload = 0xfff9
)

func parse6(p []byte) (Segment, error) {
	if len(p) < header6 {
		return Segment{}, ErrTruncated
	}
	total := header6 + int(binary.BigEndian.Uint16(p[4:]))
	if len(p) < total {
		return Segment{}, ErrTruncated
	}
	p = p[:total]
	next, at := p[6], header6
	for range maxExtensions + 1 {
		if next == protocolTCP {
			src, dst := netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
			if src.Is4In6() || dst.Is4In6() {
				return Segment{}, ErrVersion // never on a wire (RFC 4291, section 2.5.5.2)
			}
			return parseTCP(p, at, src, dst)
		}
		if len(p) < at+8 {
			return Segment{}, ErrTruncated
		}
		size := (int(p[at+1]) + 1) * 8
		switch next {
		case hopByHop, routing, destination:
		case authentication:
			size = (int(p[at+1]) + 2) * 4 // RFC 4302, section 2.2
		case fragment:
			if binary.BigEndian.Uint16(p[at+2:])&fragmentPayload != 0 {
				return Segment{}, ErrFragment
			}
			size = 8 // an atomic fragment is whole (RFC 6946)
		default:
			return Segment{}, ErrNotTCP
		}
		next, at = p[at], at+size
	}
	return Segment{}, ErrExtensions
}

func parseTCP(p []byte, at int, src, dst netip.Addr) (Segment, error) {
	if len(p) < at+20 {
		return Segment{}, ErrTruncated
	}
	h := p[at:]
	data := int(h[12]>>4) * 4
	if data < 20 {
		return Segment{}, ErrHeader
	}
	if len(h) < data {
		return Segment{}, ErrTruncated
	}
	return Segment{
		Src:     netip.AddrPortFrom(src, binary.BigEndian.Uint16(h)),
		Dst:     netip.AddrPortFrom(dst, binary.BigEndian.Uint16(h[2:])),
		Seq:     binary.BigEndian.Uint32(h[4:]),
		Ack:     binary.BigEndian.Uint32(h[8:]),
		Flags:   h[13],
		Payload: h[data:],
		packet:  p,
		header:  at,
	}, nil
}

// Urgent returns the number after the byte that is urgent (RFC 6093, section 2), of a
// segment with URG.
func (s *Segment) Urgent() uint32 {
	return s.Seq + uint32(binary.BigEndian.Uint16(s.packet[s.header+18:]))
}

// ClearUrgent makes nothing of the segment urgent, so that its receiver reads every byte.
// It writes to the packet the segment was parsed from.
func (s *Segment) ClearUrgent() {
	s.changed = true
	s.Flags &^= URG
	s.packet[s.header+13] &^= URG
	binary.BigEndian.PutUint16(s.packet[s.header+18:], 0)
}

// MSS returns the longest segment that the sender of a SYN takes, 0 where it does not say
// (RFC 9293, section 3.7.1).
func (s *Segment) MSS() uint16 {
	const end, nothing, mss = 0, 1, 2
	for o := s.packet[s.header+20 : len(s.packet)-len(s.Payload)]; len(o) > 0; {
		switch {
		case o[0] == end:
			return 0
		case o[0] == nothing:
			o = o[1:]
			continue
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			return 0
		case o[0] == mss && o[1] == 4:
			return binary.BigEndian.Uint16(o[2:])
		}
		o = o[o[1]:]
	}
	return 0
}

// Replace gives a segment other bytes, from the number at on, in a packet of its own. Where
// they are more than the receiver takes, and more than there were, the rest is left out:
// what is not acknowledged is sent again.
func (s *Segment) Replace(at uint32, out []byte, mss int) {
	headers := len(s.packet) - len(s.Payload)
	if longest := max(mss-(headers-s.header-20), len(s.Payload)); len(out) > longest {
		out = out[:longest]
		s.Flags &^= FIN | PSH
	}
	if len(out) == 0 {
		s.Flags &^= FIN | PSH
	}
	p := make([]byte, headers+len(out))
	copy(p, s.packet[:headers])
	copy(p[headers:], out)
	s.Seq, s.Payload, s.packet, s.changed = at, p[headers:], p, true
	binary.BigEndian.PutUint32(p[s.header+4:], at)
	p[s.header+13] = s.Flags
	if p[0]>>4 == 4 {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], ^fold(sum(0, p[:int(p[0]&0xf)*4])))
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-header6))
	}
	if s.Has(URG) { // the byte's place would be another
		s.ClearUrgent()
	}
}

// Changed reports whether the packet is not any more what it was parsed from.
func (s *Segment) Changed() bool { return s.changed }

// Ends returns both ends of a TCP packet of which only the beginning is there, from its IP
// header on.
func Ends(beginning []byte) (src, dst netip.AddrPort, ok bool) {
	p := append([]byte(nil), beginning...)
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	case len(p) >= header6 && p[0]>>4 == 6:
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-header6))
	}
	s, err := Parse(p)
	return s.Src, s.Dst, err == nil
}
