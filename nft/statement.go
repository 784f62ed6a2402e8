package nft

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// statement is one match or action of a rule, in both of its forms: as nft prints it
// and as the kernel runs it. Everything that is installed is built from these, so
// what Text shows cannot differ from what Install does.
type statement struct {
	text  string
	needs []protocol
	exprs []expr.Any
}

// protocol is a condition that nft adds to a rule by itself and does not print: the
// fields that follow are to be found only in packets of this protocol.
type protocol struct {
	key    expr.MetaKey
	number byte
}

var tcp = protocol{expr.MetaKeyL4PROTO, unix.IPPROTO_TCP}

// rule is a line of a chain.
type rule []statement

// text returns the rule in nft syntax.
func (r rule) text() string {
	words := make([]string, len(r))
	for i, s := range r {
		words[i] = s.text
	}
	return strings.Join(words, " ")
}

// exprs returns the rule as the kernel takes it, with each protocol checked once.
func (r rule) exprs() []expr.Any {
	var exprs []expr.Any
	var checked []protocol
	for _, s := range r {
		for _, p := range s.needs {
			if !slices.Contains(checked, p) {
				checked = append(checked, p)
				exprs = append(exprs,
					&expr.Meta{Key: p.key, Register: 1},
					&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{p.number}})
			}
		}
		exprs = append(exprs, s.exprs...)
	}
	return exprs
}

// The flags of a TCP header.
const (
	fin = 1 << iota
	syn
	rst
	_
	ack
	urg
)

// ctState is `ct state A,B`, true of a packet in any of the states.
func ctState(text string, states uint32) statement {
	return statement{text: text, exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(states), Xor: native(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: native(0)},
	}}
}

// ctStatus is `ct status A,B`, true of a packet whose flow has any of the bits (IPS_SRC_NAT
// and so on of linux/netfilter/nf_conntrack_common.h).
func ctStatus(text string, bits uint32) statement {
	return statement{text: text, exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(bits), Xor: native(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: native(0)},
	}}
}

// ctDirection is `ct direction D`: IP_CT_DIR_ORIGINAL, 0, or IP_CT_DIR_REPLY, 1. It is
// never true of a packet without a flow.
func ctDirection(text string, number byte) statement {
	return statement{text: text, exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}}
}

// tcpFlags is `tcp flags & mask OP value`.
func tcpFlags(text string, mask byte, op expr.CmpOp, value byte) statement {
	return statement{text: text, needs: []protocol{tcp}, exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{mask}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{value}},
	}}
}

var (
	// The other two flags are of congestion control (RFC 3168, 6.1.1): a SYN may have them.
	isSYN     = tcpFlags("tcp flags & (fin|syn|rst|ack) == syn", fin|syn|rst|ack, expr.CmpOpEq, syn)
	isSYNACK  = tcpFlags("tcp flags & (syn|ack) == (syn|ack)", syn|ack, expr.CmpOpEq, syn|ack)
	isReset   = tcpFlags("tcp flags & rst != 0", rst, expr.CmpOpNeq, 0)
	isNoReset = tcpFlags("tcp flags & rst == 0", rst, expr.CmpOpEq, 0)
	isLast    = tcpFlags("tcp flags & (fin|urg) != 0", fin|urg, expr.CmpOpNeq, 0)
	isEnd     = tcpFlags("tcp flags & (fin|rst|urg) != 0", fin|rst|urg, expr.CmpOpNeq, 0)

	// A flow is new until it was answered: so is a retransmitted SYN. A packet without a
	// flow is not.
	isNew         = ctState("ct state new", expr.CtStateBitNEW)
	isEstablished = ctState("ct state established", expr.CtStateBitESTABLISHED)
	// Source NAT of a flow is decided when its first packet leaves, destination NAT when it
	// comes in.
	isTranslated = ctStatus("ct status snat,dnat", ipsSrcNAT|ipsDstNAT)
	isForwarded  = ctStatus("ct status dnat", ipsDstNAT)

	noFlow = ctState("ct state invalid,untracked", expr.CtStateBitINVALID|expr.CtStateBitUNTRACKED)

	// The end that opened a connection is its client, whichever port it came from: one
	// that comes from port 21 is no server's.
	fromOpener = ctDirection("ct direction original", 0)
	toOpener   = ctDirection("ct direction reply", 1)

	// @ih is the inner header, for TCP its payload (nft_payload_inner_offset). The load
	// fails, and with it the match, where the segment has no first byte: a pure ACK.
	hasPayload = statement{text: "@ih,0,8 >= 0x0", exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: unix.NFT_PAYLOAD_INNER_HEADER, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{0}},
	}}

	accept = statement{text: "accept", exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}}
	drop   = statement{text: "drop", exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}}
)

// The bits of a flow's status.
const (
	ipsSrcNAT = 1 << 4
	ipsDstNAT = 1 << 5
)

// limit is true so often, for each element of its own.
func limit(rate uint64, per string, unit expr.LimitTime, burst uint32) statement {
	return statement{text: fmt.Sprintf("limit rate %d/%s burst %d packets", rate, per, burst), exprs: []expr.Any{
		&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: unit, Burst: burst},
	}}
}

// count is true of a connection that is among the first n of those that live, for each
// element of its own.
func count(n uint32) statement {
	return statement{text: fmt.Sprintf("ct count %d", n), exprs: []expr.Any{&expr.Connlimit{Count: n}}}
}

// log copies the packet's headers to the group, if someone listens there.
func log(prefix string, cfg Config) statement {
	return statement{text: fmt.Sprintf("log prefix %q group %d snaplen %d", prefix, cfg.group(), logLen), exprs: []expr.Any{
		&expr.Log{
			Key:  1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_PREFIX | 1<<unix.NFTA_LOG_SNAPLEN,
			Data: []byte(prefix), Group: cfg.group(), Snaplen: logLen,
		},
	}}
}

// logLen is as much of a packet as is logged: its headers.
const logLen = 128

// gotoChain ends the chain in another.
func gotoChain(name string) statement {
	return statement{text: "goto " + name, exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: name}}}
}

// queue diverts the packet to one of the queues.
func queue(cfg Config, caps Caps) statement {
	return queueFrom(cfg.Queue, cfg.Workers, cfg.Bypass, caps)
}

// queueFrom diverts the packet to one of so many queues, both directions of a flow to the
// same: the kernel hashes the address pair symmetrically (nfqueue_hash).
func queueFrom(first uint16, queues int, bypass bool, caps Caps) statement {
	var flags string
	var flag uint16
	if bypass {
		flags, flag = "flags bypass ", unix.NFT_QUEUE_FLAG_BYPASS
	}
	s := statement{text: fmt.Sprintf("queue %sto %d", flags, first)}
	if queues > 1 {
		s.text += fmt.Sprintf("-%d", int(first)+queues-1)
	}
	if caps.Queue {
		s.exprs = []expr.Any{&expr.Queue{Num: first, Total: uint16(queues), Flag: expr.QueueFlag(flag)}}
		return s
	}
	// struct xt_NFQ_info_v3: queuenum, queues_total and flags, padded to 8 bytes.
	var info xt.Unknown
	for _, v := range []uint16{first, uint16(queues), flag, 0} {
		info = binary.NativeEndian.AppendUint16(info, v)
	}
	s.exprs = []expr.Any{&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}}
	return s
}
