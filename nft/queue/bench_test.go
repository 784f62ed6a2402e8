package queue

import (
	"testing"
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
	b.ReportAllocs()
	for b.Loop() {
		if _, err := from.Write(data); err != nil {
			b.Fatal(err)
		}
		if _, err := to.Read(data); err != nil {
			b.Fatal(err)
		}
	}
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
