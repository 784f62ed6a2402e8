package conntrack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// host is a network namespace, with a thread that lives in it.
type host struct {
	jobs chan func() error
	errs chan error
	ns   *os.File
}

// newHost makes a host for the time of the test.
func newHost(t testing.TB) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: builds a network of namespaces")
	}
	h := &host{jobs: make(chan func() error), errs: make(chan error)}
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with this function
		for job := range h.jobs {
			h.errs <- job()
		}
	}()
	h.run(t, func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		h.ns, err = os.Open("/proc/thread-self/ns/net")
		return errors.Join(err,
			// Without it addresses take a second to come up.
			os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0))
	})
	t.Cleanup(func() {
		close(h.jobs)
		h.ns.Close()
	})
	return h
}

func (h *host) run(t testing.TB, job func() error) {
	t.Helper()
	h.jobs <- job
	if err := <-h.errs; err != nil {
		t.Fatal(err)
	}
}

// nft loads rules, or says what there is.
func (h *host) nft(t testing.TB, rules string) string {
	t.Helper()
	var out []byte
	h.run(t, func() (err error) {
		c := exec.Command("nft", "-f", "-")
		c.Stdin = strings.NewReader(rules)
		if out, err = c.CombinedOutput(); err != nil {
			err = fmt.Errorf("nft: %w\n%s", err, out)
		}
		return err
	})
	return string(out)
}

// network is
//
//	client 10.2.5.7 --+
//	                  bridge -- 10.2.5.1 gateway 10.1.4.1 -- 10.1.4.4 server
//	inner  10.2.5.5 --+
//
// and alike with fd00:2:5:: and fd00:1:4::.
type network struct {
	client, inner, gateway, server *host
	conn                           *Conn
}

const (
	client, inner, inside = "10.2.5.7", "10.2.5.5", "10.2.5.1"
	outside, server       = "10.1.4.1", "10.1.4.4"
)

// v6 returns the IPv6 address of who has this one.
func v6(v4 string) string {
	b := netip.MustParseAddr(v4).As4()
	return fmt.Sprintf("fd00:%d:%d::%d", b[1], b[2], b[3])
}

// counted counts what connection tracking takes for invalid, and what it tracks bears a
// label and a mark.
const counted = `
table inet test {
	counter invalid { }
	chain tracked {
		type filter hook prerouting priority mangle; policy accept;
		ct state invalid counter name invalid
		ct state new ct mark set 0x0a0b0c0d ct label set 126
	}
}
`

func newNetwork(t testing.TB) *network {
	t.Helper()
	n := &network{client: newHost(t), inner: newHost(t), gateway: newHost(t), server: newHost(t)}
	n.gateway.run(t, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
		bridge.Name = "in"
		return errors.Join(netlink.LinkAdd(bridge),
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0),
			// What stays on the bridge is nobody's.
			quiet(os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("0"), 0)),
			quiet(os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-ip6tables", []byte("0"), 0)))
	})
	n.cable(t, n.client, "port1", "in", client, inside)
	n.cable(t, n.inner, "port2", "in", inner, inside)
	n.cable(t, n.server, "out", "", server, outside)
	n.gateway.run(t, func() error {
		return errors.Join(address("in", inside), address("out", outside))
	})
	n.gateway.nft(t, counted)
	n.gateway.run(t, func() (err error) {
		n.conn, err = Open(label)
		return err
	})
	t.Cleanup(func() { _ = n.conn.Close() })
	return n
}

// quiet takes no offence at a setting that the kernel has not got.
func quiet(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// cable connects a host to the gateway, or to a bridge there.
func (n *network) cable(t testing.TB, h *host, name, bridge, addr, gateway string) {
	t.Helper()
	n.gateway.run(t, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(h.ns.Fd()))}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		if bridge == "" {
			return nil
		}
		b, err := netlink.LinkByName(bridge)
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetMaster(veth, b), netlink.LinkSetUp(veth))
	})
	h.run(t, func() error {
		err := address("eth0", addr)
		for _, gw := range []string{gateway, v6(gateway)} {
			err = errors.Join(err, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(gw)}))
		}
		return err
	})
}

// address gives a link an address, and the IPv6 one that goes with it.
func address(link, v4 string) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	err = netlink.LinkSetUp(l)
	for _, p := range []string{v4 + "/24", v6(v4) + "/64"} {
		a, parseErr := netlink.ParseAddr(p)
		if parseErr != nil {
			return parseErr
		}
		a.Flags = unix.IFA_F_NODAD
		err = errors.Join(err, netlink.AddrAdd(l, a))
	}
	return err
}

// invalid returns how many packets connection tracking took for invalid.
func (n *network) invalid(t testing.TB) int {
	t.Helper()
	m := regexp.MustCompile(`packets (\d+)`).FindStringSubmatch(n.gateway.nft(t, "list counter inet test invalid\n"))
	if m == nil {
		t.Fatal("no counter")
	}
	i, _ := strconv.Atoi(m[1])
	return i
}

// listen listens on a host for the time of the test.
func (h *host) listen(t testing.TB, at string) net.Listener {
	t.Helper()
	var l net.Listener
	h.run(t, func() (err error) {
		network, config := "tcp", net.ListenConfig{}
		if strings.HasPrefix(at, "[::]") { // of IPv4 too, whatever the net package thinks there is
			network = "tcp6"
			config.Control = func(_, _ string, c syscall.RawConn) error {
				return c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_V6ONLY, 0) })
			}
		}
		l, err = config.Listen(context.Background(), network, at)
		return err
	})
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// dial connects from a host, from a port or from any.
func (h *host) dial(t testing.TB, from uint16, to string) net.Conn {
	t.Helper()
	var c net.Conn
	h.run(t, func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		d := net.Dialer{LocalAddr: &net.TCPAddr{Port: int(from)}, Control: reuse}
		c, err = d.DialContext(ctx, "tcp", to)
		return err
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// end returns an address of a connection.
func end(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
