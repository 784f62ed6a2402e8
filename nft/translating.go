package nft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Translating returns the operator's tables in which a rule translates addresses, as nft
// names them ("inet nat"). Whether such a rule ever meets a control connection is not asked:
// that hangs on what it matches. It is safe for concurrent use, and needs CAP_NET_ADMIN.
func Translating() ([]string, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	defer conn.CloseLasting()
	chains, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("listing the nft chains: %w", err)
	}
	var found []string
	for _, c := range chains {
		name := nameOf(c.Table)
		if c.Table.Name == tableName || c.Table.Name == guardName || slices.Contains(found, name) {
			continue
		}
		rules, err := conn.GetRules(c.Table, c)
		if err != nil {
			return nil, fmt.Errorf("listing the rules of nft table %s: %w", name, err)
		}
		if slices.ContainsFunc(rules, translates) {
			found = append(found, name)
		}
	}
	return found, nil
}

// translates reports whether a rule translates addresses, by a statement of nft or a target
// of iptables.
func translates(r *nftables.Rule) bool {
	return slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
		switch e := e.(type) {
		case *expr.NAT, *expr.Masq, *expr.Redir:
			return true
		case *expr.Target:
			return slices.Contains([]string{"MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"}, strings.ToUpper(e.Name))
		}
		return false
	})
}
