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
	defer serve(b, q, accept(q))()
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
	defer serve(b, q, accept(q))()
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
