package nft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// Chain is one of an Anchor's chains, as it stands.
type Chain struct {
	Name     string
	Hook     string // "forward", "input" or "output"; empty: another, or not a base chain
	Priority int    // 0 = filter
	Accepts  bool   // a rule in it, or in a chain it jumps to, accepts what bears the tag
}

// Between reports whether the chain sees data flows after they got their tag, and
// control packets before they are diverted.
func (c Chain) Between() bool { return c.Priority > beforeFilter && c.Priority < afterFilter }

// Accepts looks for the accept line, whoever wrote it, in nft's form or in that of
// iptables-nft, and returns the chains in the order in which they were named.
//
// It reads rules one by one and does not weigh their order or other conditions, and it
// does not see what a set or a map decides: false means that the line was not found.
// The error names a table or chain that is missing and wraps ENOENT.
func (a *Anchor) Accepts() ([]Chain, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn == nil {
		return nil, a.errClosed()
	}
	all, err := a.list()
	if err != nil {
		return nil, err
	}
	var chains []Chain
	for _, name := range a.chains {
		i := slices.IndexFunc(all, func(c *nftables.Chain) bool { return c.Name == name })
		if i < 0 {
			return nil, a.noChain(name)
		}
		c := Chain{Name: name}
		if all[i].Hooknum != nil {
			c.Priority = int(*all[i].Priority)
			for hook, number := range hooks {
				if *number == *all[i].Hooknum {
					c.Hook = hook
				}
			}
		}
		if c.Accepts, err = a.reaches(name, make(map[string]bool)); err != nil {
			return nil, err
		}
		chains = append(chains, c)
	}
	return chains, nil
}

// reaches reports whether the chain, or one that it jumps to, has an accept line.
func (a *Anchor) reaches(name string, seen map[string]bool) (bool, error) {
	if seen[name] {
		return false, nil
	}
	seen[name] = true
	rules, err := a.rules(name)
	if err != nil {
		return false, err
	}
	for _, r := range rules {
		if accepts(r.Exprs, a.tag) {
			return true, nil
		}
	}
	for _, r := range rules {
		for _, e := range r.Exprs {
			if v, ok := e.(*expr.Verdict); ok && v.Chain != "" {
				if found, err := a.reaches(v.Chain, seen); found || err != nil {
					return found, err
				}
			}
		}
	}
	return false, nil
}

// list returns the chains of the table.
func (a *Anchor) list() ([]*nftables.Chain, error) {
	all, err := a.conn.ListChainsOfTableFamily(a.table.Family)
	if err != nil {
		return nil, fmt.Errorf("listing the chains of nft table %s: %w", a, err)
	}
	all = slices.DeleteFunc(all, func(c *nftables.Chain) bool { return c.Table.Name != a.table.Name })
	if len(all) == 0 {
		if _, err := a.conn.ListTableOfFamily(a.table.Name, a.table.Family); err != nil {
			return nil, fmt.Errorf("there is no nft table %s: %w", a, err)
		}
	}
	return all, nil
}

// rules returns the rules of a chain.
func (a *Anchor) rules(name string) ([]*nftables.Rule, error) {
	chain := &nftables.Chain{Table: a.table, Name: name}
	// The rules of a chain that does not exist are none, without an error.
	if _, err := a.conn.ListChain(a.table, name); errors.Is(err, unix.ENOENT) {
		return nil, a.noChain(name)
	}
	rules, err := a.conn.GetRules(a.table, chain)
	if err != nil {
		return nil, fmt.Errorf("reading chain %s of nft table %s: %w", name, a, err)
	}
	return rules, nil
}

func (a *Anchor) noChain(name string) error {
	return fmt.Errorf("there is no chain %s in nft table %s: %w", name, a, unix.ENOENT)
}

