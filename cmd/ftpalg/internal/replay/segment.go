package replay

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// segment is what is asked of a TCP segment before the engine gets to read it. The
// capture may lack the end of it.
type segment struct {
	src, dst netip.AddrPort
	seq      uint32
	flags    uint8
	payload  bool   // on the wire
	text     []byte // of the payload, what the capture has
}

// TCP flags (RFC 9293, section 3.1).
const (
	fin = 1 << iota
	syn
	rst
	_
	ack
)

// first reports whether the segment asks for a new connection.
func (s *segment) first() bool { return s.flags&(fin|syn|rst|ack) == syn }

// answer reports whether the segment answers a SYN.
func (s *segment) answer() bool { return s.flags&(syn|ack) == syn|ack }

// has reports whether any of the flags is set.
func (s *segment) has(flags uint8) bool { return s.flags&flags != 0 }

// of reports whether one end of the segment is at one of the ports.
func (s *segment) of(ports []uint16) bool {
	return slices.Contains(ports, s.src.Port()) || slices.Contains(ports, s.dst.Port())
}

// Protocol numbers: TCP and the IPv6 extension headers that may stand before it.
const (
	protocolTCP         = 6
	protocolHopByHop    = 0
	protocolRouting     = 43
	protocolDestination = 60
)

// dissect finds the TCP segment in an IP packet. Fragments are none.
func dissect(p []byte) (segment, bool) {
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		const fragment = 0x3fff // more of them, and the offset
		if p[0]&0xf < 5 || p[9] != protocolTCP || binary.BigEndian.Uint16(p[6:])&fragment != 0 {
			return segment{}, false
		}
		return transport(p, int(p[0]&0xf)*4, int(binary.BigEndian.Uint16(p[2:])), p[12:16], p[16:20])
	case len(p) >= 40 && p[0]>>4 == 6:
		next, at := p[6], 40
		for next == protocolHopByHop || next == protocolRouting || next == protocolDestination {
			if len(p) < at+2 {
				return segment{}, false
			}
			next, at = p[at], at+(int(p[at+1])+1)*8
		}
		if next != protocolTCP {
			return segment{}, false
		}
		return transport(p, at, 40+int(binary.BigEndian.Uint16(p[4:])), p[8:24], p[24:40])
	}
	return segment{}, false
}

// transport reads the TCP header at some place of an IP packet, whose length on the
// wire is known.
func transport(p []byte, at, length int, src, dst []byte) (segment, bool) {
	if len(p) < at+20 {
		return segment{}, false
	}
	h := p[at:]
	from, _ := netip.AddrFromSlice(src)
	to, _ := netip.AddrFromSlice(dst)
	s := segment{
		src:   netip.AddrPortFrom(from, binary.BigEndian.Uint16(h)),
		dst:   netip.AddrPortFrom(to, binary.BigEndian.Uint16(h[2:])),
		seq:   binary.BigEndian.Uint32(h[4:]),
		flags: h[13],
	}
	if data := at + int(h[12]>>4)*4; length > data {
		s.payload = true
		s.text = p[min(data, len(p)):min(length, len(p))]
	}
	return s, true
}
