package nft

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// host is a network namespace, with a thread that lives in it.
type host struct {
	jobs chan func()
	ns   *os.File
}

// newHost makes a host for the time of the test.
func newHost(t testing.TB) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: builds a network of namespaces")
	}
	h := &host{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with this function
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h.ns, err = os.Open("/proc/thread-self/ns/net")
		}
		ready <- err
		for job := range h.jobs {
			job()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("unshare: %v", err)
	}
	t.Cleanup(func() {
		close(h.jobs)
		h.ns.Close()
	})
	h.run(t, func() error {
		// Without it link-local addresses, and so neighbour discovery, take a second.
		for _, links := range []string{"all", "default"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+links+"/accept_dad", []byte("0"), 0); err != nil {
				return err
			}
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	return h
}

// do runs job on the host. A job that ends the test ends it here, too.
func (h *host) do(t testing.TB, job func()) {
	t.Helper()
	done, returned := make(chan struct{}), false
	h.jobs <- func() {
		defer close(done)
		job()
		returned = true
	}
	if <-done; !returned {
		t.FailNow()
	}
}

// run is do for what must not fail.
func (h *host) run(t testing.TB, job func() error) {
	t.Helper()
	var err error
	h.do(t, func() { err = job() })
	if err != nil {
		t.Fatal(err)
	}
}

// load has the nft program load a ruleset on the host.
func (h *host) load(t testing.TB, rules string) {
	t.Helper()
	h.do(t, func() { load(t, rules) })
}

// network is
//
//	client ---- gateway ---- server
//	   .4  10.1.4.0  .1  10.2.5.0  .5
//
// and alike with fd00:1:: and fd00:2::. The gateway's operator drops what he does not
// know.
type network struct {
	client, gateway, server *host
}

const operator = `
table inet filter {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		tcp dport 21 accept
	}
}
`

func newNetwork(t testing.TB) *network {
	t.Helper()
	n := &network{newHost(t), newHost(t), newHost(t)}
	n.cable(t, n.client, "10.1.4.%s/24", "fd00:1::%s/64", "4")
	n.cable(t, n.server, "10.2.5.%s/24", "fd00:2::%s/64", "5")
	n.gateway.run(t, func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
	})
	n.gateway.load(t, operator)
	return n
}

// cable connects a host to the gateway.
func (n *network) cable(t testing.TB, h *host, net4, net6, number string) {
	t.Helper()
	name := "to" + number
	n.gateway.run(t, func() error {
		if err := veth(name, h); err != nil {
			return err
		}
		return address(name, fmt.Sprintf(net4, "1"), fmt.Sprintf(net6, "1"))
	})
	h.run(t, func() error {
		if err := address("eth0", fmt.Sprintf(net4, number), fmt.Sprintf(net6, number)); err != nil {
			return err
		}
		for _, gw := range []string{fmt.Sprintf(net4, "1"), fmt.Sprintf(net6, "1")} {
			if err := route(netip.MustParsePrefix(gw).Addr()); err != nil {
				return err
			}
		}
		return nil
	})
}

// veth makes a link whose other end is the host's eth0.
func veth(name string, h *host) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(h.ns.Fd())),
	}); err != nil {
		return fmt.Errorf("cable: %w", err)
	}
	return nil
}

// route makes the default route.
func route(gateway netip.Addr) error {
	if err := netlink.RouteAdd(&netlink.Route{Gw: net.IP(gateway.AsSlice())}); err != nil {
		return fmt.Errorf("route: %w", err)
	}
	return nil
}

func address(link string, prefixes ...string) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return err
	}
	for _, p := range prefixes {
		a, err := netlink.ParseAddr(p)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(l, a); err != nil {
			return fmt.Errorf("address %s: %w", p, err)
		}
	}
	return nil
}

// reuse lets a test bind a port again at once.
func reuse(_, _ string, c syscall.RawConn) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}), err)
}

// listen accepts connections on the host for the time of the test, and says who connected.
func (h *host) listen(t testing.TB, at netip.AddrPort) (from <-chan netip.AddrPort) {
	t.Helper()
	remote := make(chan netip.AddrPort, 64)
	var l net.Listener
	h.run(t, func() (err error) {
		l, err = (&net.ListenConfig{Control: reuse}).Listen(context.Background(), "tcp", at.String())
		return err
	})
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			remote <- c.RemoteAddr().(*net.TCPAddr).AddrPort()
			go func() { // an echo, until the other end hangs up
				defer c.Close()
				var b [256]byte
				for {
					n, err := c.Read(b[:])
					if err != nil {
						return
					}
					c.Write(b[:n])
				}
			}()
		}
	}()
	return remote
}

// blocked is how long a connection is waited for that should not come. The kernel
// repeats a SYN after a second, which must not happen in it.
const blocked = 300 * time.Millisecond

// dial connects from the host. It fails the test if that succeeds and should not, or
// the other way round. Port 0 is any.
func (h *host) dial(t testing.TB, from, to netip.AddrPort, admitted bool) net.Conn {
	t.Helper()
	timeout := blocked
	if admitted {
		timeout = 5 * time.Second
	}
	conn, err := h.connect(t, from, to, timeout)
	switch {
	case admitted && err != nil:
		t.Fatalf("%v -> %v is not admitted: %v", from, to, err)
	case !admitted && !os.IsTimeout(err):
		t.Errorf("%v -> %v: %v, want no answer", from, to, err)
	}
	return conn
}

// connect tries to connect from the host. A port that was given up a moment ago may still be
// in use: a process that is being started holds a copy of every socket until it runs.
func (h *host) connect(t testing.TB, from, to netip.AddrPort, timeout time.Duration) (conn net.Conn, err error) {
	t.Helper()
	h.do(t, func() {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Control: reuse, Timeout: timeout}
		for end := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
			conn, err = d.Dial("tcp", to.String())
			if !errors.Is(err, unix.EADDRNOTAVAIL) || time.Now().After(end) {
				return
			}
		}
	})
	if conn != nil {
		t.Cleanup(func() { hangUp(conn) })
	}
	return conn, err
}

// hangUp ends a connection at once, on both sides.
func hangUp(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}
