package conntrack

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// label is the one that the tests vouch with, other one that a rule puts on all flows.
const label, other = 127, 126

// labelled makes room for labels in the flows that begin from now on: each bears other.
func labelled(t *testing.T) {
	t.Helper()
	nft(t, `table inet labels { chain label { type filter hook output priority filter; ct state new ct label set 126; }; }`)
}

// listen listens on an address of this host.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dial connects from one address to another; port 0 is any.
func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)),
		Control:   reuse,
	}
	c, err := d.DialContext(context.Background(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// reuse lets a test bind a port again at once.
func reuse(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
}

// connect makes a control connection over loopback: the client's end, the server's end,
// and the flow.
func connect(t *testing.T, loopback string) (net.Conn, net.Conn, alg.Flow) {
	t.Helper()
	l := listen(t, net.JoinHostPort(loopback, "0"))
	c := dial(t, net.JoinHostPort(loopback, "0"), l.Addr().String())
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return c, s, alg.Flow{Client: c.LocalAddr().(*net.TCPAddr).AddrPort(), Server: l.Addr().(*net.TCPAddr).AddrPort()}
}

// id asks for the id of a flow that is there.
func id(t *testing.T, c *Conn, f alg.Flow) uint32 {
	t.Helper()
	n, ok, err := c.ID(f)
	if err != nil || !ok || n == 0 {
		t.Fatalf("the id of %v: %d, %t, %v", f, n, ok, err)
	}
	return n
}

// labels returns which of the two labels a flow bears.
func labels(t *testing.T, c *Conn, f alg.Flow) (vouched, others bool) {
	t.Helper()
	e, ok, err := c.control(f)
	if err != nil || !ok {
		t.Fatalf("%v: %t, %v", f, ok, err)
	}
	bit, err := labelBit(other)
	if err != nil {
		t.Fatal(err)
	}
	return c.bears(e), (&Conn{label: bit}).bears(e)
}

func TestVouch(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		t.Run(loopback, func(t *testing.T) {
			namespace(t, false)
			labelled(t)
			c := open(t)
			_, _, f := connect(t, loopback)
			_, _, second := connect(t, loopback)
			for _, on := range []bool{true, true, false, false, true} {
				if err := c.Vouch(f, on); err != nil {
					t.Fatal(err)
				}
				if vouched, others := labels(t, c, f); vouched != on || !others {
					t.Errorf("vouched for: %t, want %t; the other label: %t", vouched, on, others)
				}
				if vouched, others := labels(t, c, second); vouched || !others {
					t.Errorf("another flow: vouched for %t, the other label %t", vouched, others)
				}
				want := map[alg.Flow]bool{f: false}
				if !on {
					clear(want)
				}
				if got, err := c.Vouched(); err != nil || !maps.Equal(got, want) {
					t.Errorf("vouched for %v, %v; want %v", got, err, want)
				}
			}
			// The state of the connection is still the kernel's own.
			if e, _, err := c.control(f); err != nil || e.Timeout < 3600 || !e.Status.Assured() {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
}

// A flow that began before a rule used labels bears none.
func TestVouchWithoutRoom(t *testing.T) {
	namespace(t, false)
	c := open(t)
	_, _, f := connect(t, "127.0.0.1")
	labelled(t)
	if err := c.Vouch(f, true); !errors.Is(err, ErrNoLabels) {
		t.Errorf("%v, want %v", err, ErrNoLabels)
	}
	if err := c.Vouch(f, false); err != nil {
		t.Error(err)
	}
	_, _, later := connect(t, "127.0.0.1")
	if err := c.Vouch(later, true); err != nil {
		t.Error(err)
	}
	if got, err := c.Vouched(); err != nil || !maps.Equal(got, map[alg.Flow]bool{later: false}) {
		t.Errorf("%v, %v", got, err)
	}
}

// A flow that is not there has no id, and no label to take away.
func TestNoFlow(t *testing.T) {
	namespace(t, false)
	labelled(t)
	c := open(t)
	_, _, f := connect(t, "::1")
	gone := f
	gone.Client = netip.AddrPortFrom(f.Client.Addr(), f.Client.Port()^1)
	turned := alg.Flow{Client: f.Server, Server: f.Client} // its tuple is there, as that of the replies
	for _, f := range []alg.Flow{gone, turned} {
		if _, ok, err := c.ID(f); ok || err != nil {
			t.Errorf("%v: %t, %v", f, ok, err)
		}
		if err := c.Vouch(f, false); err != nil {
			t.Error(err)
		}
		if err := c.Vouch(f, true); !errors.Is(err, ErrNoFlow) {
			t.Errorf("%v: %v, want %v", f, err, ErrNoFlow)
		}
	}
}

// A control connection is found by the addresses that filter chains see, whichever end
// is translated, and nothing is found by those that they do not see.
func TestTranslated(t *testing.T) {
	for name, c := range map[string]struct{ nat, from, to, client, server string }{
		"source":      {"chain s { type nat hook postrouting priority srcnat; ip saddr 127.0.0.2 snat to 127.0.0.9; }", "127.0.0.2:4000", "127.0.0.1:21", "127.0.0.2:4000", "127.0.0.1:21"},
		"destination": {"chain d { type nat hook output priority -100; ip daddr 127.0.0.8 dnat to 127.0.0.1; }", "127.0.0.2:4000", "127.0.0.8:21", "127.0.0.2:4000", "127.0.0.1:21"},
	} {
		t.Run(name, func(t *testing.T) {
			namespace(t, false)
			labelled(t)
			nft(t, "table ip nat { "+c.nat+"; }")
			conn := open(t)
			listen(t, "127.0.0.1:21")
			dial(t, c.from, c.to)
			f := alg.Flow{Client: netip.MustParseAddrPort(c.client), Server: netip.MustParseAddrPort(c.server)}
			id(t, conn, f)
			if err := conn.Vouch(f, true); err != nil {
				t.Fatal(err)
			}
			if got, err := conn.Vouched(); err != nil || !maps.Equal(got, map[alg.Flow]bool{f: true}) {
				t.Errorf("vouched for %v, %v; want %v", got, err, f)
			}
			for _, outside := range []string{"127.0.0.8:21", "127.0.0.9:21"} {
				f.Server = netip.MustParseAddrPort(outside)
				if _, ok, err := conn.ID(f); ok || err != nil {
					t.Errorf("by %v: %t, %v", f, ok, err)
				}
			}
		})
	}
}

// A connection has one id, and another has another. A new connection between the same
// ports may have the id of the old one, see ID, and its label only where the kernel has
// it begin in the old one's entry.
func TestNewConnection(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(client, server *net.TCPConn)
		same bool // entry
	}{
		"closed":              {func(client, server *net.TCPConn) { client.CloseWrite(); server.Close() }, false},
		"reset by the client": {func(client, _ *net.TCPConn) { client.SetLinger(0); client.Close() }, false},
		"reset by the server": {func(_, server *net.TCPConn) { server.SetLinger(0); server.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			namespace(t, false)
			labelled(t)
			conn := open(t)
			l := listen(t, "127.0.0.1:0")
			client := dial(t, "127.0.0.1:0", l.Addr().String())
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			f := alg.Flow{Client: client.LocalAddr().(*net.TCPAddr).AddrPort(), Server: l.Addr().(*net.TCPAddr).AddrPort()}
			first := id(t, conn, f)
			if err := conn.Vouch(f, true); err != nil {
				t.Fatal(err)
			}
			_, _, another := connect(t, "127.0.0.1")
			if id(t, conn, f) != first || id(t, conn, another) == first {
				t.Errorf("ids %d and %d, before %d", id(t, conn, f), id(t, conn, another), first)
			}
			c.end(client.(*net.TCPConn), server.(*net.TCPConn))
			client.Close()
			server.Close()
			dial(t, f.Client.String(), f.Server.String())
			vouched, _ := labels(t, conn, f)
			if vouched != c.same {
				t.Errorf("the new connection is vouched for: %t", vouched)
			}
		})
	}
}

func TestLabelOutOfRange(t *testing.T) {
	if _, err := Open(128); err == nil {
		t.Error("no error")
	}
}
