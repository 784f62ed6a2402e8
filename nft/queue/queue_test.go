package queue

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve runs handle on a queue until the returned function is called, which waits
// for Run.
func serve(t testing.TB, q *Queue, handle func([]Packet) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx, handle) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// acceptAll lets everything pass.
func acceptAll(q *Queue) func([]Packet) error {
	var verdicts []Verdict
	return func(packets []Packet) error {
		verdicts = verdicts[:0]
		for _, p := range packets {
			verdicts = append(verdicts, Verdict{ID: p.ID})
		}
		return q.Verdicts(verdicts)
	}
}

// datagrams reads datagrams until there was none for a while.
func datagrams(t *testing.T, c *net.UDPConn) (all []string) {
	t.Helper()
	b := make([]byte, 1<<16)
	for {
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := c.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b[:n]))
	}
}

// Under load each packet gets its verdict, and one only: accepted packets arrive,
// changed ones arrive changed, dropped ones do not, and nothing is left waiting.
func TestVerdicts(t *testing.T) {
	namespace(t, 1500)
	q := open(t, Config{Number: 7, MaxLen: 4096})
	divert(t, 7)
	to := receiver(t, "127.0.0.1")
	from := sender(t, to)

	const total = 30000
	window := make(chan struct{}, 1024) // what the receiver's buffer and the queue hold
	stop := serve(t, q, func(packets []Packet) error {
		var verdicts []Verdict
		for _, p := range packets {
			<-window
			v := Verdict{ID: p.ID}
			switch n := binary.BigEndian.Uint32(p.Data[28:]); n % 3 {
			case 1:
				v.Drop = true
			case 2: // one byte longer
				v.Data = append(p.Data, '!')
				binary.BigEndian.PutUint16(v.Data[2:], uint16(len(v.Data)))
				binary.BigEndian.PutUint16(v.Data[24:], uint16(len(v.Data)-20))
				binary.BigEndian.PutUint16(v.Data[26:], 0) // no UDP checksum
				fixIPv4(v.Data)
			}
			verdicts = append(verdicts, v)
		}
		return q.Verdicts(verdicts)
	})
	go func() {
		for n := range uint32(total) {
			window <- struct{}{}
			if _, err := from.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
				t.Error(err)
			}
		}
	}()
	seen := make(map[uint32]int)
	for _, d := range datagrams(t, to) {
		n := binary.BigEndian.Uint32([]byte(d))
		seen[n] = len(d)
	}
	stop()
	for n := range uint32(total) {
		if want := []int{4, 0, 5}[n%3]; seen[n] != want {
			t.Fatalf("datagram %d arrived with %d bytes, want %d", n, seen[n], want)
		}
	}
	if p, ok := readProc(t, 7); !ok || p != (proc{last: total}) {
		t.Errorf("the kernel's counters: %+v, %t", p, ok)
	}
	c := q.Counters()
	t.Logf("%.1f packets a batch", float64(c.Packets)/float64(c.Batches))
	c.Batches = 0
	if c != (Counters{Packets: total}) {
		t.Errorf("counters: %+v", c)
	}
}

// fixIPv4 makes the header checksum good (RFC 1071).
func fixIPv4(b []byte) {
	b[10], b[11] = 0, 0
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
}

// A stream passes whole, and its segments reach us split and with their checksums
// finished.
func TestTCP(t *testing.T) {
	namespace(t, 1500)
	q := open(t, Config{Number: 7, MaxLen: 4096})
	divert(t, 7)
	l, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", divertedPort))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var longest int
	stop := serve(t, q, func(packets []Packet) error {
		for _, p := range packets {
			longest = max(longest, len(p.Data))
		}
		return acceptAll(q)(packets)
	})
	sent := make([]byte, 8<<20)
	_, _ = rand.Read(sent)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = c.Write(sent)
		_ = c.Close()
	}()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes arrived, or others: %v", len(got), len(sent), err)
	}
	stop()
	if longest != 1500 {
		t.Errorf("the longest packet has %d bytes, want those of the MTU", longest)
	}
}

// The rule stands before the daemon is back, and there is traffic. go-nfqueue's
// registration is not upset by it, and what came in between is handed over.
func TestOpenUnderTraffic(t *testing.T) {
	namespace(t, 1500)
	// Each queue's socket gets another address. With that of the one before, the process's
	// number, it may get a packet of that one's queue: nfqnl_enqueue_packet, under way, ends its
	// work on an instance that was destroyed meanwhile.
	taken, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(taken) }()
	if err := unix.Bind(taken, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: uint32(os.Getpid())}); err != nil {
		t.Fatal(err)
	}
	divert(t, 7)
	to := receiver(t, "127.0.0.1")
	from := sender(t, to)
	var done atomic.Bool
	go func() {
		for !done.Load() {
			_, _ = from.Write([]byte("x"))
		}
	}()
	defer done.Store(true)
	early := 0
	for range 50 {
		q, err := Open(Config{Number: 7})
		if err != nil {
			t.Fatal(err)
		}
		early += len(q.sock.early)
		enough := make(chan struct{})
		var once sync.Once
		stop := serve(t, q, func(packets []Packet) error {
			if q.Counters().Packets > 100 {
				once.Do(func() { close(enough) })
			}
			return acceptAll(q)(packets)
		})
		<-enough
		stop()
		if c := q.Counters(); c.Late+c.Refused+c.Nameless > 0 {
			t.Errorf("counters: %+v", c)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d packets came while a queue was being configured", early)
}

// Verdicts may come after the packets were handed over. What has none when the queue is closed
// is dropped by the kernel.
func TestHeldPackets(t *testing.T) {
	namespace(t, 1500)
	q, err := Open(Config{Number: 7})
	if err != nil {
		t.Fatal(err)
	}
	divert(t, 7)
	to := receiver(t, "127.0.0.1")
	from := sender(t, to)
	for i := range 4 {
		_, _ = fmt.Fprintf(from, "%d", i)
	}
	var held []Packet
	if err := q.Drain(func(packets []Packet) error {
		held = append(held, packets...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(held) != 4 {
		t.Fatalf("%d packets were handed over, want 4", len(held))
	}
	if err := q.Verdicts([]Verdict{{ID: held[2].ID}, {ID: held[0].ID}}); err != nil {
		t.Fatal(err)
	}
	if p, _ := readProc(t, 7); p.waiting != 2 {
		t.Errorf("the kernel's counters: %+v, want 2 waiting", p)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(datagrams(t, to), " "); got != "2 0" {
		t.Errorf("%q arrived, want 2 and 0", got)
	}
	if _, ok := readProc(t, 7); ok {
		t.Error("the queue is still bound")
	}
}
