package tcp

import (
	"encoding/binary"
	"net/netip"
)

// ChecksumOK reports whether the TCP checksum is that of the segment (RFC 9293,
// section 3.1).
func (s *Segment) ChecksumOK() bool {
	return fold(sum(s.pseudo(), s.packet[s.header:])) == 0xffff
}

// ChecksumPartial reports whether the checksum field holds the sum of the pseudo
// header alone: what a capture on the sending host shows when the sum is left to
// the network card (CHECKSUM_PARTIAL in the kernel's include/linux/skbuff.h).
func (s *Segment) ChecksumPartial() bool {
	return binary.BigEndian.Uint16(s.packet[s.header+16:]) == fold(s.pseudo())
}

// SetChecksum makes the checksum that of the segment as it stands now. It writes
// to the packet the segment was parsed from.
func (s *Segment) SetChecksum() {
	field := s.packet[s.header+16:]
	binary.BigEndian.PutUint16(field, 0)
	binary.BigEndian.PutUint16(field, ^fold(sum(s.pseudo(), s.packet[s.header:])))
}

// Packet returns the IP packet that the segment was parsed from, without what the
// link layer padded it with.
func (s *Segment) Packet() []byte { return s.packet }

func (s *Segment) pseudo() uint64 {
	return pseudo(s.Src.Addr(), s.Dst.Addr(), len(s.packet)-s.header)
}

// pseudo sums the pseudo header; that of IPv6 differs from that of IPv4 in its
// addresses alone, since zeros add nothing (RFC 8200, section 8.1).
func pseudo(src, dst netip.Addr, length int) uint64 {
	acc := uint64(protocolTCP) + uint64(length)
	for _, a := range [2]netip.Addr{src, dst} {
		if a.Is4() {
			b := a.As4()
			acc = sum(acc, b[:])
		} else {
			b := a.As16()
			acc = sum(acc, b[:])
		}
	}
	return acc
}

// sum adds up 16-bit words; 64 bits hold the carries of any packet.
func sum(acc uint64, b []byte) uint64 {
	for ; len(b) >= 4; b = b[4:] {
		w := binary.BigEndian.Uint32(b)
		acc += uint64(w>>16) + uint64(w&0xffff)
	}
	if len(b) >= 2 {
		acc += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint64(b[0]) << 8
	}
	return acc
}

func fold(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}
