package nft

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
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

// field is a part of a packet's headers.
type field struct {
	text   string
	proto  protocol
	base   expr.PayloadBase
	offset uint32
	typ    nftables.SetDatatype
}

var (
	tcpSport = field{"tcp sport", tcp, expr.PayloadBaseTransportHeader, 0, nftables.TypeInetService}
	tcpDport = field{"tcp dport", tcp, expr.PayloadBaseTransportHeader, 2, nftables.TypeInetService}
)

// key is a concatenation of fields: what a set is searched for.
type key []field

// text returns the concatenation in nft syntax: "ip saddr . tcp dport".
func (k key) text() string {
	names := make([]string, len(k))
	for i, f := range k {
		names[i] = f.text
	}
	return strings.Join(names, " . ")
}

// typ returns the type of a set with this key.
func (k key) typ() nftables.SetDatatype {
	types := make([]nftables.SetDatatype, len(k))
	for i, f := range k {
		types[i] = f.typ
	}
	return nftables.MustConcatSetType(types...)
}

// load puts the fields side by side into registers, each padded to 32 bits.
func (k key) load() (needs []protocol, exprs []expr.Any) {
	reg := uint32(unix.NFT_REG32_00)
	for _, f := range k {
		needs = append(needs, f.proto)
		exprs = append(exprs, &expr.Payload{DestRegister: reg, Base: f.base, Offset: f.offset, Len: f.typ.Bytes})
		reg += (f.typ.Bytes + 3) / 4
	}
	return needs, exprs
}

// in is true of packets whose key is in the set: `tcp dport @ports`.
func (k key) in(set string) statement {
	needs, exprs := k.load()
	return statement{
		text:  k.text() + " @" + set,
		needs: needs,
		exprs: append(exprs, &expr.Lookup{SourceRegister: unix.NFT_REG32_00, SetName: set}),
	}
}

// from takes the key of the packet out of the set: `delete @active4 { ip saddr . ... }`.
// It goes on whether the key was there or not.
func (k key) from(set string) statement { return k.dynset("delete", opDelete, set) }

// refresh starts the time-out of the packet's key anew: `update @released4 { ... }`.
func (k key) refresh(set string) statement {
	return k.dynset("update", unix.NFT_DYNSET_OP_UPDATE, set)
}

func (k key) dynset(verb string, op uint32, set string) statement {
	needs, exprs := k.load()
	return statement{
		text:  fmt.Sprintf("%s @%s { %s }", verb, set, k.text()),
		needs: needs,
		exprs: append(exprs, &expr.Dynset{SrcRegKey: unix.NFT_REG32_00, SetName: set, Operation: op}),
	}
}

// opDelete is NFT_DYNSET_OP_DELETE of linux/netfilter/nf_tables.h.
const opDelete = 2

// The flags of a TCP header.
const (
	fin = 1 << iota
	syn
	rst
	_
	ack
)

// ctState is `ct state A,B`, true of a packet in any of the states.
func ctState(text string, states uint32) statement {
	return statement{text: text, exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(states), Xor: native(0)},
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
	isSYN    = tcpFlags("tcp flags & (fin|syn|rst|ack) == syn", fin|syn|rst|ack, expr.CmpOpEq, syn)
	isSYNACK = tcpFlags("tcp flags & (syn|ack) == (syn|ack)", syn|ack, expr.CmpOpEq, syn|ack)
	hasSYN   = tcpFlags("tcp flags & syn != 0", syn, expr.CmpOpNeq, 0)
	isEnd    = tcpFlags("tcp flags & (fin|rst) != 0", fin|rst, expr.CmpOpNeq, 0)

	// A flow is new until it was answered: so is a retransmitted SYN. A packet without a
	// flow is not.
	isNew  = ctState("ct state new", expr.CtStateBitNEW)
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
)

// gotoChain ends the chain in another.
func gotoChain(name string) statement {
	return statement{text: "goto " + name, exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: name}}}
}

// queue diverts the packet to one of the queues, both directions of a flow to the
// same: the kernel hashes the address pair symmetrically (nfqueue_hash).
func queue(cfg Config, caps Caps) statement {
	var flags string
	var flag uint16
	if cfg.Bypass {
		flags, flag = "flags bypass ", unix.NFT_QUEUE_FLAG_BYPASS
	}
	s := statement{text: fmt.Sprintf("queue %sto %d", flags, cfg.Queue)}
	if cfg.Workers > 1 {
		s.text += fmt.Sprintf("-%d", int(cfg.Queue)+cfg.Workers-1)
	}
	if caps.Queue {
		s.exprs = []expr.Any{&expr.Queue{Num: cfg.Queue, Total: uint16(cfg.Workers), Flag: expr.QueueFlag(flag)}}
		return s
	}
	// struct xt_NFQ_info_v3: queuenum, queues_total and flags, padded to 8 bytes.
	var info xt.Unknown
	for _, v := range []uint16{cfg.Queue, uint16(cfg.Workers), flag, 0} {
		info = binary.NativeEndian.AppendUint16(info, v)
	}
	s.exprs = []expr.Any{&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}}
	return s
}
