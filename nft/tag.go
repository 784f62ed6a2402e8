package nft

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables/expr"
)

// labelLen is the size of a conntrack label, NF_CT_LABELS_MAX_SIZE, in bytes.
const labelLen = 16

// Tag is what an admitted data flow bears in conntrack, and so the way in which this
// table, whose verdicts end with its own chains, speaks to the operator's: label bit
// Label, or, when Mask is not zero, the value Mark of the mark bits in Mask.
type Tag struct {
	Label      uint8 // 0 to 127
	Mark, Mask uint32
}

// String returns the tag as an nft match: "ct label 126".
func (t Tag) String() string { return t.match().text }

// check refuses a tag that cannot be set, or that every flow bears.
func (t Tag) check() error {
	switch {
	case t.Mask == 0 && t.Mark != 0:
		return fmt.Errorf("conntrack mark %#x has no mask", t.Mark)
	case t.Mask != 0 && t.Mark&^t.Mask != 0:
		return fmt.Errorf("conntrack mark %#x is not within its mask %#x", t.Mark, t.Mask)
	case t.Mask != 0 && t.Mark == 0:
		return fmt.Errorf("conntrack mark 0/%#x would be on every unmarked flow", t.Mask)
	case t.Label >= labelLen*8:
		return fmt.Errorf("conntrack label %d is not within 0 and %d", t.Label, labelLen*8-1)
	}
	return nil
}

// match is true of flows that bear the tag.
func (t Tag) match() statement {
	switch t.Mask {
	case 0:
		return statement{text: fmt.Sprintf("ct label %d", t.Label), exprs: []expr.Any{
			&expr.Ct{Key: expr.CtKeyLABELS, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: labelLen, Mask: t.labels(), Xor: make([]byte, labelLen)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, labelLen)},
		}}
	case ^uint32(0):
		return statement{text: fmt.Sprintf("ct mark 0x%08x", t.Mark), exprs: []expr.Any{
			&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: native(t.Mark)},
		}}
	}
	return statement{text: fmt.Sprintf("ct mark & 0x%08x == 0x%08x", t.Mask, t.Mark), exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(t.Mask), Xor: native(0)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: native(t.Mark)},
	}}
}

// set puts the tag on the flow, and leaves its other labels and mark bits alone
// (nf_connlabels_replace takes the value for its mask).
func (t Tag) set() statement {
	switch t.Mask {
	case 0:
		return statement{text: fmt.Sprintf("ct label set %d", t.Label), exprs: []expr.Any{
			&expr.Immediate{Register: 1, Data: t.labels()},
			&expr.Ct{Key: expr.CtKeyLABELS, SourceRegister: true, Register: 1},
		}}
	case ^uint32(0):
		return statement{text: fmt.Sprintf("ct mark set 0x%08x", t.Mark), exprs: []expr.Any{
			&expr.Immediate{Register: 1, Data: native(t.Mark)},
			&expr.Ct{Key: expr.CtKeyMARK, SourceRegister: true, Register: 1},
		}}
	}
	return statement{text: fmt.Sprintf("ct mark set ct mark & 0x%08x | 0x%08x", ^t.Mask, t.Mark), exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(^t.Mask), Xor: native(t.Mark)},
		&expr.Ct{Key: expr.CtKeyMARK, SourceRegister: true, Register: 1},
	}}
}

// labels returns the label bit as the kernel keeps it: a bitmap of machine words.
func (t Tag) labels() []byte {
	b := make([]byte, labelLen)
	binary.NativeEndian.PutUint64(b[t.Label/64*8:], 1<<(t.Label%64))
	return b
}

// native returns v as conntrack and xtables keep numbers.
func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
