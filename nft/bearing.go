package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// This file is the accept line as others write it: in the words of iptables, and in
// comparisons that say the same as ours or less.

// xtLabelled is labelled for tables of iptables-nft.
func (t Tag) xtLabelled() statement {
	// struct xt_connlabel_mtinfo: bit and options, padded to 8 bytes.
	info := xt.Unknown(binary.NativeEndian.AppendUint16(nil, uint16(t.Label)))
	info = append(info, make([]byte, 6)...)
	return statement{text: fmt.Sprintf("-m connlabel --label %d", t.Label), exprs: []expr.Any{
		&expr.Match{Name: "connlabel", Info: &info},
	}}
}

// xtMarked is marked for tables of iptables-nft.
func (t Tag) xtMarked() statement {
	// struct xt_mark_mtinfo1: mark, mask and invert, padded to 16 bytes.
	info := xt.Unknown(append(append(native(t.Mark), native(t.Mark)...), make([]byte, 8)...))
	return statement{text: fmt.Sprintf("-m mark --mark 0x%08x/0x%08[1]x", t.Mark), exprs: []expr.Any{
		&expr.Match{Name: "mark", Rev: 1, Info: &info},
	}}
}

// isLine reports whether the rule is an accept line that asks for both, label and mark.
func (t Tag) isLine(exprs []expr.Any) bool {
	label, mark := t.asks(exprs)
	return label && mark
}

// asks reports what of the tag a rule asks for that accepts every packet with it.
// Both are false of a rule that does not, or that asks for neither. What else the rule
// asks for is not weighed.
func (t Tag) asks(exprs []expr.Any) (label, mark bool) {
	for i, e := range exprs {
		var of *bool
		var known []byte // the bits that every packet with the tag bears
		holds := false
		switch e := e.(type) {
		case *expr.Ct:
			if e.Key == expr.CtKeyLABELS && !e.SourceRegister {
				of, known = &label, labels(t.Label)
			}
		case *expr.Meta:
			if e.Key == expr.MetaKeyMARK && !e.SourceRegister {
				of, known = &mark, native(t.Mark)
			}
		case *expr.Match:
			switch e.Name {
			case "connlabel":
				of, holds = &label, t.holdsXTLabel(e)
			case "mark":
				of, holds = &mark, t.holdsXTMark(e)
			}
		case *expr.Verdict:
			if e.Kind == expr.VerdictAccept {
				return label, mark
			}
			return false, false
		}
		if known != nil {
			var compared bool
			if compared, holds = compare(known, exprs[i+1:]); !compared {
				continue
			}
		}
		switch {
		case of == nil:
		case !holds:
			return false, false
		default:
			*of = true
		}
	}
	return false, false
}

// compare reads the comparison, [bitwise] cmp, of a value that was loaded. Of that only
// the known bits are known, which are set. It holds if it is true whatever the others are.
func compare(known []byte, rest []expr.Any) (compared, holds bool) {
	mask, xor := bytes.Repeat([]byte{0xff}, len(known)), make([]byte, len(known))
	if len(rest) > 0 {
		if b, ok := rest[0].(*expr.Bitwise); ok && len(b.Mask) == len(known) && len(b.Xor) == len(known) {
			mask, xor, rest = b.Mask, b.Xor, rest[1:]
		}
	}
	if len(rest) == 0 {
		return false, false
	}
	cmp, ok := rest[0].(*expr.Cmp)
	if !ok {
		return false, false
	}
	value := make([]byte, len(known))
	for i := range known {
		if mask[i]&^known[i] != 0 {
			return true, false
		}
		value[i] = known[i]&mask[i] ^ xor[i]
	}
	switch equal := bytes.Equal(value, cmp.Data); cmp.Op {
	case expr.CmpOpEq:
		return true, equal
	case expr.CmpOpNeq:
		return true, !equal
	}
	return true, false
}

// holdsXTLabel is compare for -m connlabel.
func (t Tag) holdsXTLabel(m *expr.Match) bool {
	b, ok := m.Info.(*xt.Unknown)
	if !ok || len(*b) < 4 {
		return false
	}
	bit, options := binary.NativeEndian.Uint16(*b), binary.NativeEndian.Uint16((*b)[2:]) // to invert, to set
	return bit == uint16(t.Label) && options == 0
}

// holdsXTMark is compare for -m mark.
func (t Tag) holdsXTMark(m *expr.Match) bool {
	b, ok := m.Info.(*xt.Unknown)
	if !ok || len(*b) < 9 {
		return false
	}
	mark, mask := binary.NativeEndian.Uint32(*b), binary.NativeEndian.Uint32((*b)[4:])
	return mask != 0 && mask&^t.Mark == 0 && t.Mark&mask == mark && (*b)[8] == 0
}
