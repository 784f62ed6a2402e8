package check

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/nft"
)

// packet is a model of packets of a connection: what is common to them is known, and the
// rest, as the addresses, is not.
type packet struct {
	family   byte // NFPROTO_IPV4 or NFPROTO_IPV6
	in, out  link
	sport    uint16
	dport    uint16
	syn      bool // else a segment in a connection that was answered
	reply    bool
	forwards bool // the connection's destination is translated
	tag      nft.Tag
	tagged   bool // it bears what a pinhole gives it
	labelled bool // its flow bears the label that a pinhole gave it

	mark value // of 4 bytes
}

// link is an interface. The zero link is none, as the outgoing one of what comes in.
type link struct {
	name  string
	index int
}

// anyLink stands for every interface.
var anyLink = link{index: -1}

// Flags of a TCP header.
const (
	flagSYN = 1 << 1
	flagACK = 1 << 4
)

func (p *packet) state() uint32 {
	if p.syn {
		return expr.CtStateBitNEW
	}
	return expr.CtStateBitESTABLISHED
}

func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// bit is a value of n bytes, in machine words, of which one bit is known.
func bit(n, number int, set bool) value {
	v := unknown(n)
	word := make([]byte, 8)
	binary.NativeEndian.PutUint64(word, 1<<(number%64))
	copy(v.known[number/64*8:], word)
	if set {
		copy(v.bytes, v.known)
	}
	return v
}

// ownMark is what is known of the packet's mark between our chains, or outside of them.
func (p *packet) ownMark(between bool) value {
	v := value{native(p.tag.Mark), native(p.tag.Mark)}
	if !p.tagged || !between {
		v.bytes = native(0)
	}
	return v
}

// The flags of a flow that is translated (IPS_SRC_NAT and IPS_DST_NAT), and of one whose
// first packet was let through (IPS_CONFIRMED and IPS_SEEN_REPLY).
const (
	statusReplied    = 1 << 1
	statusConfirmed  = 1 << 3
	statusSourceNAT  = 1 << 4
	statusForwarding = 1 << 5
)

// originally returns the ports of the connection's first packet.
func (p *packet) originally() (source, destination uint16) {
	if p.reply {
		return p.dport, p.sport
	}
	return p.sport, p.dport
}

// ct is what a ct expression loads: of the connection as it began, where it asks for one
// direction of the two.
func (p *packet) ct(key expr.CtKey) (value, bool) {
	source, destination := p.originally()
	switch key {
	case expr.CtKeySTATE:
		return exactly(native(p.state())), true
	case expr.CtKeySTATUS:
		v := value{native(0), native(statusReplied | statusConfirmed | statusForwarding)}
		if p.forwards {
			v.bytes = native(statusForwarding)
		} else {
			v.known = native(statusReplied | statusConfirmed | statusForwarding | statusSourceNAT)
		}
		if !p.syn {
			was := binary.NativeEndian.Uint32(v.bytes)
			v.bytes = native(was | statusReplied | statusConfirmed)
		}
		return v, true
	case expr.CtKeyDIRECTION:
		if p.reply {
			return exactly([]byte{1}), true
		}
		return exactly([]byte{0}), true
	case expr.CtKeyLABELS:
		return bit(16, int(p.tag.Label), p.tagged || p.labelled), true
	case expr.CtKeyPROTOCOL:
		return exactly([]byte{unix.IPPROTO_TCP}), true
	case expr.CtKeyL3PROTOCOL:
		return exactly([]byte{p.family}), true
	case expr.CtKeyPROTOSRC:
		return exactly(binary.BigEndian.AppendUint16(nil, source)), true
	case expr.CtKeyPROTODST:
		return exactly(binary.BigEndian.AppendUint16(nil, destination)), true
	case expr.CtKeyHELPER:
		return exactly(make([]byte, 16)), true
	}
	return unknown(16), false
}

func name(l link) value {
	if l == anyLink {
		return unknown(unix.IFNAMSIZ)
	}
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, l.name)
	return exactly(b)
}

func index(l link) value {
	if l == anyLink {
		return unknown(4)
	}
	return exactly(native(uint32(l.index)))
}

// meta is what a meta expression loads.
func (p *packet) meta(key expr.MetaKey) (value, bool) {
	switch key {
	case expr.MetaKeyNFPROTO:
		return exactly([]byte{p.family}), true
	case expr.MetaKeyL4PROTO:
		return exactly([]byte{unix.IPPROTO_TCP}), true
	case expr.MetaKeyPROTOCOL:
		if p.family == unix.NFPROTO_IPV4 {
			return exactly([]byte{0x08, 0x00}), true
		}
		return exactly([]byte{0x86, 0xdd}), true
	case expr.MetaKeyMARK:
		return p.mark, true
	case expr.MetaKeyIIFNAME:
		return name(p.in), true
	case expr.MetaKeyOIFNAME:
		return name(p.out), true
	case expr.MetaKeyIIF:
		return index(p.in), true
	case expr.MetaKeyOIF:
		return index(p.out), true
	case expr.MetaKeyPKTTYPE: // PACKET_HOST
		return exactly([]byte{0}), true
	}
	return unknown(16), false
}

// network is the packet's IP header, as far as it is known.
func (p *packet) network() value {
	if p.family == unix.NFPROTO_IPV4 {
		v := unknown(20)
		v.set(0, 0x45)
		v.set(6, 0)
		v.known[6] = 0xbf // DF may be there, MF and an offset are not
		v.set(7, 0)
		v.set(9, unix.IPPROTO_TCP)
		return v
	}
	v := unknown(40)
	v.bytes[0], v.known[0] = 0x60, 0xf0
	v.set(6, unix.IPPROTO_TCP)
	return v
}

// transport is its TCP header.
func (p *packet) transport() value {
	v := unknown(20)
	for i, b := range slices.Concat(binary.BigEndian.AppendUint16(nil, p.sport), binary.BigEndian.AppendUint16(nil, p.dport)) {
		v.set(i, b)
	}
	if p.syn {
		v.bytes[13], v.known[13] = flagSYN, 0x3f // ECE and CWR may be there
	} else {
		v.bytes[13], v.known[13] = flagACK, 0x37 // so may PSH
	}
	return v
}

func (v value) set(i int, b byte) { v.bytes[i], v.known[i] = b, 0xff }
