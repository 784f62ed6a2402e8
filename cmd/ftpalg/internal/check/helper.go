package check

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// helpers looks for what attaches the kernel's own FTP helper to control connections.
func (f *firewall) helpers() {
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			if f.attaches(r) {
				f.problem("helper", fmt.Sprintf("%s attaches the kernel's FTP helper to control connections: it opens ports that ftpalg refuses, "+
					"and holds up what it cannot read. With ftpalg running, take the rule away, here and in the file that it comes from", r),
					f.remove(r))
			}
		}
	}
	const automatic = "net/netfilter/nf_conntrack_helper"
	if b, err := os.ReadFile("/proc/sys/" + automatic); err == nil && strings.TrimSpace(string(b)) == "1" {
		f.problem("helper", "the kernel attaches its FTP helper to every connection to port 21 (nf_conntrack_helper): it opens ports that ftpalg refuses, "+
			"and holds up what it cannot read", "sysctl -w net.netfilter.nf_conntrack_helper=0")
	}
}

// attaches reports whether the rule gives control connections the helper.
func (f *firewall) attaches(r *rule) bool {
	for _, e := range r.exprs {
		var helper string
		switch e := e.Any.(type) {
		case *expr.Objref:
			if e.Type == objectCtHelper {
				helper = f.rules.helpers[key(r.chain.Table, e.Name)]
			}
		case *expr.Target:
			helper = ctHelper(e)
		}
		if helper == "ftp" && f.meetsControl(r, packet{syn: true}) {
			return true
		}
	}
	return false
}

// meetsControl reports whether packets of a control connection, in the state and direction of
// p, may match the rule.
func (f *firewall) meetsControl(r *rule, p packet) bool {
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		for _, port := range f.config.Table.Ports {
			p := p
			p.family, p.in, p.out, p.tag = family, anyLink, anyLink, f.config.Table.Tag
			if p.sport, p.dport = clientPort, port; p.reply {
				p.sport, p.dport = port, clientPort
			}
			p.mark = p.ownMark(false)
			if f.rules.match(r, &p).holds != no {
				return true
			}
		}
	}
	return false
}

// remove returns the command that takes a rule away.
func (f *firewall) remove(r *rule) string {
	if program, ok := f.iptablesOf(r.chain); ok {
		return fmt.Sprintf("%s -D %s %d", program, r.chain.Name, r.number)
	}
	return fmt.Sprintf("nft delete rule %s handle %d", r.chain, r.handle)
}
