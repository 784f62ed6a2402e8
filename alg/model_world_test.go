package alg_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// many checks a property some thousands of times: what is wrong shows in few of all the
// ways in which two ends can behave.
func many(t *testing.T, property func(*rapid.T)) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for range rounds {
		rapid.Check(t, property)
	}
}

// world is a gateway between an honest host and a hostile one. The hostile one sends what
// it likes in its own name, and in the other's name too, but always from where it is.
type world struct {
	*wire
	host  *host
	acks  bool // segments without data are diverted, too
	fates map[uint64]fate
	done  int // of the verdicts
	rand  *rand.Rand

	renumbered uint32 // what the hostile host says next by other numbers than the true ones
}

// fate is what becomes of a packet that passes.
type fate struct {
	p      []byte
	to     side
	short  bool   // its time to live ends between the gateway and the honest host
	window uint32 // what it offers
}

func newWorld(rt *rapid.T, honest side) *world {
	seed := rapid.Uint64().Draw(rt, "seed") // numbers that nobody can guess
	m := &world{
		wire: newWire(rt), host: &host{side: honest}, acks: rapid.Bool().Draw(rt, "acks"),
		fates: map[uint64]fate{}, rand: rand.New(rand.NewPCG(seed, 7)),
	}
	m.host.iss = m.rand.Uint32()
	return m
}

// send puts a packet of one side on its way by that side's path.
func (m *world) send(d side, seq, ack uint32, flags uint8, text string, short bool, window uint32) {
	m.route(m.in[d], m.out[d], d, m.build(d, seq, ack, flags, text), short, window)
}

func (m *world) route(in, out uint32, d side, p []byte, short bool, window uint32) {
	f := fate{p, d.other(), short, window}
	seg, err := tcp.Parse(p)
	if err != nil {
		m.t.Fatalf("a packet of the model: %v", err)
	}
	bare := len(seg.Payload) == 0 && seg.Flags&(tcp.SYN|tcp.FIN|tcp.RST) == 0
	if m.released() && (!seg.Has(tcp.SYN) || seg.Has(tcp.ACK)) || bare && !m.acks {
		m.arrive(f, p)
		return
	}
	m.fates[m.by(in, out, p)] = f
	m.deliver()
}

// released reports whether the packets of the connection are not diverted any more.
func (m *world) released() bool {
	n := len(m.kernel.log)
	return n > 0 && m.kernel.log[n-1].Kind == alg.OpRelease
}

// deliver has what passed arrive.
func (m *world) deliver() {
	for m.done < len(m.order) {
		id := m.order[m.done]
		m.done++
		v, f := m.verdicts[id], m.fates[id]
		delete(m.fates, id)
		switch {
		case f.p == nil || v.Drop:
		case v.Data != nil:
			m.arrive(f, v.Data)
		default:
			m.arrive(f, f.p)
		}
	}
}

func (m *world) arrive(f fate, p []byte) {
	if f.short || f.to != m.host.side {
		return
	}
	seg, err := tcp.Parse(p)
	if err != nil {
		m.t.Fatalf("a packet that passed: %v", err)
	}
	for _, a := range m.host.receive(&seg, f.window) {
		m.send(m.host.side, a.seq, a.ack, a.flags, "", false, 65535)
	}
}

// speak has the honest host send some bytes.
func (m *world) speak(n int, again bool) {
	seq, b := m.host.next(n, again)
	if len(b) > 0 {
		m.send(m.host.side, seq, m.host.rcv, tcp.ACK|tcp.PSH, string(b), false, 65535)
	}
}

// pass lets time pass.
func (m *world) pass(ticks int) {
	for range ticks {
		m.wait(tick)
		m.deliver()
	}
}
