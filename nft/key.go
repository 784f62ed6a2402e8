package nft

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// field is a part of a packet's headers.
type field struct {
	text   string
	proto  protocol
	base   expr.PayloadBase
	offset uint32
	typ    nftables.SetDatatype
	mask   []byte // of what counts; nil: all of it
}

var (
	tcpSport = field{text: "tcp sport", proto: tcp, base: expr.PayloadBaseTransportHeader, offset: 0, typ: nftables.TypeInetService}
	tcpDport = field{text: "tcp dport", proto: tcp, base: expr.PayloadBaseTransportHeader, offset: 2, typ: nftables.TypeInetService}
	tcpSeq   = field{text: "tcp sequence", proto: tcp, base: expr.PayloadBaseTransportHeader, offset: 4, typ: nftables.TypeMark}
)

// load puts the field into a register.
func (f field) load(reg uint32) []expr.Any {
	exprs := []expr.Any{&expr.Payload{DestRegister: reg, Base: f.base, Offset: f.offset, Len: f.typ.Bytes}}
	if f.mask != nil {
		exprs = append(exprs, &expr.Bitwise{
			SourceRegister: reg, DestRegister: reg, Len: f.typ.Bytes, Mask: f.mask, Xor: make([]byte, f.typ.Bytes),
		})
	}
	return exprs
}

// within is true of ports in a range, and of every one where the range is: `tcp sport 1-1023`.
func (f field) within(r alg.Ports) rule {
	if r.Any() {
		return nil
	}
	bound := func(op expr.CmpOp, port uint16) expr.Any {
		return &expr.Cmp{Op: op, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)}
	}
	s := statement{text: f.text + " " + r.String(), needs: []protocol{f.proto}, exprs: f.load(1)}
	if port, ok := r.Single(); ok {
		s.exprs = append(s.exprs, bound(expr.CmpOpEq, port))
	} else {
		s.exprs = append(s.exprs, bound(expr.CmpOpGte, r.First), bound(expr.CmpOpLte, r.Last))
	}
	return rule{s}
}

// above is true of ports that are greater: `tcp dport > 1023`.
func (f field) above(port uint16) statement {
	return statement{
		text: fmt.Sprintf("%s > %d", f.text, port), needs: []protocol{f.proto},
		exprs: append(f.load(1), &expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)}),
	}
}

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

// decl declares the type in nft syntax. A sequence number has no type of its own there,
// only that of the field. The nft program says so by userdata of the set, without which it
// (1.0.6) cannot list two elements with an integer: concat_expr_msort_value asks for its
// length. A packet mark is 32 bits too.
func (k key) decl() string {
	if slices.ContainsFunc(k, func(f field) bool { return f.text == tcpSeq.text }) {
		return "typeof " + k.text()
	}
	return "type " + k.typ().Name
}

// load puts the fields side by side into registers, each padded to 32 bits.
func (k key) load() (needs []protocol, exprs []expr.Any) {
	reg := uint32(unix.NFT_REG32_00)
	for _, f := range k {
		needs = append(needs, f.proto)
		exprs = append(exprs, f.load(reg)...)
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

// dnat translates where the packet goes to, and snat where it comes from, if the map has
// something for its key: `dnat ip to ip saddr . ip daddr . tcp dport map @dnat4`. What it
// has takes the registers of the key, a port the one after the address.
func (k key) dnat(f family, m string) statement {
	return k.nat("dnat", m, f, &expr.NAT{
		Type: expr.NATTypeDestNAT, Family: uint32(f.number()),
		RegAddrMin: unix.NFT_REG32_00, RegProtoMin: unix.NFT_REG32_00 + f.saddr.typ.Bytes/4,
	})
}

func (k key) snat(f family, m string) statement {
	return k.nat("snat", m, f, &expr.NAT{
		Type: expr.NATTypeSourceNAT, Family: uint32(f.number()), RegAddrMin: unix.NFT_REG32_00,
	})
}

func (k key) nat(verb, m string, f family, nat *expr.NAT) statement {
	needs, exprs := k.load()
	return statement{
		text:  fmt.Sprintf("%s %s to %s map @%s", verb, f.name(), k.text(), m),
		needs: needs,
		exprs: append(exprs, &expr.Lookup{
			SourceRegister: unix.NFT_REG32_00, DestRegister: unix.NFT_REG32_00, IsDestRegSet: true, SetName: m,
		}, nat),
	}
}

// from takes the key of the packet out of the set: `delete @active4 { ip saddr . ... }`.
// It goes on whether the key was there or not.
func (k key) from(set string) statement { return k.dynset("delete", opDelete, set) }

// put adds the key to the set, if it is not there: `add @admitted4 { ... }`. What is
// there keeps its time, and the rule ends where the set is full (nft_dynset_eval), or
// where the condition, of the element's own, does not hold.
func (k key) put(set string, condition ...statement) statement {
	return k.dynset("add", unix.NFT_DYNSET_OP_ADD, set, condition...)
}

// refresh is put for a key that gets its whole time again: `update @released4 { ... }`.
func (k key) refresh(set string, condition ...statement) statement {
	return k.dynset("update", unix.NFT_DYNSET_OP_UPDATE, set, condition...)
}

func (k key) dynset(verb string, op uint32, set string, condition ...statement) statement {
	needs, exprs := k.load()
	text, each := k.text(), []expr.Any(nil)
	for _, s := range condition {
		text += " " + s.text
		each = append(each, s.exprs...)
	}
	return statement{
		text:  fmt.Sprintf("%s @%s { %s }", verb, set, text),
		needs: needs,
		exprs: append(exprs, &expr.Dynset{SrcRegKey: unix.NFT_REG32_00, SetName: set, Operation: op, Exprs: each}),
	}
}

// opDelete is NFT_DYNSET_OP_DELETE of linux/netfilter/nf_tables.h.
const opDelete = 2
