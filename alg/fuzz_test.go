package alg_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// FuzzStream cuts what a client says into segments that overlap, repeat, go missing
// and come out of order, some with other bytes, and compares what the worker made of
// them with what the server, who got what passed, must have read.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 5, 5, 10, 3, 30, 0, 60, 40, 20})
	f.Add([]byte{0, 60, 0, 60, 10, 2, 9, 9, 128, 7})
	f.Fuzz(func(t *testing.T, plan []byte) {
		text := port46197 + "\r\nRETR x\r\nNOOP\r\nPORT 10,1,4,4,190,1\r\nLIST\r\n"
		x := newWire(t).login()
		base := x.next[fromClient]
		server := receiver{next: base}
		sent := map[uint64][]byte{}
		deliver := func() {
			for _, id := range x.order {
				if v := x.verdicts[id]; !v.Drop && sent[id] != nil {
					p := sent[id]
					if v.Data != nil {
						p = v.Data
					}
					seg, _ := tcp.Parse(p)
					server.take(seg.Seq, seg.Payload)
				}
			}
			x.order = nil
		}
		for i := 0; i+1 < len(plan) && i < 200; i += 2 {
			from := int(plan[i]) % len(text)
			to := min(from+int(plan[i+1]&0x3f)+1, len(text))
			payload := []byte(text[from:to])
			if plan[i+1]&0xc0 == 0xc0 {
				payload[len(payload)/2] ^= 1 // a rewrite
			}
			p := x.build(fromClient, base+uint32(from), x.next[fromServer], tcp.ACK, string(payload))
			before := slices.Clone(p)
			sent[x.id+1] = before
			x.packet(fromClient, p)
			deliver()
			if plan[i+1]&0xc0 == 0x80 {
				x.wait(1200 * time.Millisecond)
				deliver()
			}
		}
		x.take(x.w.Stop(x.now))
		if len(x.verdicts) != int(x.id) {
			t.Fatalf("%d verdicts for %d packets", len(x.verdicts), x.id)
		}
		plain := newWire(t).login()
		plain.say(fromClient, string(server.read))
		plain.take(plain.w.Stop(plain.now))
		if x.stat("lost") > 0 || x.count(alg.NotFTP) > 0 {
			// Bytes went by, or were no FTP as they came: less may open, and no more.
			for _, p := range x.kernel.opened {
				if !slices.Contains(plain.kernel.opened, p) {
					t.Fatalf("the server read %q: opened was %v\n%s%+v", server.read, p, x.told(), x.w.Stats())
				}
			}
			return
		}
		if !slices.Equal(plain.kernel.opened, x.kernel.opened) {
			t.Fatalf("the server read %q: that opens %v, opened was %v\n%s%+v", server.read, plain.kernel.opened, x.kernel.opened, x.told(), x.w.Stats())
		}
	})
}

// receiver is the plainest receiver there is: what came first at a place stays.
type receiver struct {
	next  uint32
	read  []byte
	later map[uint32]byte
}

func (r *receiver) take(seq uint32, payload []byte) {
	if r.later == nil {
		r.later = map[uint32]byte{}
	}
	for i, b := range payload {
		at := seq + uint32(i)
		if _, have := r.later[at]; !have && tcp.Diff(at, r.next) >= 0 {
			r.later[at] = b
		}
	}
	for {
		b, have := r.later[r.next]
		if !have {
			return
		}
		r.read = append(r.read, b)
		delete(r.later, r.next)
		r.next++
	}
}

// FuzzWorker gives a worker arbitrary packets: some not TCP at all, some of a few
// flows whose numbers nearly fit.
func FuzzWorker(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x18220 hello\r\n"))
	f.Add([]byte{0, 0x45, 0, 0, 20, 9, 9, 9})
	f.Add(script(fromServer, "220 x\r\n", fromClient, "USER u\r\n", fromServer, "230 x\r\n",
		fromClient, port46197+"\r\n", fromServer, "200 x\r\n", fromClient, "RETR x\r\n", fromServer, "226 x\r\n"))
	f.Add(script(fromServer, "220 x\r\n", fromClient, "USER u\r\n", fromServer, "230 x\r\n",
		fromClient, "PASV\r\n", fromServer, "227 (10,2,5,5,9,9)\r\n", fromClient, "AUTH TLS\r\n", fromServer, "234 x\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, strict := range []bool{false, true} {
			fuzzWorker(t, data, strict)
		}
	})
}

