package alg

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

type leakKernel struct {
	r    *rand.Rand
	open map[Pinhole]bool
}

func (k *leakKernel) Commit(ops []Op) error {
	if k.r.IntN(20) == 0 {
		return errors.New("no")
	}
	for _, o := range ops {
		switch o.Kind {
		case OpOpen:
			k.open[o.Pinhole] = true
		case OpClose:
			delete(k.open, o.Pinhole)
		}
	}
	return nil
}

func (k *leakKernel) Unused(p Pinhole) (bool, error) {
	if k.r.IntN(10) == 0 {
		return false, errors.New("no")
	}
	return k.open[p] && k.r.IntN(2) == 0, nil
}
func (k *leakKernel) ID(f Flow) (uint32, bool, error) { return 1, k.r.IntN(50) > 0, nil }
func (k *leakKernel) Vouch(Flow, bool) error {
	if k.r.IntN(10) == 0 {
		return errors.New("no")
	}
	return nil
}

func leakPacket(from, to netip.AddrPort, seq, ack uint32, flags uint8, payload string) []byte {
	p := tcp.Reset(from, to, seq, ack)
	header := len(p) - 20
	p[header+13] = flags
	p = append(p, payload...)
	if from.Addr().Is4() {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
	}
	seg, _ := tcp.Parse(p)
	seg.SetChecksum()
	return p
}

// Random traffic, then Stop: nothing may be left, and each packet has one verdict.
func TestNothingIsLeft(t *testing.T) {
	cl := []string{
		"USER u\r\n", "PASS p\r\n", "PORT 10,1,4,4,39,15\r\n", "PORT 10,1,4,4,39,16\r\n", "PORT 10,1,4,4,0,16\r\n", "RETR x\r\n", "PASV\r\n", "EPSV\r\n",
		"AUTH TLS\r\n", "\x16\x03\x01", "ABOR\r\n", "QUIT\r\n", "STAT q\r\n", "NOOP\r\n", "NO", "\r\n", "X\r\n", "REIN\r\n", "EPRT |2|fd00::4|9999|\r\n",
	}
	sv := []string{"220 x\r\n", "230 x\r\n", "230 x\r\n", "200 x\r\n", "200 x\r\n", "150 x\r\n", "226 x\r\n", "425 x\r\n", "227 (10,2,5,5,180,117)\r\n", "229 x (|||50001|)\r\n", "234 x\r\n", "\x16\x03\x03", "421 x\r\n", "noise\r\n", "2"}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		k := &leakKernel{r, map[Pinhole]bool{}}
		p := DefaultPolicy()
		p.MaxSessions, p.MaxSessionsPerClient = 12, 5
		p.DenyTLS, p.Reset, p.RequireLogin = r.IntN(3) == 0, r.IntN(3) == 0, r.IntN(3) > 0
		p.Loose, p.OpenOnPort = r.IntN(4) == 0, r.IntN(3) == 0
		if r.IntN(2) == 0 {
			p.FTPSPorts = Ports{First: 50000, Last: 50100}
		}
		l := NewLimits(p.MaxSessions, p.MaxSessionsPerClient)
		w := NewWorker(WorkerConfig{Policy: p, Pinholes: k, Flows: k, Limits: l, Sink: func(Event) {}, Vouched: func(Flow) bool { return r.IntN(10) == 0 }})
		now := time.Unix(1e9, 0)
		verdicts := map[uint64]int{}
		id := uint64(0)
		take := func(res Result) {
			for _, v := range res.Verdicts {
				verdicts[v.ID]++
			}
			if r.IntN(10) > 0 {
				w.Settle(now)
			}
		}
		type conn struct {
			f    Flow
			next [2]uint32
			up   bool
		}
		var conns []*conn
		for i := range 16 {
			c := netip.MustParseAddr([]string{"10.1.4.4", "10.1.4.5", "fd00::4", "fd00::1:4"}[i%4])
			s := netip.MustParseAddr("10.2.5.5")
			if c.Is6() {
				s = netip.MustParseAddr("fd01::5")
			}
			conns = append(conns, &conn{f: Flow{netip.AddrPortFrom(c, uint16(4000+i/8)), netip.AddrPortFrom(s, 21)}, next: [2]uint32{r.Uint32(), r.Uint32()}})
		}
		for range 3000 {
			var batch []Packet
			for range 1 + r.IntN(4) {
				c := conns[r.IntN(len(conns))]
				d := side(r.IntN(2))
				from, to, in, out := c.f.Client, c.f.Server, uint32(3), uint32(4)
				if d == fromServer {
					from, to, in, out = to, from, out, in
				}
				if r.IntN(100) == 0 {
					in = 9
				}
				seq, ack, flags, text := c.next[d], c.next[1-d], tcp.ACK, ""
				switch {
				case !c.up || r.IntN(100) == 0:
					c.up = true
					c.next = [2]uint32{r.Uint32(), r.Uint32()}
					id++
					batch = append(batch, Packet{ID: id, Data: leakPacket(c.f.Client, c.f.Server, c.next[0]-1, 0, tcp.SYN, ""), In: 3, Out: 4})
					id++
					batch = append(batch, Packet{ID: id, Data: leakPacket(c.f.Server, c.f.Client, c.next[1]-1, c.next[0], tcp.SYN|tcp.ACK, ""), In: 4, Out: 3})
					continue
				case r.IntN(150) == 0:
					flags |= tcp.RST
				case r.IntN(150) == 0:
					flags |= tcp.FIN
				default:
					text = cl[r.IntN(len(cl))]
					if d == fromServer {
						text = sv[r.IntN(len(sv))]
					}
					switch r.IntN(12) {
					case 0:
						seq += uint32(r.IntN(2000))
					case 1:
						seq -= uint32(r.IntN(50))
					case 2:
						ack += uint32(r.IntN(100))
						c.next[d] += uint32(len(text))
					default:
						c.next[d] += uint32(len(text))
					}
				}
				id++
				batch = append(batch, Packet{ID: id, Data: leakPacket(from, to, seq, ack, flags, text), In: in, Out: out})
			}
			take(w.Batch(now, batch))
			now = now.Add(time.Duration(r.IntN(200)) * time.Millisecond)
			if r.IntN(200) == 0 {
				now = now.Add(time.Duration(r.IntN(700)) * time.Second)
			}
			if r.IntN(3) == 0 {
				take(w.Tick(now))
			}
		}
		neg := false
		for _, c := range l.clients {
			neg = neg || c.held.Load() < 0
		}
		if neg {
			t.Errorf("seed %d: a client's held bytes are negative while it has sessions", seed)
		}
		if r.IntN(2) == 0 {
			take(w.Stop(now))
		} else {
			res, _ := w.Suspend(now)
			take(res)
		}
		w.Settle(now)
		for i := uint64(1); i <= id; i++ {
			if verdicts[i] != 1 {
				t.Fatalf("seed %d: packet %d has %d verdicts", seed, i, verdicts[i])
			}
		}
		timers := w.handshaking.n + w.loggingIn.n + w.idle.n + w.ending.n + w.calm.n + w.opened.n + len(w.holding) + w.admitted.n
		if len(w.sessions)+len(w.pinholes)+len(w.nearby)+len(w.ranges)+timers+len(w.leaving)+len(w.after)+len(w.trusted) != 0 {
			t.Fatalf("seed %d: left: %d sessions, %d pinholes, %d nearby, %d ranges, %d timers %d %d %d", seed, len(w.sessions), len(w.pinholes), len(w.nearby), len(w.ranges), timers, len(w.leaving), len(w.after), len(w.trusted))
		}
		if l.sessions != 0 || len(l.clients) != 0 || l.held.Load() != 0 || l.memory.Load() != 0 {
			t.Fatalf("seed %d: limits: %d sessions, %d clients, %d held, %d memory", seed, l.sessions, len(l.clients), l.held.Load(), l.memory.Load())
		}
		// what failed at the stop is tried again, until its time-out
		for range 400 {
			now = now.Add(100 * time.Millisecond)
			w.Tick(now)
			w.Settle(now)
		}
		if len(w.again) != 0 {
			t.Fatalf("seed %d: %d to be tried again", seed, len(w.again))
		}
	}
}

