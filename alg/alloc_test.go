package alg_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// spoken is what one side says in a segment.
type spoken struct {
	d    side
	text string
}

// packets builds a dialogue again and again, each time with the numbers that follow.
func (x *wire) packets(times int, dialogue ...spoken) []alg.Packet {
	var all []alg.Packet
	for range times {
		for _, say := range dialogue {
			p := x.build(say.d, x.next[say.d], x.next[say.d.other()], tcp.ACK|tcp.PSH, say.text)
			x.next[say.d] += uint32(len(say.text))
			x.id++
			all = append(all, alg.Packet{ID: x.id, Data: p, In: x.in[say.d], Out: x.out[say.d]})
		}
	}
	return all
}

// In the steady state nothing is taken from the heap: not for a command and its reply, and
// not for a whole transfer, from its announcement to its end.
func TestNoAllocation(t *testing.T) {
	const warm, runs = 20, 200
	for name, dialogue := range map[string][]spoken{
		"NOOP": {{fromClient, "NOOP\r\n"}, {fromServer, "200 NOOP ok.\r\n"}},
		"active transfer": {
			{fromClient, port46197 + "\r\n"},
			{fromServer, ok200 + "\r\n"},
			{fromClient, "RETR x\r\n"},
			{fromServer, "150 x\r\n"},
			{fromServer, "226 x\r\n"},
		},
		"passive transfer": {
			{fromClient, "EPSV\r\n"},
			{fromServer, "229 x (|||50000|)\r\n"},
			{fromClient, "RETR x\r\n"},
			{fromServer, "150 x\r\n"},
			{fromServer, "226 x\r\n"},
		},
	} {
		x := newWire(t).login()
		x.lean = true
		packets := x.packets(warm+runs+1, dialogue...)
		opened := 0
		once := func() {
			for range dialogue {
				x.w.Batch(x.now, packets[:1])
				for _, p := range []alg.Pinhole{x.hole(46197), x.passive(50000)} {
					if x.kernel.use(p) { // the connection comes at once
						opened++
					}
				}
				x.w.Settle(x.now)
				packets = packets[1:]
			}
		}
		for range warm {
			once()
		}
		if n := testing.AllocsPerRun(runs, once); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if want := warm + runs + 1; name != "NOOP" && opened != want {
			t.Errorf("%s: %d pinholes were opened, want %d", name, opened, want)
		}
	}
}
