package nft

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/google/nftables/expr"
)

const (
	// labelLen is the size of a conntrack label, NF_CT_LABELS_MAX_SIZE, in bytes.
	labelLen = 16
	// maxLabel leaves room for the next label, which marks control connections.
	maxLabel = labelLen*8 - 2
)

// Tag is how this table, whose verdicts end with its own chains, speaks to the
// operator's. The bit Mark is on the packet that a pinhole admits, between our first
// chain and our last, and on no other. The label Label is on the flow: it tells data
// connections apart. It does not admit, as it would outlive the transfer and let in every
// further SYN of the flow.
type Tag struct {
	Label uint8  // 0 to 126
	Mark  uint32 // one bit of the packet mark
}

// Followed returns the label of control connections that are followed since their SYN: the
// second one after Label, or, as 126 has no such, the one before it.
func (t Tag) Followed() uint8 {
	if t.Label+2 < labelLen*8 {
		return t.Label + 2
	}
	return t.Label - 1
}

// String returns the tag as an nft match:
// "ct label 126 meta mark & 0x01000000 == 0x01000000".
func (t Tag) String() string { return rule{t.labelled(), t.marked()}.text() }

// Line returns the rule that the operator's chains need.
func (t Tag) Line() string { return rule{t.labelled(), t.marked(), accept}.text() }

// Iptables returns the same for iptables.
func (t Tag) Iptables() string {
	return rule{t.xtLabelled(), t.xtMarked()}.text() + " -j ACCEPT"
}

// check refuses a tag that cannot be set, or taken away.
func (t Tag) check() error {
	switch {
	case bits.OnesCount32(t.Mark) != 1:
		return fmt.Errorf("packet mark %#x is not one bit, such as 0x01000000", t.Mark)
	case t.Label > maxLabel:
		return fmt.Errorf("conntrack label %d is not within 0 and %d", t.Label, maxLabel)
	}
	return nil
}

// labelled is true of packets whose flow bears the label.
func (t Tag) labelled() statement { return hasLabel(t.Label) }

// label puts the label on the flow.
func (t Tag) label() statement { return setLabel(t.Label) }

func hasLabel(label uint8) statement {
	return statement{text: fmt.Sprintf("ct label %d", label), exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeyLABELS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: labelLen, Mask: labels(label), Xor: make([]byte, labelLen)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, labelLen)},
	}}
}

// setLabel leaves the flow's other labels alone (nf_connlabels_replace takes the value for
// its mask).
func setLabel(label uint8) statement {
	return statement{text: fmt.Sprintf("ct label set %d", label), exprs: []expr.Any{
		&expr.Immediate{Register: 1, Data: labels(label)},
		&expr.Ct{Key: expr.CtKeyLABELS, SourceRegister: true, Register: 1},
	}}
}

// marked is true of packets that bear the mark.
func (t Tag) marked() statement {
	return t.compare(fmt.Sprintf("meta mark & 0x%08x == 0x%08x", t.Mark, t.Mark), expr.CmpOpEq, t.Mark)
}

// stained is the same, in the words that nft has for a bit that is not to be there.
func (t Tag) stained() statement {
	return t.compare(fmt.Sprintf("meta mark & 0x%08x != 0x0", t.Mark), expr.CmpOpNeq, 0)
}

func (t Tag) compare(text string, op expr.CmpOp, value uint32) statement {
	return statement{text: text, exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(t.Mark), Xor: native(0)},
		&expr.Cmp{Op: op, Register: 1, Data: native(value)},
	}}
}

// mark sets the bit of the packet, and leaves the others alone.
func (t Tag) mark() statement {
	return t.bits(fmt.Sprintf("meta mark set meta mark | 0x%08x", t.Mark), t.Mark)
}

// clear takes it away.
func (t Tag) clear() statement {
	return t.bits(fmt.Sprintf("meta mark set meta mark & 0x%08x", ^t.Mark), 0)
}

func (t Tag) bits(text string, xor uint32) statement {
	return statement{text: text, exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(^t.Mark), Xor: native(xor)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}}
}

// labels returns a label as the kernel keeps it: a bitmap of machine words.
func labels(label uint8) []byte {
	b := make([]byte, labelLen)
	binary.NativeEndian.PutUint64(b[label/64*8:], 1<<(label%64))
	return b
}

// native returns v as the kernel keeps marks, and xtables numbers.
func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
