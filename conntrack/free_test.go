package conntrack

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

func TestFree(t *testing.T) {
	const port, other = "45678", "45679"
	// An address that the gateway stands for, and has not got.
	const nobody = "192.0.2.9"
	for name, c := range map[string]struct {
		listens string
		at      string
		free    bool
	}{
		"nobody listens":             {"", outside, true},
		"on that address":            {outside, outside, false},
		"on another":                 {inside, outside, true},
		"on all":                     {"0.0.0.0", outside, false},
		"on an address of nobody":    {"", nobody, true},
		"on all, of nobody":          {"0.0.0.0", nobody, false},
		"on another, not of nobody":  {outside, nobody, true},
		"IPv6: nobody":               {"", v6(outside), true},
		"IPv6: on that address":      {v6(outside), v6(outside), false},
		"IPv6: on another":           {v6(inside), v6(outside), true},
		"on all of IPv6 too":         {"::", outside, false},
		"IPv6: on all":               {"::", v6(outside), false},
		"IPv6: on all of IPv4":       {"0.0.0.0", v6(outside), true},
		"IPv6: on all, of nobody":    {"::", "2001:db8::9", false},
		"IPv6: an address of nobody": {"", "2001:db8::9", true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			n.gateway.listen(t, "[::]:"+other) // another port on all
			if c.listens != "" {
				n.gateway.listen(t, net.JoinHostPort(c.listens, port))
			}
			at := netip.MustParseAddrPort(net.JoinHostPort(c.at, port))
			from := netip.MustParseAddr(server)
			if at.Addr().Is6() {
				from = netip.MustParseAddr(v6(server))
			}
			for _, ports := range []alg.Ports{{}, {First: 20, Last: 20}, {First: 1024, Last: 65535}} {
				var free bool
				n.gateway.run(t, func() (err error) {
					free, err = n.conn.Free(from, ports, at)
					return err
				})
				if free != c.free {
					t.Errorf("from ports %v: free is %t", ports, free)
				}
			}
		})
	}
}

// A listener on one interface alone counts, and so does a connection of the gateway's own.
func TestFreeSockets(t *testing.T) {
	n := newNetwork(t)
	at := netip.MustParseAddrPort(outside + ":45678")
	free := func() (free bool) {
		t.Helper()
		n.gateway.run(t, func() (err error) {
			free, err = n.conn.Free(netip.MustParseAddr(server), alg.Ports{}, at)
			return err
		})
		return free
	}
	var l net.Listener
	n.gateway.run(t, func() (err error) {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "out") })
		}}
		l, err = lc.Listen(t.Context(), "tcp", ":45678")
		return err
	})
	if free() {
		t.Error("free, with a listener on one interface")
	}
	_ = l.Close()
	if !free() {
		t.Error("not free")
	}
	n.server.listen(t, server+":2000")
	c := n.gateway.dial(t, at.Port(), server+":2000")
	if free() {
		t.Error("free, with a connection from there")
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	if !free() {
		t.Error("not free any more")
	}
}

// A flow that has the same ends, as the one tuple or the other, takes the place.
func TestFreeTracked(t *testing.T) {
	n := newNetwork(t)
	for name, w := range ways() {
		c := n.connect(t, w)
		for _, tuple := range [][2]netip.AddrPort{
			{c.flow.Server, c.translation.Client}, // its replies, as they come
			{c.flow.Client, c.translation.Server}, // what is sent, as it comes
		} {
			from, at := tuple[0], tuple[1]
			for ports, want := range map[alg.Ports]bool{
				{First: from.Port(), Last: from.Port()}:         false,
				{First: from.Port() ^ 1, Last: from.Port() ^ 1}: true,
			} {
				var free bool
				n.gateway.run(t, func() (err error) {
					free, err = n.conn.Free(from.Addr(), ports, at)
					return err
				})
				if free != want {
					t.Errorf("%s: from %s:%v to %v: free is %t", name, from.Addr(), ports, at, free)
				}
			}
		}
	}
}
