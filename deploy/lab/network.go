package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// port is one network interface of a host, plugged into a segment.
type port struct {
	host, name, segment string
	v4, v6              netip.Prefix // its address, and the size of its network
	main                bool         // the interface whose address stands for the host
}

const switchName = "switch"

var hostNames = []string{switchName, "client", "neighbour", "router", "gateway", "server", "outsider"}

var ports = []port{
	newPort("client", "eth0", "lan", "10.1.4.4/24", "fd00:1:4::4/64", true),
	newPort("neighbour", "eth0", "lan", "10.1.4.5/24", "fd00:1:4::5/64", true),
	newPort("router", "inside", "lan", "10.1.4.1/24", "fd00:1:4::1/64", true),
	newPort("router", "outside", "transit", "10.3.3.1/24", "fd00:3:3::1/64", false),
	newPort("gateway", "inside", "transit", "10.3.3.2/24", "fd00:3:3::2/64", true),
	newPort("gateway", "outside", "outside", "10.2.5.1/24", "fd00:2:5::1/64", false),
	newPort("server", "eth0", "outside", "10.2.5.5/24", "fd00:2:5::5/64", true),
	newPort("outsider", "eth0", "outside", "10.2.5.66/24", "fd00:2:5::66/64", true),
}

func newPort(host, name, segment, v4, v6 string, main bool) port {
	return port{host, name, segment, netip.MustParsePrefix(v4), netip.MustParsePrefix(v6), main}
}

// routes are what each host knows beyond its own networks: destination, next hop.
var routes = map[string][][2]string{
	"client":    {{"0.0.0.0/0", "10.1.4.1"}, {"::/0", "fd00:1:4::1"}},
	"neighbour": {{"0.0.0.0/0", "10.1.4.1"}, {"::/0", "fd00:1:4::1"}},
	"router":    {{"0.0.0.0/0", "10.3.3.2"}, {"::/0", "fd00:3:3::2"}},
	"gateway":   {{"10.1.4.0/24", "10.3.3.1"}, {"fd00:1:4::/64", "fd00:3:3::1"}},
	"server":    {{"0.0.0.0/0", "10.2.5.1"}, {"::/0", "fd00:2:5::1"}},
	"outsider":  {{"0.0.0.0/0", "10.2.5.1"}, {"::/0", "fd00:2:5::1"}},
}

// namedPorts are those of ip_local_port_range that somebody names in a lab: the reference
// dialogue, the detour, the clients of `ftplab attack`. Who connects must not be given one.
const namedPorts = "32963,44667,46197-46296,49160-49161"

// sysctls are set in a new network, before it has any interface. The key "" is for
// every host. Without duplicate address detection, addresses are good at once.
var sysctls = map[string]map[string]string{
	"":         {"net/ipv6/conf/default/accept_dad": "0", "net/ipv4/ip_local_reserved_ports": namedPorts},
	switchName: {"net/ipv6/conf/default/disable_ipv6": "1"},
	"router":   {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"},
	"gateway":  {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"},
	// The reference dialogue's server answers as routers do.
	"server": {"net/ipv4/ip_default_ttl": "255"},
}

func (l *Lab) addresses() {
	for _, p := range ports {
		if p.main {
			l.hosts[p.host].IPv4, l.hosts[p.host].IPv6 = p.v4.Addr(), p.v6.Addr()
		}
	}
}

// makeHosts makes the networks, on a thread that ends afterwards in the last of them.
// The bind mounts are how Attach finds them, and the ip program inside.
func (l *Lab) makeHosts() error {
	for _, name := range hostNames {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making the network of %s: %w", name, err)
		}
		const self = "/proc/thread-self/ns/net"
		var err error
		if l.hosts[name].net, err = os.Open(self); err != nil {
			return err
		}
		if err := os.WriteFile(netnsDir+name, nil, 0o444); err != nil {
			return err
		}
		if err := unix.Mount(self, netnsDir+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("keeping the network of %s: %w", name, err)
		}
		for _, set := range []map[string]string{sysctls[""], sysctls[name]} {
			for key, value := range set {
				if err := os.WriteFile("/proc/sys/"+key, []byte(value), 0); err != nil {
					return fmt.Errorf("setting up the network of %s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// wire makes the segments, plugs every port into its own, and sets the routes.
func (l *Lab) wire() error {
	return l.hosts[switchName].withNetlink(func(sw *netlink.Handle) error {
		segments := map[string]int{}
		for _, p := range ports {
			if _, ok := segments[p.segment]; !ok {
				index, err := addBridge(sw, p.segment)
				if err != nil {
					return fmt.Errorf("making segment %s: %w", p.segment, err)
				}
				segments[p.segment] = index
			}
			if err := l.plug(sw, p, segments[p.segment]); err != nil {
				return fmt.Errorf("plugging %s into segment %s: %w", p.host, p.segment, err)
			}
		}
		for name, h := range l.hosts {
			if err := h.withNetlink(func(nl *netlink.Handle) error { return addRoutes(nl, routes[name]) }); err != nil {
				return fmt.Errorf("setting the routes of %s: %w", name, err)
			}
		}
		return nil
	})
}

func addBridge(nl *netlink.Handle, name string) (index int, err error) {
	br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	br.Name = name
	if err := nl.LinkAdd(br); err != nil {
		return 0, err
	}
	return br.Index, nl.LinkSetUp(br)
}

// plug makes a pair of interfaces: one on the host, one on the switch.
func (l *Lab) plug(sw *netlink.Handle, p port, segment int) error {
	return l.hosts[p.host].withNetlink(func(nl *netlink.Handle) error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name = p.host + "-" + p.name
		veth.MasterIndex = segment
		veth.PeerName = p.name
		veth.PeerNamespace = netlink.NsFd(l.hosts[p.host].net.Fd())
		if err := sw.LinkAdd(veth); err != nil {
			return err
		}
		end, err := nl.LinkByName(p.name)
		if err != nil {
			return err
		}
		for _, prefix := range []netip.Prefix{p.v4, p.v6} {
			if err := nl.AddrAdd(end, &netlink.Addr{IPNet: ipNet(prefix)}); err != nil {
				return err
			}
		}
		return errors.Join(sw.LinkSetUp(veth), nl.LinkSetUp(end))
	})
}

func addRoutes(nl *netlink.Handle, routes [][2]string) error {
	lo, err := nl.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := nl.LinkSetUp(lo); err != nil {
		return err
	}
	for _, r := range routes {
		dst := ipNet(netip.MustParsePrefix(r[0]))
		if err := nl.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(r[1])}); err != nil {
			return fmt.Errorf("%s via %s: %w", r[0], r[1], err)
		}
	}
	return nil
}

func (h *Host) withNetlink(f func(*netlink.Handle) error) error {
	var nl *netlink.Handle
	err := h.Do(func() (err error) {
		nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return err
	}
	defer nl.Close()
	return f(nl)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
