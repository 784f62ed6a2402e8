package alg_test

import (
	"fmt"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// BenchmarkPacket is the cost of one packet of a dialogue, a command or its reply, beside
// how many other sessions. It does not grow with them.
func BenchmarkPacket(b *testing.B) {
	for _, sessions := range []int{10, 100_000} {
		b.Run(fmt.Sprint(sessions), func(b *testing.B) { benchmarkPacket(b, sessions) })
	}
}

func benchmarkPacket(b *testing.B, sessions int) {
	const active, chunk = 10, 2000
	x := newWire(b)
	crowd(x, sessions-active, func(int) bool { return false })
	var busy []*wire
	for i := range active {
		busy = append(busy, x.from("10.63.0.1", uint16(20000+i)).login())
	}
	if got := x.sessions(); got != sessions {
		b.Fatalf("%d sessions, want %d", got, sessions)
	}
	packets := make([]alg.Packet, 0, chunk)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += len(packets) {
		b.StopTimer()
		packets = packets[:0]
		for i := 0; i < chunk && done+i < b.N; i++ {
			y := busy[i/2%active]
			d, line := fromClient, "NOOP\r\n"
			if i%2 == 1 {
				d, line = fromServer, "200 NOOP ok.\r\n"
			}
			p := y.build(d, y.next[d], y.next[d.other()], tcp.ACK|tcp.PSH, line)
			y.next[d] += uint32(len(line))
			x.id++
			packets = append(packets, alg.Packet{ID: x.id, Data: p, In: y.in[d], Out: y.out[d]})
		}
		b.StartTimer()
		for i := range packets {
			x.w.Batch(x.now, packets[i:i+1])
			x.w.Settle(x.now)
		}
		if len(packets)%2 == 1 { // the command has its answer in the next round
			b.StopTimer()
			busy[len(packets)/2%active].s("200 NOOP ok.")
			b.StartTimer()
		}
	}
}

// BenchmarkTransfer is the cost of a whole active transfer: the announcement, its answer,
// the command, and what ends it.
func BenchmarkTransfer(b *testing.B) {
	x := newWire(b).login()
	x.lean = true
	b.ReportAllocs()
	for b.Loop() {
		x.port()
		x.retr()
		x.kernel.use(x.hole(46197))
		x.s("150 x", "226 x")
	}
}
