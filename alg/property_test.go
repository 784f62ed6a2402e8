package alg

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// The words that dialogues are made of: what a session reacts to, and what looks
// like it.
var (
	clientWords = []string{
		"USER u\r\n", "PASS p\r\n", "ACCT a\r\n", "REIN\r\n", "QUIT\r\n", "ABOR\r\n", "\xff\xf4\xff\xf2ABOR\r\n",
		port46197 + "\r\n", "PORT 10,1,4,4,190,1\n", "PORT 10,1,4,5,190,1\r\n", "PORT 10,1,4,4,0,22\r\n", "PORT \r\n",
		"EPRT |1|10.1.4.4|46197|\r\n", "PASV\r\n", "EPSV\r\n", "EPSV ALL\r\n", "EPSV 2\r\n", "LPRT x\r\n",
		"RETR x\r\n", "LIST\r\n", "STOR x\r\n", "NOOP\r\n", "AUTH TLS\r\n", "SITE PORT 1\r\n", "XYZZY\r\n",
		"SITE " + strings.Repeat("A", 5000) + "\r\n", "PORT 10,1,4,4,1\r80,117\r\n",
	}
	serverWords = []string{
		"220 hello\r\n", "120 wait\r\n", "331 p\r\n", "230 in\r\n", "332 a\r\n", "200 ok\r\n", "200-a\r\n227 (10,2,5,5,1,1)\r\n200 b\r\n",
		"227 (10,2,5,5,180,117)\r\n", "227 =10,2,5,5,180,118\n", "229 (|||46199|)\r\n", "229 (|||22|)\r\n", "150 x\r\n", "226 x\r\n", "226 x\r\n",
		"425 x\r\n", "426 x\r\n", "500 x\r\n", "530 x\r\n", "421 x\r\n", "502-x\r\n502 x\r\n", "211-x\r\n", "211 x\r\n", "noise\r\n",
		"550 " + strings.Repeat("B", 5000) + "\r\n",
	}
)

// turn is what one side says before the other speaks again.
type turn struct {
	d    side
	text string
}

// anyDialogue draws a dialogue that begins well more often than not.
func anyDialogue(t *rapid.T) []turn {
	var turns []turn
	if rapid.IntRange(0, 9).Draw(t, "start") > 0 {
		turns = append(turns, turn{fromServer, "220 hello\r\n"}, turn{fromClient, "USER u\r\n"}, turn{fromServer, "230 in\r\n"})
	}
	for range rapid.IntRange(1, 12).Draw(t, "turns") {
		d := side(rapid.IntRange(0, 1).Draw(t, "side"))
		words := clientWords
		if d == fromServer {
			words = serverWords
		}
		n := rapid.IntRange(1, 3).Draw(t, "words")
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), n, n).Draw(t, "text"), "")
		turns = append(turns, turn{d, text})
	}
	return turns
}

// decisions is all that a worker decided: what it told, and what it had committed.
func (x *wire) decisions() string {
	return fmt.Sprintf("%s\n%v", x.told(), x.kernel.log)
}

func TestAnySplitGivesTheSameDecisions(t *testing.T) {
	for _, tls := range []bool{false, true} {
		rapid.Check(t, func(rt *rapid.T) {
			turns := anyDialogue(rt)
			policy := func(p *Policy) { p.DenyTLS = tls }
			whole, split := newWire(t, policy).connect(), newWire(t, policy).connect()
			var sent, arrived [2]bytes.Buffer
			for _, tn := range turns {
				whole.say(tn.d, tn.text)
				for rest := tn.text; rest != ""; {
					n := rapid.IntRange(1, min(len(rest), 40)).Draw(rt, "n")
					if len(rest) > 200 {
						n = rapid.IntRange(1, len(rest)).Draw(rt, "n")
					}
					id := split.say(tn.d, rest[:n])
					split.wantVerdict(id, Accept)
					arrived[tn.d].WriteString(split.payload(id, rest[:n]))
					rest = rest[n:]
				}
				id := whole.id
				sent[tn.d].WriteString(whole.payload(id, tn.text))
			}
			if whole.decisions() != split.decisions() {
				rt.Fatalf("%q\nwhole:\n%s\nsplit:\n%s", turns, whole.decisions(), split.decisions())
			}
			for d := range sent {
				if !bytes.Equal(sent[d].Bytes(), arrived[d].Bytes()) {
					rt.Fatalf("whole, %q arrived; split, %q", sent[d].String(), arrived[d].String())
				}
			}
		})
	}
}

