package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
)

// offload looks for rules that take control connections out of the daemon's sight: from then
// on their packets pass a flowtable, or the network card, and no chain.
func (f *firewall) offload() {
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			table, ok := offloads(r)
			if !ok || !f.meetsControl(r, packet{}) && !f.meetsControl(r, packet{reply: true}) {
				continue
			}
			// Not "th sport != 21 th dport != 21": nft 1.0.6 makes one comparison of both together.
			ports := "{ " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(f.config.Table.Ports)), ", "), "[]") + " }"
			f.problem("flowtable", fmt.Sprintf("%s takes control connections into a flowtable, where ftpalg does not see them: no transfer is helped. "+
				"Exempt them, beside what else the rule asks for:", r),
				f.replace(r, fmt.Sprintf("meta l4proto { tcp, udp } ct original proto-dst != %s flow add @%s", ports, table),
					fmt.Sprintf("-p tcp -m multiport ! --ports %d -m conntrack --ctstate ESTABLISHED -j FLOWOFFLOAD", f.config.Table.Ports[0])))
		}
	}
}

// offloads reports whether a rule does, and by which flowtable.
func offloads(r *rule) (table string, ok bool) {
	i := slices.IndexFunc(r.exprs, func(e expression) bool {
		target, ok := e.Any.(*expr.Target)
		return e.name == "flow_offload" || ok && target.Name == "FLOWOFFLOAD"
	})
	if i < 0 {
		return "", false
	}
	if flow, ok := r.exprs[i].Any.(*expr.FlowOffload); ok {
		table = flow.Name
	}
	return table, true
}
