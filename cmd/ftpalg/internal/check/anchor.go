package check

import (
	"fmt"
	"slices"

	"github.com/google/nftables"

	"github.com/ftpalg/ftpalg/nft"
)

// nftTableOwner is NFT_TABLE_F_OWNER.
const nftTableOwner = nftables.TableFlagOwner

// filters returns the chains of others that filter on our hooks, those that drop what no
// rule accepts first.
func (f *firewall) filters() []*chain {
	var found []*chain
	for _, c := range f.rules.chains {
		if slices.Contains(f.config.Table.Hooks, c.hook()) && c.Type == nftables.ChainTypeFilter {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *chain) int {
		switch {
		case a.drops() == b.drops():
			return 0
		case a.drops():
			return -1
		}
		return 1
	})
	return found
}

// settings returns lines for [firewall] that name a chain.
func settings(c *chain) []string {
	return []string{"[firewall]", fmt.Sprintf("table = %q", title(c.Table)), fmt.Sprintf("chains = [%q]", c.Name)}
}

// usersOwn returns the chain in which a line stays: Docker puts its own rules at the top of
// FORWARD whenever it starts, and leaves another chain alone.
func (f *firewall) usersOwn(c *chain) *chain {
	if user := f.rules.find(title(c.Table), "DOCKER-USER"); user != nil && c.hook() == "forward" {
		return user
	}
	return c
}

func (f *firewall) noTable() {
	text := fmt.Sprintf("there is no nft table %s to insert the accept line into: no data connection is admitted before it has its place", f.config.Anchor.Table)
	if found := f.filters(); len(found) > 0 {
		f.problem("table", text+". What filters here is "+found[0].String(), settings(f.usersOwn(found[0]))...)
		return
	}
	f.problem("table", text+". Nothing filters here: no line is needed", "[firewall]", `anchor = "manual"`)
}

func (f *firewall) noChain(name string) {
	text := fmt.Sprintf("there is no chain %s in nft table %s to insert the accept line into: no data connection is admitted before it has its place", name, f.config.Anchor.Table)
	for _, c := range f.filters() {
		if title(c.Table) == f.config.Anchor.Table {
			f.problem("chains", text, settings(c)...)
			return
		}
	}
	f.problem("chains", text)
}

// owned is about a table that only the program which made it can change.
func (f *firewall) owned(t *nftables.Table) {
	text := fmt.Sprintf("nft table %s belongs to another program (flags owner), which alone can change it: the accept line cannot be inserted", title(t))
	if t.Name == "firewalld" {
		f.problem("owner", text+". In /etc/firewalld/firewalld.conf, and then restart firewalld:", "NftablesTableOwner=no")
		return
	}
	f.problem("owner", text+". Have that program add the line:", f.config.Table.Tag.Line())
}

// standing looks at a chain that the accept line is to stand in, and reports whether it can
// be of use there. Whether packets come to a chain that is no base chain is seen with them.
func (f *firewall) standing(c *chain) bool {
	hook := c.hook()
	if hook == "" {
		return true
	}
	if c.Type != nftables.ChainTypeFilter {
		f.problem("chains", fmt.Sprintf("chain %s is of type %s: the accept line belongs in one of type filter", c, c.Type))
		return false
	}
	if !slices.Contains(f.config.Table.Hooks, hook) {
		f.problem("hooks", fmt.Sprintf("chain %s is on hook %s, but ftpalg works on %s: the accept line is of no use there", c, hook, quoted(f.config.Table.Hooks)),
			"[control]", fmt.Sprintf("hooks = [%q]", hook))
		return false
	}
	if s := (nft.Chain{Priority: int(*c.Priority)}); !s.Between(f.before, f.after) {
		f.problem("order", fmt.Sprintf("chain %s has priority %d, and does not stand between those of ftpalg, at %d and %d: its accept line is never met. "+
			"Give it a priority between -99 and 99, in your ruleset:", c, s.Priority, f.before, f.after),
			fmt.Sprintf("type filter hook %s priority filter; policy drop;", hook))
		return false
	}
	return true
}
