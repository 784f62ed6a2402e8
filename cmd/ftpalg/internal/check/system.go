package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/conntrack"
)

// sysctl returns the number of a setting of the network namespace.
func sysctl(name string) (int, bool) {
	b, err := os.ReadFile("/proc/sys/net/" + name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return n, err == nil
}

// nearlyFull is how full the table of connection tracking may be, in percent.
const nearlyFull = 90

// tracking looks at the settings of connection tracking.
func (r *Report) tracking() {
	if !conntrack.Accounting() {
		r.note("acct", "connection tracking counts no traffic: what a data connection carried is not known", "sysctl -w net.netfilter.nf_conntrack_acct=1")
	}
	if n, ok := sysctl("netfilter/nf_conntrack_tcp_be_liberal"); ok && n != 0 {
		r.note("liberal", "connection tracking lets segments pass that are out of their window (nf_conntrack_tcp_be_liberal): whoever guesses an address and a port can send them. "+
			"ftpalg does not need it", "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=0")
	}
	count, counted := sysctl("netfilter/nf_conntrack_count")
	most, bounded := sysctl("netfilter/nf_conntrack_max")
	if counted && bounded && most > 0 && count >= most/100*nearlyFull {
		r.problem("conntrack-full", fmt.Sprintf("connection tracking has %d of at most %d connections: new ones will be dropped, control and data connections too", count, most),
			fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*most))
	}
}

// paths looks at the ways that packets take.
func (f *firewall) paths() error {
	if !slices.Contains(f.config.Table.Hooks, "forward") {
		return nil
	}
	if f.config.Policy.Loose {
		return f.spoofed()
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("listing the routes: %w", err)
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		var by []string
		for _, r := range routes {
			if r.Family != family || r.Dst != nil && !isDefault(r) || r.Type != unix.RTN_UNICAST {
				continue
			}
			for _, index := range nextHops(r) {
				if l, err := netlink.LinkByIndex(index); err == nil && !slices.Contains(by, l.Attrs().Name) {
					by = append(by, l.Attrs().Name)
				}
			}
		}
		if len(by) > 1 {
			f.note("paths", fmt.Sprintf("default routes leave by %s: where packets of one connection come in by another interface than its first ones left by, ftpalg drops them, unless", strings.Join(by, " and ")),
				"[control]", `paths = "loose"`)
			break
		}
	}
	return nil
}

func isDefault(r netlink.Route) bool {
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

func nextHops(r netlink.Route) (links []int) {
	if r.LinkIndex > 0 {
		links = append(links, r.LinkIndex)
	}
	for _, h := range r.MultiPath {
		links = append(links, h.LinkIndex)
	}
	return links
}

// spoofed looks for what keeps a host from sending in the name of one on another side, where
// ftpalg does not: strict filtering of the reverse path by the kernel, or by a rule.
func (f *firewall) spoofed() error {
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			if slices.ContainsFunc(r.exprs, func(e expression) bool {
				fib, ok := e.Any.(*expr.Fib)
				match, xt := e.Any.(*expr.Match)
				return ok && fib.FlagSADDR && (fib.ResultOIF || fib.ResultOIFNAME) || xt && match.Name == "rpfilter"
			}) {
				return nil
			}
		}
	}
	all, _ := sysctl("ipv4/conf/all/rp_filter")
	found, err := links()
	if err != nil {
		return err
	}
	for _, l := range found {
		if own, ok := sysctl("ipv4/conf/" + l.name + "/rp_filter"); ok && max(all, own) != 1 {
			f.problem("rp-filter", fmt.Sprintf("with paths = \"loose\" ftpalg does not look where packets come in, and nor does the kernel on %s (rp_filter is %d): "+
				"one side can speak in the other's name. Have the kernel look, or add to a chain of hook prerouting: fib saddr . iif oif missing drop", l.name, max(all, own)),
				"sysctl -w net.ipv4.conf.all.rp_filter=1", fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=1", l.name))
			return nil
		}
	}
	return nil
}

// cluster looks for what shares this gateway's work with another.
func (r *Report) cluster(c *config.Config) {
	if c.Cluster.Listen != "" {
		return
	}
	for _, program := range []string{"conntrackd", "keepalived"} {
		if runs(program) {
			r.note("cluster", program+" runs here, and [cluster] is off: a gateway that takes over knows nothing of the sessions and pinholes of this one")
		}
	}
}

// runs reports whether a program of that name runs in the network namespace of the calling
// thread.
func runs(name string) bool {
	here, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return false
	}
	files, _ := filepath.Glob("/proc/[0-9]*/comm") // the pattern is a good one
	for _, file := range files {
		comm, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(comm)) != name {
			continue
		}
		if ns, err := os.Readlink(filepath.Join(filepath.Dir(file), "ns/net")); err == nil && ns == here {
			return true
		}
	}
	return false
}