// Packets that no receiver accepts, whoever forged them, change no decision.
func TestForgedPacketsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		turns := anyDialogue(rt)
		clean, forged := newWire(t).connect(), newWire(t).connect()
		for _, tn := range turns {
			clean.say(tn.d, tn.text)
			forged.say(tn.d, tn.text)
			d := side(rapid.IntRange(0, 1).Draw(rt, "forged side"))
			seq, ack := forged.next[d], forged.next[d.other()]
			far := rapid.Uint32Range(1<<21, 1<<31).Draw(rt, "far")
			text := rapid.SampledFrom(append(slices.Clone(clientWords), serverWords...)).Draw(rt, "forged text")
			var p []byte
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0:
				p = forged.build(d, seq+far, ack, tcp.ACK, text)
			case 1:
				p = forged.build(d, seq, ack, tcp.PSH, text) // no ACK
			case 2:
				p = forged.build(d, seq, ack, tcp.ACK, text)
				p[len(p)-1] ^= 0x55 // checksum
			case 3:
				p = forged.build(fromServer, forged.next[fromServer]+far, far, tcp.SYN|tcp.ACK, "")
			case 4:
				p = forged.build(d, seq+far, 0, tcp.RST, "")
			}
			forged.packet(p)
		}
		if clean.decisions() != forged.decisions() {
			rt.Fatalf("%q\nclean:\n%s\nforged:\n%s", turns, clean.decisions(), forged.decisions())
		}
	})
}

// payload is what arrived of a segment.
func (x *wire) payload(id uint32, sent string) string {
	if v := x.verdicts[id]; v.Data != nil {
		seg, err := tcp.Parse(v.Data)
		if err != nil || !seg.ChecksumOK() {
			x.t.Fatalf("packet %d went out broken: %v", id, err)
		}
		return string(seg.Payload)
	}
	return sent
}

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
		sent := map[uint32][]byte{}
		deliver := func() {
			for _, id := range x.order {
				if v := x.verdicts[id]; v.Action == Accept && sent[id] != nil {
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
			x.packet(p)
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
		if x.w.Stats().Lost > 0 || x.count(NotFTP) > 0 {
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
	policy := func(p *Policy) { p.DenyTLS, p.Reset = strict, strict; p.RequireLogin = strict }
	x := newWire(t, policy).connect()
	y := newWireBetween(t, "fd00:1::4", "fd00:2::5", policy)
	y.w, y.kernel = x.w, x.kernel
	looks := &asking{kernel: x.kernel}
	x.w.Pinholes = looks
	for n := 0; len(data) >= 4 && n < 400; n++ {
		kind, flags, jump, size := data[0], data[1], int8(data[2]), int(data[3])
		switch flags { // what the packet filter does is a part of the plan, too
		case 0xee:
			x.kernel.fail = func([]Op) error { return errKernel }
		case 0xed:
			x.kernel.fail = nil
		case 0xec:
			for p := range x.kernel.open {
				x.kernel.use(p)
			}
		}
		told, asked := len(x.events), looks.asked
		data = data[4:]
		size = min(size, len(data))
		body := string(data[:size])
		data = data[size:]
		if kind&1 == 0 {
			x.packet([]byte(body))
			continue
		}
		z, d := x, side(kind>>1&1)
		if kind&4 != 0 {
			y.id = x.id
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
		z.packet(p)
		if z == y {
			x.id = y.id
			for id, v := range y.verdicts {
				x.verdicts[id] = v
			}
		}
		if len(x.events)-told > 200 || looks.asked-asked > 20 {
			t.Fatalf("one packet cost %d events and %d questions", len(x.events)-told, looks.asked-asked)
		}
		if kind&0xf0 == 0xf0 {
			x.wait(time.Duration(jump&0x7f) * tick)
		}
	}
	x.kernel.fail = nil
	x.take(x.w.Stop(x.now))
	x.wait(x.w.Policy.Timeout + tick)
	if open, closed := x.opened(), x.closed(); open != closed {
		t.Fatalf("%d pinholes opened, %d closed:\n%s", open, closed, x.told())
	}
	if len(x.verdicts) != int(x.id) {
		t.Fatalf("%d verdicts for %d packets", len(x.verdicts), x.id)
	}
	if n := x.w.Limits.held.Load(); n != 0 || x.w.Sessions() != 0 {
		t.Fatalf("%d bytes and %d sessions left", n, x.w.Sessions())
	}
	if len(x.kernel.open) != 0 {
		t.Fatalf("left open: %v", x.kernel.open)
	}
	for _, p := range x.kernel.opened {
		wantInPolicy(t, &x.w.Policy, p, x.flow, y.flow)
	}
}

// opened and closed count what was told of pinholes that were in force.
func (x *wire) opened() int { return x.count(PinholeOpen) }

func (x *wire) closed() (n int) {
	for _, e := range x.events {
		if e.Kind == PinholeClosed && !e.OpenedAt.IsZero() {
			n++
		}
	}
	return n
}

// wantInPolicy checks a pinhole against all that the policy says, by itself.
func wantInPolicy(t *testing.T, policy *Policy, p Pinhole, flows ...Flow) {
	t.Helper()
	own := slices.ContainsFunc(flows, func(f Flow) bool {
		if p.Mode == Active {
			return p.Dest.Addr() == f.Client.Addr() && p.Source == f.Server.Addr() && p.SourcePort == policy.SourcePort
		}
		return p.Dest.Addr() == f.Server.Addr() && p.Source == f.Client.Addr() && p.SourcePort == 0
	})
	port := p.Dest.Port()
	if !own || port < policy.MinPort || slices.Contains(policy.DenyPorts, port) {
		t.Fatalf("opened %v", p)
	}
}
