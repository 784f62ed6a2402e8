package conntrack

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// namespace puts the test's goroutine, which may not be left, into a new network
// namespace whose loopback traffic is tracked, and counted or not.
func namespace(t *testing.T, counted bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a network namespace")
	}
	runtime.LockOSThread() // for good: the thread ends with the test, and its namespace too
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	// Connections are tracked where a rule asks for it.
	nft(t, `table inet test { chain track { type filter hook output priority filter; ct state new; }; }`)
	acct := "0"
	if counted {
		acct = "1"
	}
	// /proc/sys/net shows the namespace of the thread that looks.
	if err := os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_acct", []byte(acct), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nft loads rules into the namespace of the test's thread.
func nft(t *testing.T, rules string) {
	t.Helper()
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

// transfer moves bytes over a TCP connection and returns the pinhole that it would
// have come through.
func transfer(t *testing.T, loopback string, bytes int) alg.Pinhole {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = c.Write(make([]byte, bytes))
		_ = c.Close()
	}()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := io.Copy(io.Discard, s); err != nil || n != int64(bytes) {
		t.Fatalf("%d bytes arrived, %v", n, err)
	}
	from := c.LocalAddr().(*net.TCPAddr).AddrPort()
	return alg.Pinhole{
		Mode: alg.Active, Source: from.Addr(), SourcePorts: alg.Ports{First: from.Port(), Last: from.Port()},
		Dest: l.Addr().(*net.TCPAddr).AddrPort(),
	}
}

func open(t *testing.T) *Conn {
	t.Helper()
	c, err := Open(label)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestCounters(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		t.Run(loopback, func(t *testing.T) {
			namespace(t, true)
			c := open(t)
			const sent = 100_000
			p := transfer(t, loopback, sent)
			n, ok, err := c.Counters(p)
			if err != nil || !ok {
				t.Fatalf("counters of %+v: %t, %v", p, ok, err)
			}
			// SYN, SYN/ACK, ACK, data and FIN at the least, each with headers.
			if n.Packets < 5 || n.Bytes < sent+5*40 || n.Bytes > sent+n.Packets*80 {
				t.Errorf("%d bytes were counted as %+v", sent, n)
			}

			port := p.SourcePorts.First
			p.SourcePorts = alg.Ports{First: port ^ 1, Last: port ^ 1}
			if _, ok, err := c.Counters(p); ok || err != nil {
				t.Errorf("a flow that is not there: %t, %v", ok, err)
			}
			for _, p.SourcePorts = range []alg.Ports{{}, {First: port, Last: port + 1}} {
				if _, ok, err := c.Counters(p); ok || err != nil {
					t.Errorf("source port %v: %t, %v", p.SourcePorts, ok, err)
				}
			}
		})
	}
}

// Without accounting there is nothing to know.
func TestNotCounted(t *testing.T) {
	namespace(t, false)
	c := open(t)
	p := transfer(t, "127.0.0.1", 1000)
	if _, ok, err := c.direction(p.Dest, netip.AddrPortFrom(p.Source, p.SourcePorts.First)); !ok || err != nil {
		t.Fatalf("the flow is not tracked: %t, %v", ok, err)
	}
	if n, ok, err := c.Counters(p); ok || err != nil {
		t.Errorf("%+v, %t, %v", n, ok, err)
	}
}

// Workers share a Conn.
func TestConcurrent(t *testing.T) {
	namespace(t, true)
	c := open(t)
	var all []alg.Pinhole
	for range 8 {
		all = append(all, transfer(t, "127.0.0.1", 1000))
	}
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			for range 100 {
				if _, ok, err := c.Counters(p); err != nil || !ok {
					t.Error(ok, err)
				}
			}
		})
	}
	wg.Wait()
}

// A closed Conn says so.
func TestClosed(t *testing.T) {
	namespace(t, true)
	c, err := Open(label)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	p := alg.Pinhole{Source: netip.MustParseAddr("192.0.2.1"), SourcePorts: alg.Ports{First: 20, Last: 20}, Dest: netip.MustParseAddrPort("192.0.2.2:4000")}
	if _, ok, err := c.Counters(p); ok || err == nil {
		t.Error(ok, err)
	}
}
