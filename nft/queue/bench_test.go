package queue

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkRoundTrip is the time from one datagram's departure to its arrival by
// way of the queue: latency, where a batch is a single packet.
func BenchmarkRoundTrip(b *testing.B) {
	namespace(b, 1500)
	q := open(b, Config{Number: 7})
	divert(b, 7)
	to := receiver(b, "127.0.0.1")
	from := sender(b, to)
	defer serve(b, q, acceptAll(q))()
	data := make([]byte, 100)
	in, out := blocking(b, to), blocking(b, from)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unix.Write(out, data); err != nil {
			b.Fatal(err)
		}
		if _, err := unix.Read(in, data); err != nil {
			b.Fatal(err)
		}
	}
}

// blocking returns the connection's socket, which waits in the kernel: the runtime's poller
// takes longer than what is measured, by far where the goroutine has a thread of its own.
func blocking(b *testing.B, c *net.UDPConn) int {
	b.Helper()
	f, err := c.File()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	fd := int(f.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		b.Fatal(err)
	}
	return fd
}

// BenchmarkLoad is the time for each of many datagrams under way at once.
func BenchmarkLoad(b *testing.B) {
	namespace(b, 1500)
	q := open(b, Config{Number: 7, MaxLen: 4096})
	divert(b, 7)
	to := receiver(b, "127.0.0.1")
	from := sender(b, to)
	defer serve(b, q, acceptAll(q))()
	data := make([]byte, 100)
	b.ReportAllocs()
	const window = 256
	for i := 0; b.Loop(); i++ {
		if _, err := from.Write(data); err != nil {
			b.Fatal(err)
		}
		if i < window {
			continue
		}
		if _, err := to.Read(data); err != nil {
			b.Fatal(err)
		}
	}
}

// From the socket to the verdict a packet takes nothing from the heap.
func TestNoAllocation(t *testing.T) {
	namespace(t, 1500)
	q := open(t, Config{Number: 7})
	divert(t, 7)
	to := receiver(t, "127.0.0.1")
	from := sender(t, to)
	data := make([]byte, 100)
	handle := acceptAll(q)
	for _, n := range []int{1, 5} { // packets at a time
		got := 0
		count := func(packets []Packet) error {
			got += len(packets)
			return handle(packets)
		}
		allocs := testing.AllocsPerRun(100, func() {
			for range n {
				if _, err := from.Write(data); err != nil {
					t.Fatal(err)
				}
			}
			if err := q.Drain(count); err != nil {
				t.Fatal(err)
			}
			for range n {
				if _, err := to.Read(data); err != nil {
					t.Fatal(err)
				}
			}
		})
		if allocs != 0 || got != 101*n {
			t.Errorf("%d packets, %d at a time: %v allocations", got, n, allocs)
		}
	}
}
