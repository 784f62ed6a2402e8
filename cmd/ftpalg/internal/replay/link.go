package replay

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// links has, for each link type that is read, what returns a frame from its IP header
// on, or nil if it carries no IP. https://www.tcpdump.org/linktypes.html describes
// them; 12 and 14 are what LINKTYPE_RAW is called on some systems.
var links = map[layers.LinkType]func([]byte) []byte{
	layers.LinkTypeEthernet:  ethernet,
	layers.LinkTypeLinuxSLL:  cooked,
	layers.LinkTypeLinuxSLL2: cooked2,
	layers.LinkTypeNull:      loopback,
	layers.LinkTypeLoop:      loopback,
	layers.LinkTypeRaw:       raw,
	layers.LinkTypeIPv4:      raw,
	layers.LinkTypeIPv6:      raw,
	12:                       raw,
	14:                       raw,
}

func ethernet(b []byte) []byte { return typed(b, 12, 14) }
func cooked(b []byte) []byte   { return typed(b, 14, 16) }
func cooked2(b []byte) []byte  { return typed(b, 0, 20) }
func raw(b []byte) []byte      { return b }

// EtherTypes.
const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	typeVLAN = 0x8100 // IEEE 802.1Q
	typeQinQ = 0x88a8 // IEEE 802.1ad
	typeOld  = 0x9100 // the same before there was a standard
)

// typed is for link headers of a fixed size that have an EtherType at some place. VLAN
// tags may follow: two bytes, and the EtherType of what comes next.
func typed(b []byte, at, size int) []byte {
	if len(b) < size {
		return nil
	}
	kind, b := binary.BigEndian.Uint16(b[at:]), b[size:]
	for kind == typeVLAN || kind == typeQinQ || kind == typeOld {
		if len(b) < 4 {
			return nil
		}
		kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	if kind == typeIPv4 || kind == typeIPv6 {
		return b
	}
	return nil
}

// loopback has the address family in front, as the capturing system numbers it, in
// that system's byte order: as no number is above 255, it is in the first byte or the
// last.
func loopback(b []byte) []byte {
	if len(b) < 4 {
		return nil
	}
	switch b[0] | b[3] {
	case 2, 10, 24, 28, 30: // IPv4; IPv6 on Linux, NetBSD and OpenBSD, FreeBSD, Darwin
		return b[4:]
	}
	return nil
}