// A packet held before the greeting is given back to a client that it was not counted for.
func TestHeldIsGivenBackToTheWrongOne(t *testing.T) {
	p := DefaultPolicy()
	l := NewLimits(10, 10)
	k := &leakKernel{rand.New(rand.NewPCG(1, 1)), map[Pinhole]bool{}}
	w := NewWorker(WorkerConfig{Policy: p, Pinholes: k, Limits: l, Sink: func(Event) {}})
	f := Flow{netip.MustParseAddrPort("10.1.4.4:4000"), netip.MustParseAddrPort("10.2.5.5:21")}
	now := time.Unix(1e9, 0)
	send := func(d side, seq, ack uint32, flags uint8, text string) {
		from, to, in, out := f.Client, f.Server, uint32(3), uint32(4)
		if d == fromServer {
			from, to, in, out = to, from, out, in
		}
		w.Batch(now, []Packet{{ID: 1, Data: leakPacket(from, to, seq, ack, flags, text), In: in, Out: out}})
		w.Settle(now)
	}
	send(fromClient, 99, 0, tcp.SYN, "")
	send(fromServer, 199, 100, tcp.SYN|tcp.ACK, "")
	for i := range uint32(60) {
		send(fromClient, 101+i, 200, tcp.ACK, "x") // waits for byte 100
	}
	send(fromServer, 200, 100, tcp.ACK, "220 x\r\n")
	now = now.Add(2 * time.Second)
	w.Tick(now)
	for _, c := range l.clients {
		if n := c.held.Load(); n != 0 {
			t.Errorf("held of the client: %d", n)
		}
	}
}