// script is a dialogue in the form that FuzzWorker takes.
func script(parts ...any) []byte {
	var b []byte
	for i := 0; i+1 < len(parts); i += 2 {
		text := parts[i+1].(string)
		b = append(b, 1|byte(parts[i].(side))<<1, 0x18, 0, byte(len(text)))
		b = append(b, text...)
	}
	return b
}

func fuzzWorker(t *testing.T, data []byte, strict bool) {
	x := newWire(t, func(p *alg.Policy) { p.DenyTLS, p.Reset, p.RequireLogin = strict, strict, strict }).connect()
	y := &wire{gateway: x.gateway, policy: x.policy, next: [2]uint32{fromClient: 1000, fromServer: 4294967290}}
	y.between("fd00:1::4", "fd00:2::5", 41138)
	y.connect()
	for n := 0; len(data) >= 4 && n < 400; n++ {
		kind, flags, jump, size := data[0], data[1], int8(data[2]), int(data[3])
		switch flags { // what the packet filter does is a part of the plan, too
		case 0xee:
			x.kernel.fail = func([]alg.Op) error { return errKernel }
		case 0xed:
			x.kernel.fail = nil
		case 0xec:
			for _, p := range x.kernel.holes() {
				x.kernel.use(p)
			}
		}
		told, asked := len(x.events), x.kernel.asked
		data = data[4:]
		size = min(size, len(data))
		body := string(data[:size])
		data = data[size:]
		z, d := x, side(kind>>1&1)
		if kind&1 == 0 {
			x.packet(d, []byte(body))
			continue
		}
		if kind&4 != 0 {
			z = y
		}
		seq := z.next[d] + uint32(int32(jump))
		if jump == 0 {
			z.next[d] += uint32(len(body))
		}
		ack := z.next[d.other()] + uint32(kind>>4)
		p := z.build(d, seq, ack, flags, body)
		if kind&8 != 0 && len(p) > 0 {
			p[int(flags)%len(p)] ^= byte(jump) // broken somewhere
		}
		z.packet(d, p)
		if len(x.events)-told > 200 || x.kernel.asked-asked > 20 {
			t.Fatalf("one packet cost %d events and %d questions", len(x.events)-told, x.kernel.asked-asked)
		}
		if kind&0xf0 == 0xf0 {
			x.wait(time.Duration(jump&0x7f) * tick)
		}
	}
	x.kernel.fail = nil
	x.take(x.w.Stop(x.now))
	x.wait(x.policy.Timeout + tick)
	if open, closed := x.count(alg.PinholeOpen), x.closed(); open != closed {
		t.Fatalf("%d pinholes opened, %d closed:\n%s", open, closed, x.told())
	}
	if n := x.unanswered(); n != 0 {
		t.Fatalf("%d of %d packets without a verdict", n, x.id)
	}
	if n := x.sessions(); n != 0 {
		t.Fatalf("%d sessions left", n)
	}
	if open := x.kernel.holes(); len(open) != 0 {
		t.Fatalf("left open: %v", open)
	}
	for _, p := range x.kernel.opened {
		wantInPolicy(t, &x.policy, p, x.flow, y.flow)
	}
}

// closed counts what was told of pinholes that were in force.
func (g *gateway) closed() (n int) {
	for _, e := range g.events {
		if e.Kind == alg.PinholeClosed && !e.OpenedAt.IsZero() {
			n++
		}
	}
	return n
}

// wantInPolicy checks a pinhole against all that the policy says, by itself.
func wantInPolicy(t *testing.T, policy *alg.Policy, p alg.Pinhole, flows ...alg.Flow) {
	t.Helper()
	own := slices.ContainsFunc(flows, func(f alg.Flow) bool {
		if p.Mode == alg.Active {
			return p.Dest.Addr() == f.Client.Addr() && p.Source == f.Server.Addr() && p.SourcePorts == policy.SourcePort
		}
		return p.Dest.Addr() == f.Server.Addr() && p.Source == f.Client.Addr() && p.SourcePorts.Any()
	})
	port := p.Dest.Port()
	if !own || port < policy.MinPort || slices.Contains(policy.DenyPorts, port) {
		t.Fatalf("opened %v", p)
	}
}
