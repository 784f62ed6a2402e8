package check

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// tags looks for rules of others that use our bit of the packet mark, or our labels, and for
// accept lines that ask for the label alone.
func (f *firewall) tags() {
	tag := f.config.Table.Tag
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			if !asksMark(r) && f.accepts(r, &packet{labelled: true}) && !f.accepts(r, &packet{}) {
				f.problem("label-alone", fmt.Sprintf("%s accepts what bears label %d, and does not ask for the mark: the label stays on a connection after its transfer, and every later one on its ports is let in", r, tag.Label),
					f.replace(r, tag.Line(), tag.Iptables()))
			}
			mark, labels := f.uses(r)
			if mark {
				f.problem("mark", fmt.Sprintf("%s sets bit 0x%08x of packet marks, with which ftpalg says that a packet is admitted. Choose another bit, here and in the accept line:", r, tag.Mark),
					"[firewall]", fmt.Sprintf("mark = \"0x%08x\"", f.freeMark()))
			}
			for _, label := range labels {
				f.problem("label", fmt.Sprintf("%s sets conntrack label %d, which ftpalg uses. Choose others, here and in the accept line:", r, label),
					"[firewall]", fmt.Sprintf("label = %d", f.freeLabel()))
			}
		}
	}
}

// asksMark reports whether the rule asks for a mark of the packet.
func asksMark(r *rule) bool {
	return slices.ContainsFunc(r.exprs, func(e expression) bool {
		meta, is := e.Any.(*expr.Meta)
		match, xt := e.Any.(*expr.Match)
		return is && meta.Key == expr.MetaKeyMARK && !meta.SourceRegister || xt && match.Name == "mark" || e.name == tagName
	})
}

// ownLabels are those that ftpalg sets.
func (f *firewall) ownLabels() []uint8 {
	tag := f.config.Table.Tag
	return []uint8{tag.Label, tag.Label + 1, tag.Followed()}
}

// uses reports whether the rule sets our bit of the mark, and which of our labels.
func (f *firewall) uses(r *rule) (mark bool, labels []uint8) {
	bits, all := f.sets(r)
	for _, l := range f.ownLabels() {
		if isSet(all, l) {
			labels = append(labels, l)
		}
	}
	return bits&f.config.Table.Tag.Mark != 0, labels
}

// isSet reports whether a label is known to be set.
func isSet(v value, label uint8) bool {
	b := bit(len(v.bytes), int(label), true)
	return v.bitwise(b.known, make([]byte, len(v.bytes))).equals(b.bytes) == yes
}

// sets returns which bits of the packet mark, and which labels, the rule sets for certain
// where it matches.
func (f *firewall) sets(r *rule) (mark uint32, labels value) {
	labels = exactly(make([]byte, 16))
	p := &packet{family: unix.NFPROTO_IPV4, in: anyLink, out: anyLink, tag: f.config.Table.Tag, mark: exactly(native(0))}
	m := matching{sets: f.rules.sets, chain: r.chain, packet: p, registers: unknown(64), holds: yes}
	for _, e := range r.exprs {
		m.holds = yes // what else it asks for is of no interest
		if e, ok := e.Any.(*expr.Ct); ok && e.SourceRegister && e.Key == expr.CtKeyLABELS {
			v := m.get(e.Register, 16)
			for i := range v.bytes {
				labels.bytes[i] |= v.bytes[i] & v.known[i]
			}
		}
		if e, ok := e.Any.(*expr.Match); ok && e.Name == "connlabel" {
			const set = 1 << 1 // XT_CONNLABEL_OP_SET
			if b, ok := e.Info.(*xt.Unknown); ok && len(*b) >= 4 && binary.NativeEndian.Uint16((*b)[2:])&set != 0 {
				if l := binary.NativeEndian.Uint16(*b); l < 128 {
					v := bit(16, int(l), true)
					for i := range v.bytes {
						labels.bytes[i] |= v.bytes[i]
					}
				}
			}
		}
		m.step(e)
	}
	return binary.NativeEndian.Uint32(p.mark.bytes), labels
}

// freeMark returns a bit of the mark that no rule sets, from the highest on.
func (f *firewall) freeMark() uint32 {
	var taken uint32
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			mark, _ := f.sets(r)
			taken |= mark
		}
	}
	for b := uint32(1 << 31); b != 0; b >>= 1 {
		if taken&b == 0 {
			return b
		}
	}
	return f.config.Table.Tag.Mark
}

// freeLabel returns a label that no rule sets, nor the two behind it.
func (f *firewall) freeLabel() uint8 {
	var taken []uint8
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			_, all := f.sets(r)
			for l := uint8(0); l < 128; l++ {
				if isSet(all, l) {
					taken = append(taken, l)
				}
			}
		}
	}
	for l := uint8(125); l > 0; l-- {
		if !slices.ContainsFunc(taken, func(t uint8) bool { return l <= t && t <= l+2 }) {
			return l
		}
	}
	return f.config.Table.Tag.Label
}

// replace returns the command that puts another rule in the place of one.
func (f *firewall) replace(r *rule, rule, iptables string) string {
	if program, ok := f.iptablesOf(r.chain); ok {
		return fmt.Sprintf("%s -R %s %d %s", program, r.chain.Name, r.number, iptables)
	}
	return fmt.Sprintf("nft 'replace rule %s handle %d %s'", r.chain, r.handle, rule)
}