// line returns the accept line. A table that iptables-nft manages gets it as iptables
// would write it: one foreign statement, and iptables refuses to list or change the
// table (nft_is_table_compatible).
func (a *Anchor) line() (rule, error) {
	all, err := a.list()
	if err != nil {
		return nil, err
	}
	if a.table.Family != nftables.TableFamilyINet && slices.ContainsFunc(all, func(c *nftables.Chain) bool {
		return c.Name == "INPUT" || c.Name == "FORWARD" || c.Name == "OUTPUT"
	}) {
		return rule{a.tag.xtMatch(), accept}, nil
	}
	return rule{a.tag.match(), accept}, nil
}

// xtMatch is match for tables of iptables-nft.
func (t Tag) xtMatch() statement {
	if t.Mask == 0 {
		// struct xt_connlabel_mtinfo: bit and options, padded to 8 bytes.
		info := xt.Unknown(binary.NativeEndian.AppendUint16(nil, uint16(t.Label)))
		info = append(info, make([]byte, 6)...)
		return statement{text: fmt.Sprintf("-m connlabel --label %d", t.Label), exprs: []expr.Any{
			&expr.Match{Name: "connlabel", Info: &info},
		}}
	}
	// struct xt_connmark_mtinfo1: mark, mask and invert, padded to 16 bytes.
	info := xt.Unknown(append(append(native(t.Mark), native(t.Mask)...), make([]byte, 8)...))
	return statement{text: fmt.Sprintf("-m connmark --mark %#x/%#x", t.Mark, t.Mask), exprs: []expr.Any{
		&expr.Match{Name: "connmark", Rev: 1, Info: &info},
	}}
}

// accepts reports whether the rule accepts flows because they bear the tag.
func accepts(exprs []expr.Any, tag Tag) bool {
	matches := false
	for i, e := range exprs {
		switch e := e.(type) {
		case *expr.Ct:
			matches = matches || tag.satisfies(e, exprs[i+1:])
		case *expr.Match:
			matches = matches || tag.satisfiesXT(e)
		case *expr.Verdict:
			return matches && e.Kind == expr.VerdictAccept
		}
	}
	return false
}

// satisfies reports whether every flow with the tag passes the comparison that begins
// with this load: [bitwise] cmp. Of a mark or label only the tag's own bits are known.
func (t Tag) satisfies(load *expr.Ct, rest []expr.Any) bool {
	var known, value []byte
	switch {
	case load.SourceRegister:
		return false
	case load.Key == expr.CtKeyLABELS && t.Mask == 0:
		known, value = t.labels(), t.labels()
	case load.Key == expr.CtKeyMARK && t.Mask != 0:
		known, value = native(t.Mask), native(t.Mark)
	default:
		return false
	}
	mask, xor := bytes.Repeat([]byte{0xff}, len(value)), make([]byte, len(value))
	if len(rest) > 0 {
		if b, ok := rest[0].(*expr.Bitwise); ok && len(b.Mask) == len(value) && len(b.Xor) == len(value) {
			mask, xor, rest = b.Mask, b.Xor, rest[1:]
		}
	}
	if len(rest) == 0 {
		return false
	}
	cmp, ok := rest[0].(*expr.Cmp)
	if !ok {
		return false
	}
	for i := range value {
		if mask[i]&^known[i] != 0 {
			return false
		}
		value[i] = value[i]&mask[i] ^ xor[i]
	}
	switch equal := bytes.Equal(value, cmp.Data); cmp.Op {
	case expr.CmpOpEq:
		return equal
	case expr.CmpOpNeq:
		return !equal
	}
	return false
}

// satisfiesXT is satisfies for the matches of iptables.
func (t Tag) satisfiesXT(m *expr.Match) bool {
	info, ok := m.Info.(*xt.Unknown)
	if !ok {
		return false
	}
	switch b := *info; {
	case m.Name == "connlabel" && t.Mask == 0 && len(b) >= 4:
		bit, options := binary.NativeEndian.Uint16(b), binary.NativeEndian.Uint16(b[2:]) // to invert, to set
		return bit == uint16(t.Label) && options == 0
	case m.Name == "connmark" && t.Mask != 0 && len(b) >= 9:
		mark, mask := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
		return mask != 0 && mask&^t.Mask == 0 && t.Mark&mask == mark && b[8] == 0
	}
	return false
}
