package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
)

// farthest bounds the priorities of what counts as an operator's filter: mangle, raw and
// connection tracking are before it, and source NAT is at the end.
const farthest = 100

// Placement returns where our chains have to stand on these hooks: before the first and
// after the last filter chain of anybody else, and never at the same priority as one, as
// then the order is that of their registration. It is what Config.Before and Config.After
// take. Chains at -100 or below and at 100 or above are not looked at.
//
// The network namespace is that of the calling thread.
func Placement(hooks []string) (before, after int, err error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return 0, 0, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	before, after, err = placement(conn, hooks)
	return before, after, errors.Join(err, conn.CloseLasting())
}

func placement(conn *nftables.Conn, names []string) (before, after int, err error) {
	before, after = beforeFilter, afterFilter
	all, err := conn.ListChains()
	if err != nil {
		return 0, 0, fmt.Errorf("listing the nft chains: %w", err)
	}
	for _, c := range all {
		if !foreign(c) || !onHook(c, names) {
			continue
		}
		if p := int(*c.Priority); -farthest < p && p < farthest {
			before, after = min(before, p-1), max(after, p+1)
		}
	}
	return before, after, nil
}

// foreign reports whether the chain is a filter chain for IP packets, and not ours.
func foreign(c *nftables.Chain) bool {
	switch c.Table.Family {
	case nftables.TableFamilyINet:
		if c.Table.Name == tableName || c.Table.Name == guardName {
			return false
		}
	case nftables.TableFamilyIPv4, nftables.TableFamilyIPv6:
	default:
		return false
	}
	return c.Type == nftables.ChainTypeFilter && c.Hooknum != nil && c.Priority != nil
}

func onHook(c *nftables.Chain, names []string) bool {
	for _, name := range names {
		if number, ok := hooks[name]; ok && *number == *c.Hooknum {
			return true
		}
	}
	return false
}

// Follow moves the table's chains to where Placement says that they have to stand now,
// and reports whether they had to be moved. It is for when there were Changes. The sets keep what they have, and there is no moment without the rules.
func (t *Table) Follow() (moved bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return false, errClosed
	}
	before, after, err := placement(t.conn, t.cfg.Hooks)
	if err != nil {
		return false, err
	}
	return t.move(before, after)
}

// move puts the chains that packets enter elsewhere, in one transaction.
func (t *Table) move(before, after int) (moved bool, err error) {
	if before == t.cfg.before() && after == t.cfg.after() {
		return false, nil
	}
	cfg := t.cfg
	cfg.Before, cfg.After = before, after
	for _, rs := range t.rulesets(cfg) {
		for _, c := range rs.placed {
			t.conn.DelChain(&nftables.Chain{Name: c.name, Table: inet(rs.table)})
		}
		t.addChains(inet(rs.table), rs.placed)
	}
	if err := t.conn.Flush(); err != nil {
		return false, fmt.Errorf("moving our nft chains to priorities %d and %d: %w", before, after, err)
	}
	t.cfg = cfg
	return true, nil
}
