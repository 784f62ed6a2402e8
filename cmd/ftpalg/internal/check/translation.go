package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
)

// translation tells of rules that translate the addresses of control connections. There is
// nothing to mend: ftpalg does the same with what is announced in them.
func (f *firewall) translation() {
	var found []string
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			if slices.ContainsFunc(r.exprs, translates) && f.meetsControl(r, packet{syn: true}) {
				found = append(found, r.String())
			}
		}
	}
	switch {
	case len(found) == 0:
	case !slices.Contains(f.config.Table.Hooks, "forward"):
		f.problem("translation", fmt.Sprintf("%s translates addresses of control connections, and ftpalg serves such on hook forward alone: no transfer of theirs is helped",
			strings.Join(found, ", ")), "[control]", `hooks = ["forward"]`)
	default:
		f.note("translation", fmt.Sprintf("%s translates addresses of control connections: announcements are rewritten, and data connections translated alike. "+
			"What is encrypted (AUTH) is not: there the server has to announce its outside address itself, and ftps_ports name what may be forwarded to it",
			strings.Join(found, ", ")))
	}
}

// translates reports whether the expression translates addresses.
func translates(e expression) bool {
	switch e := e.Any.(type) {
	case *expr.NAT, *expr.Masq, *expr.Redir:
		return true
	case *expr.Target:
		return slices.Contains([]string{"MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"}, e.Name)
	}
	return false
}
