package conntrack

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// Messages and attributes of ctnetlink: linux/netfilter/nfnetlink_conntrack.h. The
// conntrack module keeps its own to itself.
const (
	msgNew    = 0 // IPCTNL_MSG_CT_NEW
	msgGet    = 1 // IPCTNL_MSG_CT_GET
	msgDelete = 2 // IPCTNL_MSG_CT_DELETE

	ctaTupleOrig   = 1
	ctaTupleReply  = 2
	ctaStatus      = 3
	ctaProtoInfo   = 4
	ctaNATSrc      = 6
	ctaTimeout     = 7
	ctaMark        = 8
	ctaID          = 12
	ctaNATDst      = 13
	ctaSeqAdjOrig  = 15
	ctaSeqAdjReply = 16
	ctaLabels      = 22
	ctaFilter      = 25
)

// message returns a message about flows of an address's family.
func message(typ netfilter.MessageType, flags netlink.HeaderFlags, of netip.Addr, attrs ...netfilter.Attribute) (netlink.Message, error) {
	h := netfilter.Header{
		SubsystemID: netfilter.NFSubsysCTNetlink, MessageType: typ,
		Family: netfilter.ProtoIPv4, Flags: netlink.Request | flags,
	}
	if of.Is6() {
		h.Family = netfilter.ProtoIPv6
	}
	return netfilter.MarshalNetlink(h, attrs)
}

func nested(typ uint16, children ...netfilter.Attribute) netfilter.Attribute {
	return netfilter.Attribute{Type: typ, Nested: true, Children: children}
}

func u8(typ uint16, v uint8) netfilter.Attribute {
	return netfilter.Attribute{Type: typ, Data: []byte{v}}
}

func be16(typ uint16, v uint16) netfilter.Attribute {
	return netfilter.Attribute{Type: typ, Data: netfilter.Uint16Bytes(v)}
}

func be32(typ uint16, v uint32) netfilter.Attribute {
	return netfilter.Attribute{Type: typ, Data: netfilter.Uint32Bytes(v)}
}

// tuple returns a TCP tuple: CTA_TUPLE_IP and CTA_TUPLE_PROTO.
func tuple(typ uint16, src, dst netip.AddrPort) netfilter.Attribute {
	from, to := uint16(1), uint16(2) // CTA_IP_V4_SRC, CTA_IP_V4_DST
	if src.Addr().Is6() {
		from, to = 3, 4
	}
	return nested(typ,
		nested(1,
			netfilter.Attribute{Type: from, Data: src.Addr().AsSlice()},
			netfilter.Attribute{Type: to, Data: dst.Addr().AsSlice()}),
		// CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT
		nested(2, u8(1, unix.IPPROTO_TCP), be16(2, src.Port()), be16(3, dst.Port())))
}

// manip returns a CTA_NAT_SRC or CTA_NAT_DST that leaves no choice.
func manip(typ uint16, to netip.AddrPort) netfilter.Attribute {
	least, most := uint16(1), uint16(2) // CTA_NAT_V4_MINIP, CTA_NAT_V4_MAXIP
	if to.Addr().Is6() {
		least, most = 4, 5
	}
	return nested(typ,
		netfilter.Attribute{Type: least, Data: to.Addr().AsSlice()},
		netfilter.Attribute{Type: most, Data: to.Addr().AsSlice()},
		nested(3, be16(1, to.Port()), be16(2, to.Port()))) // CTA_NAT_PROTO
}

// seqAdj returns a CTA_SEQ_ADJ_ORIG or CTA_SEQ_ADJ_REPLY. The kernel wants all of it
// (change_seq_adj), and the conntrack module sends none of it where a part is zero.
func seqAdj(typ uint16, a alg.Adjustment) netfilter.Attribute {
	return nested(typ, be32(1, a.Pos), be32(2, uint32(a.Before)), be32(3, uint32(a.After)))
}

// Fields of a tuple that a dump compares: CTA_FILTER_F_ in net/netfilter/nf_internals.h.
const (
	fieldSource     = 1 << 0 // CTA_IP_SRC
	fieldProtocol   = 1 << 3 // CTA_PROTO_NUM
	fieldSourcePort = 1 << 4 // CTA_PROTO_SRC_PORT
)

// filter returns the CTA_FILTER of a dump, for fields of both tuples.
func filter(fields uint32) netfilter.Attribute {
	b := binary.NativeEndian.AppendUint32(nil, fields)
	return nested(ctaFilter, netfilter.Attribute{Type: 1, Data: b}, netfilter.Attribute{Type: 2, Data: b})
}
