package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// What makes no sense is refused before it reaches the kernel, and with it everything
// else in the transaction.
func TestCommitRefuses(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	with := func(change func(*alg.Op)) alg.Op {
		op := opened(active4)
		change(&op)
		return op
	}
	for name, op := range map[string]alg.Op{
		"for ever":     with(func(op *alg.Op) { op.Timeout = 0 }),
		"under 1 ms":   with(func(op *alg.Op) { op.Timeout = time.Microsecond }),
		"two families": with(func(op *alg.Op) { op.Pinhole.Source = active6.Source }),
		"no address":   with(func(op *alg.Op) { op.Pinhole.Source = netip.Addr{} }),
		"mapped": with(func(op *alg.Op) {
			op.Pinhole.Source = netip.MustParseAddr("::ffff:10.2.5.5")
			op.Pinhole.Dest = netip.MustParseAddrPort("[::ffff:10.1.4.4]:46197")
		}),
		"another range":    with(func(op *alg.Op) { op.Pinhole.SourcePorts = alg.Ports{First: 20, Last: 21} }),
		"any source port":  with(func(op *alg.Op) { op.Pinhole.SourcePorts = alg.Ports{} }),
		"passive, port":    with(func(op *alg.Op) { op.Pinhole.Mode = alg.Passive }),
		"no such range":    admitted(range4, time.Minute), // no ftps_ports
		"none to revoke":   revoked(range4),
		"unknown":          {Kind: 99},
		"flow of nothing":  {Kind: alg.OpRelease},
		"flow of two kind": {Kind: alg.OpRelease, Flow: alg.Flow{Client: control4.Client, Server: control6.Server}},
	} {
		err := table.Commit([]alg.Op{opened(active6), op})
		if !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: %v, want EINVAL", name, err)
		}
		wantUnused(t, table, active6, false)
	}
	if err := table.Commit(nil); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}

// Kernels before 6.3 do not know the message that destroys.
func TestCommitWithoutDestroy(t *testing.T) {
	inNamespace(t)
	caps := probe(t)
	caps.Destroy = false
	table := install(t, defaults(), caps)
	commit(t, table, opened(active4), closed(passive4), alg.Op{Kind: alg.OpRelease, Flow: control4})
	for b := table.out.buf; len(b) > 0; b = b[binary.NativeEndian.Uint32(b):] {
		if typ := binary.NativeEndian.Uint16(b[4:]); typ == unix.NFNL_SUBSYS_NFTABLES<<8|msgDestroySetElem {
			t.Error("NFT_MSG_DESTROYSETELEM was sent")
		}
	}
}

// A transaction that the kernel refuses changes nothing, the error says which of its
// operations failed, and the next one is not disturbed by it.
func TestCommitFails(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		cfg := defaults()
		cfg.SetSize = 1
		table := install(t, cfg, caps)
		second := active4
		second.Dest = netip.MustParseAddrPort("10.1.4.4:46198")
		err := table.Commit([]alg.Op{opened(passive4), opened(active4), opened(second), closed(passive6)})
		if !errors.Is(err, unix.ENFILE) || !strings.Contains(err.Error(), "opening pinhole 10.2.5.5 port 20 to 10.1.4.4:46198") {
			t.Errorf("a full set: %v, want ENFILE and the pinhole's name", err)
		}
		for _, p := range []alg.Pinhole{passive4, active4, second} {
			wantUnused(t, table, p, false)
		}
		commit(t, table, opened(second))
		wantUnused(t, table, second, true)
	})
}

// More answers than the socket's buffer holds: the outcome is known all the same, and
// nothing of it is left for the next transaction.
func TestCommitLosesAnswers(t *testing.T) {
	inNamespace(t)
	cfg := defaults()
	cfg.SetSize = 1
	table := install(t, cfg, probe(t))
	if err := unix.SetsockoptInt(table.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	var many []alg.Op
	for port := range uint16(1000) {
		p := active4
		p.Dest = netip.AddrPortFrom(p.Dest.Addr(), port+1)
		many = append(many, opened(p))
	}
	if err := table.Commit(many); !errors.Is(err, unix.ENFILE) {
		t.Errorf("1000 elements for a set of 1: %v, want ENFILE", err)
	}
	wantUnused(t, table, many[0].Pinhole, false)

	// Fill the buffer with answers to questions, so that there is no room for the
	// acknowledgement.
	for range 100 {
		if _, err := unix.Write(table.fd, table.out.buf); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, table, opened(active4))
	wantUnused(t, table, active4, true)
}

func TestClosedTable(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	for range 2 {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
	_, unused := table.Unused(active4)
	_, restore := table.Restore()
	for _, err := range []error{table.Commit([]alg.Op{opened(active4)}), unused, restore} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want net.ErrClosed", err)
		}
	}
}

// Several workers share the table.
func TestConcurrentUse(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	var wg sync.WaitGroup
	for worker := range uint16(4) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p := active4
			p.Dest = netip.AddrPortFrom(p.Dest.Addr(), 2000+worker)
			for range 50 {
				if err := table.Commit([]alg.Op{opened(p)}); err != nil {
					t.Error(err)
				}
				wantUnused(t, table, p, true)
				if err := table.Commit([]alg.Op{closed(p)}); err != nil {
					t.Error(err)
				}
				wantUnused(t, table, p, false)
			}
		}()
	}
	wg.Wait()
}

// The packet path has no memory to spare.
func TestCommitAllocates(t *testing.T) {
	inNamespace(t)
	caps, cfg := probe(t), defaults()
	needs(t, caps.Count, "the ct count statement")
	cfg.FTPS = []alg.Ports{ftpsPorts}
	low := active4
	low.SourcePorts = alg.Ports{First: 1, Last: 1023}
	cfg.SourcePorts = append(cfg.SourcePorts, low.SourcePorts)
	table := install(t, cfg, caps)
	needs(t, caps.NAT, "NAT in family inet")
	ops := []alg.Op{opened(as(masked4, clientSide4)), closed(as(masked6, clientSide6)), opened(active4), opened(low), closed(passive6), admitted(range4, time.Minute), revoked(range6)}
	if n := testing.AllocsPerRun(100, func() { commit(t, table, ops...) }); n > 0 {
		t.Errorf("%v allocations a commit", n)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("pinholes=%d", n), func(b *testing.B) { benchmarkCommit(b, n, active4) })
	}
	b.Run("translated=1", func(b *testing.B) { benchmarkCommit(b, 1, masked4) })
}

func benchmarkCommit(b *testing.B, n int, p alg.Pinhole) {
	inNamespace(b)
	table := install(b, defaults(), probe(b))
	var open, shut []alg.Op
	for i := range n {
		p.Dest = netip.AddrPortFrom(p.Dest.Addr(), uint16(2000+i))
		open, shut = append(open, opened(p)), append(shut, closed(p))
	}
	b.ReportAllocs()
	for b.Loop() {
		commit(b, table, open...)
		commit(b, table, shut...)
	}
}
