package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The tests of this package run on the loopback interface of a network namespace of
// their own:
//
//	sender --lo--> output hook: UDP and TCP to port 9 --NFQUEUE--> Queue --lo--> receiver
const divertedPort = 9

// loopback is the index of the interface lo, the first in every namespace.
const loopback = 1

// namespace puts the test's goroutine, which may not be left, into a new network
// namespace. Sockets are to be opened there; then others may use them.
func namespace(t testing.TB, mtu int) {
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
	if err := netlink.LinkSetMTU(lo, mtu); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
}

// divert sends what goes to divertedPort to a queue, without bypass: by the nft queue
// statement, or on kernels without it by the xtables target.
func divert(t testing.TB, number uint16) {
	t.Helper()
	err := output(&expr.Queue{Num: number, Total: 1})
	if errors.Is(err, unix.ENOENT) {
		info := make(xt.Unknown, 8) // struct xt_NFQ_info_v3: queue, count, flags
		binary.NativeEndian.PutUint16(info, number)
		binary.NativeEndian.PutUint16(info[2:], 1)
		err = output(&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// logTo copies what goes to divertedPort to a group.
func logTo(t testing.TB, group uint16, prefix string) {
	t.Helper()
	if err := output(&expr.Log{Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_PREFIX, Group: group, Data: []byte(prefix)}); err != nil {
		t.Fatal(err)
	}
}

// output has a statement for what goes to divertedPort.
func output(statement expr.Any) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "test"})
	chain := c.AddChain(&nftables.Chain{
		Table: table, Name: "divert", Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, divertedPort)},
		statement,
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("a rule for port %d: %w", divertedPort, err)
	}
	return nil
}

// proc is a queue's line in /proc/net/netfilter/nfnetlink_queue.
type proc struct {
	waiting, kernelDropped, userDropped, last int
}

func readProc(t *testing.T, number uint16) (p proc, ok bool) {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if f[0] != strconv.Itoa(int(number)) {
			continue
		}
		for i, n := range map[int]*int{2: &p.waiting, 5: &p.kernelDropped, 6: &p.userDropped, 7: &p.last} {
			if *n, err = strconv.Atoi(f[i]); err != nil {
				t.Fatal(err)
			}
		}
		return p, true
	}
	return p, false
}

// receiver listens for diverted datagrams, with room for many.
func receiver(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: divertedPort})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// sender sends datagrams to a receiver.
func sender(t testing.TB, to *net.UDPConn) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, to.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// open opens a queue that is closed with the test.
func open(t testing.TB, c Config) *Queue {
	t.Helper()
	q, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}
