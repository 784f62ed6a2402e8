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
	// What is sent twice is counted twice, and an end that is answered late probes for what
	// may be lost (tcp_schedule_loss_probe).
	for key, value := range map[string]string{"netfilter/nf_conntrack_acct": acct, "ipv4/tcp_early_retrans": "0"} {
		// /proc/sys/net shows the namespace of the thread that looks.
		if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
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
		f := alg.Flow{Client: netip.AddrPortFrom(p.Source, p.SourcePorts.First), Server: p.Dest}
		wg.Go(func() {
			for range 100 {
				if _, ok, err := c.ID(f); err != nil || !ok {
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
	f := alg.Flow{Client: netip.MustParseAddrPort("192.0.2.1:4000"), Server: netip.MustParseAddrPort("192.0.2.2:21")}
	if _, ok, err := c.ID(f); ok || err == nil {
		t.Error(ok, err)
	}
}
