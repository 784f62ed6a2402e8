package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Chain is one of an Anchor's chains, as it stands.
type Chain struct {
	Name     string
	Hook     string // "forward", "input" or "output"; empty: another, or not a base chain
	Priority int    // 0 = filter
	Accepts  bool   // a rule in it, or in a chain it jumps to, accepts what bears the tag
	// LabelAlone: such a rule asks for the label and not for the mark. It lets in every
	// further SYN of a flow that was once admitted.
	LabelAlone bool
}

// Between reports whether the chain stands between ours, at these priorities of Config: it
// sees packets after they got their tag, and control packets before they are diverted.
func (c Chain) Between(before, after int) bool {
	cfg := Config{Before: before, After: after}
	return c.Priority > cfg.before() && c.Priority < cfg.after()
}

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
		if err := a.weigh(name, &c, make(map[string]bool)); err != nil {
			return nil, err
		}
		chains = append(chains, c)
	}
	return chains, nil
}

// weigh looks for accept lines in the chain, and in those that it jumps to.
func (a *Anchor) weigh(name string, c *Chain, seen map[string]bool) error {
	if seen[name] {
		return nil
	}
	seen[name] = true
	rules, err := a.rules(name)
	if err != nil {
		return err
	}
	for _, r := range rules {
		label, mark := a.tag.asks(r.Exprs)
		c.Accepts = c.Accepts || label || mark
		c.LabelAlone = c.LabelAlone || label && !mark
		for _, e := range r.Exprs {
			if v, ok := e.(*expr.Verdict); ok && v.Chain != "" {
				if err := a.weigh(v.Chain, c, seen); err != nil {
					return err
				}
			}
		}
	}
	return nil
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
			if errors.Is(err, unix.ENOENT) {
				return nil, absentError(fmt.Sprintf("there is no nft table %s", a))
			}
			return nil, fmt.Errorf("looking for nft table %s: %w", a, err)
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
	return absentError(fmt.Sprintf("there is no chain %s in nft table %s", name, a))
}

// absentError says what is not there. It wraps ENOENT, whose text would say so again.
type absentError string

// Error implements error.
func (e absentError) Error() string { return string(e) }

// Unwrap returns ENOENT.
func (absentError) Unwrap() error { return unix.ENOENT }

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
		return rule{a.tag.xtLabelled(), a.tag.xtMarked(), accept}, nil
	}
	return rule{a.tag.labelled(), a.tag.marked(), accept}, nil
}
