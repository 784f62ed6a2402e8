package alg_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// arrival is a packet on its way to the gateway.
type arrival struct {
	d side
	p []byte
}

// restless is a gateway that translates, whose packets come in batches, in any order and
// more than once, and whose daemon stops and crashes.
type restless struct {
	*translatedWorld
	config  alg.WorkerConfig
	queue   []arrival    // what waits to be read
	past    [2][]arrival // all that a side has sent
	fin     [2]bool      // a side says nothing more, when it has said all
	mss     [2]int
	saved   []alg.Saved
	reset   bool
	waited  bool // longer than what has to be waits
	stopped bool
	lines   bool // each in a segment of its own
	crashed bool
}

// newRestless returns one whose connection stands.
func newRestless(t tb, p alg.Policy, seen [2]string, mss [2]int, iss [2]uint32) *restless {
	x, n := newTranslated(t, seen[fromClient], seen[fromServer])
	m := &restless{
		translatedWorld: &translatedWorld{wire: x, nat: n, fates: map[uint64]*tcp.Segment{}, routed: map[uint64]side{}, acks: true},
		mss:             mss,
	}
	m.config = alg.WorkerConfig{
		Policy: p, Pinholes: x.kernel, Flows: x.tracking, Translations: n,
		Limits: alg.NewLimits(p.MaxSessions, p.MaxSessionsPerClient),
		Sink:   func(e alg.Event) { x.events = append(x.events, e) },
		Saved: func(f alg.Flow) (alg.Saved, bool) {
			for i, s := range m.saved {
				if s.Flow == f {
					m.saved = slices.Delete(m.saved, i, i+1)
					return s, true
				}
			}
			return alg.Saved{}, false
		},
	}
	m.start(nil)
	for d := range m.ends {
		m.ends[d] = &host{side: side(d), iss: iss[d]}
	}
	client := m.ends[fromClient]
	client.nxt, client.una = client.iss+1, client.iss
	m.send(fromClient, client.iss, 0, tcp.SYN, nil)
	for _, d := range []side{fromServer, fromClient, fromServer} {
		m.flush()
		m.land(d, 0, false)
	}
	if !client.up || !m.ends[fromServer].up {
		t.Fatalf("no connection")
	}
	return m
}

// start starts a daemon.
func (m *restless) start(vouched func(alg.Flow) bool) {
	c := m.config
	c.Outside, c.Vouched = &alg.Outside{}, vouched
	m.w = alg.NewWorker(c)
	m.kernel.until, m.kernel.dnat = map[alg.Pinhole]time.Time{}, nil
}

// send has a side send a segment.
func (m *restless) send(d side, seq, ack uint32, flags uint8, b []byte) {
	p := m.build(d, seq, ack, flags, string(b))
	if flags&tcp.SYN != 0 && m.mss[d] != 0 {
		p = withMSS(m.t, p, m.mss[d])
	}
	a := arrival{d, p}
	m.queue, m.past[d] = append(m.queue, a), append(m.past[d], a)
}

// withMSS gives a SYN the option.
func withMSS(t tb, p []byte, mss int) []byte {
	p = append(p[:len(p):len(p)], 2, 4, byte(mss>>8), byte(mss))
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[20+12] = 6 << 4
	seg, err := tcp.Parse(p)
	if err != nil {
		t.Fatalf("building a SYN: %v", err)
	}
	seg.SetChecksum()
	return p
}

// batch gives the daemon all that waits, and returns what it makes of it.
func (m *restless) batch() alg.Result {
	var packets []alg.Packet
	for _, a := range m.queue {
		m.id++
		seg, err := tcp.Parse(a.p)
		if err != nil {
			m.t.Fatalf("%v", err)
		}
		lent := slices.Clone(a.p)
		seg2 := seg
		m.fates[m.id], m.routed[m.id] = &seg2, a.d
		packets = append(packets, alg.Packet{
			ID: m.id, Data: lent, In: m.in[a.d], Out: m.out[a.d],
			Translated: len(seg.Payload) > 0 || seg.Has(tcp.SYN|tcp.ACK),
		})
	}
	m.queue = nil
	return m.w.Batch(m.now, packets)
}

func (m *restless) flush() { m.settle(m.batch()) }

// settle does what a daemon wants done.
func (m *restless) settle(r alg.Result) {
	at := len(m.injected)
	m.take(r)
	m.collect()
	m.resets(at)
}

// resets takes to both ends what the daemon has said in their names.
func (m *restless) resets(from int) {
	for _, p := range m.injected[from:] {
		seg, err := tcp.Parse(p)
		if err != nil || !seg.ChecksumOK() {
			m.t.Fatalf("a broken reset: %v", err)
		}
		m.reset = true
		switch {
		case seg.Dst == m.flow.Client && seg.Src == m.nat.seen.Server:
			m.ends[fromClient].receive(&seg, 65535)
		case seg.Dst == m.flow.Server && seg.Src == m.nat.seen.Client:
			m.ends[fromServer].receive(&seg, 65535)
		default:
			m.t.Fatalf("a reset from %v to %v", seg.Src, seg.Dst)
		}
	}
}

func (m *restless) pause(d time.Duration) {
	at := len(m.injected)
	m.wait(d)
	m.collect()
	m.resets(at)
}

// absent is what becomes of what comes while there is no daemon.
func (m *restless) absent() {
	for _, a := range m.queue {
		if seg, _ := tcp.Parse(a.p); len(seg.Payload) == 0 {
			m.leave(a.d, &seg)
		}
	}
	m.queue = nil
}

// stop is a clean stop, and a start.
func (m *restless) stop() {
	r, saved := m.w.Suspend(m.now)
	was := m.reset
	m.reset = false
	m.settle(r)
	if m.reset { // what is lost on its way can keep a reset from being exact, and nobody repeats it
		m.ends[fromClient].over, m.ends[fromServer].over = true, true
	}
	m.reset = m.reset || was
	m.saved, m.stopped = append(m.saved, saved...), true
	m.absent()
	m.start(nil)
}

// crash is one that nobody had time for: what was to be answered is not.
func (m *restless) crash() {
	m.batch()
	m.crashed = true
	vouched := m.tracking.vouched
	m.start(func(f alg.Flow) bool { ok := vouched[f]; vouched[f] = false; return ok })
}

// talk has a side send up to n bytes.
func (m *restless) talk(d side, n int, again bool) {
	h := m.ends[d]
	if m.lines { // whole ones
		from := int(h.nxt - h.iss - 1)
		if again {
			from = int(h.una - h.iss - 1)
		}
		rest := h.out[min(max(from, 0), len(h.out)):]
		n = bytes.IndexByte(rest, '\n') + 1
	}
	if m.mss[d.other()] != 0 {
		n = min(n, m.mss[d.other()])
	}
	seq, b := h.next(n, again)
	flags, end := tcp.ACK|tcp.PSH, h.iss+1+uint32(len(h.out))
	last := m.fin[d] && h.up && !h.over && (len(b) > 0 || seq == end && tcp.Diff(h.una, end) <= 0) && seq+uint32(len(b)) == end
	if last {
		flags |= tcp.FIN
		if tcp.Diff(end+1, h.nxt) > 0 {
			h.nxt = end + 1
		}
	}
	if len(b) > 0 || last {
		m.send(d, seq, h.rcv, flags, b)
	}
}

// land has a segment arrive at an end.
func (m *restless) land(d side, i int, keep bool) {
	seg := m.wireTo[d][i]
	if !keep {
		m.wireTo[d] = slices.Delete(slices.Clone(m.wireTo[d]), i, i+1)
	}
	h := m.ends[d]
	if h.up && !h.over && seg.Has(tcp.ACK) && tcp.Diff(seg.Ack, h.nxt) > 0 {
		m.t.Fatalf("an acknowledgement of what was never sent: %d after %d", seg.Ack, h.nxt)
	}
	if m.mss[d] != 0 && len(seg.Payload) > m.mss[d] && !m.stopped && !m.crashed { // another daemon does not know it
		m.t.Fatalf("%d bytes for one who takes %d", len(seg.Payload), m.mss[d])
	}
	for _, a := range h.receive(seg, 65535) {
		m.send(d, a.seq, a.ack, a.flags, nil)
	}
}

func (m *restless) over() bool { return m.ends[fromClient].over || m.ends[fromServer].over }

// What each end reads is what the other said, with each announcement replaced, whatever
// becomes of segments and daemon.
func TestTranslatedDialoguesOutliveTheDaemon(t *testing.T) {
	many(t, func(rt *rapid.T) {
		// The kernel knows where a change begins, and not where it ends: when the daemon goes
		// it must not have half arrived. So then lines are whole, and where it crashes none is
		// sent ahead.
		deaths, ticks := rapid.IntRange(0, 3).Draw(rt, "deaths"), 0
		crashes := deaths > 0 && rapid.Bool().Draw(rt, "crashes")
		p := alg.DefaultPolicy()
		p.DenyTLS = rapid.IntRange(0, 3).Draw(rt, "deny") == 0
		numbers := rapid.SampledFrom([]uint32{7, 0xffffffd0, 1<<31 - 9})
		sizes := rapid.SampledFrom([]int{48, 70, 0, 1460})
		if deaths > 0 {
			sizes = rapid.SampledFrom([]int{0, 1460})
		}
		seen := [2]string{outsideClient, outsideServer} // longer than their own
		if rapid.Bool().Draw(rt, "shorter") {
			seen = [2]string{"1.1.1.1", "2.2.2.2"}
		}
		m := newRestless(rt, p, seen, [2]int{sizes.Draw(rt, "mss"), sizes.Draw(rt, "mss")}, [2]uint32{numbers.Draw(rt, "iss"), numbers.Draw(rt, "iss")})
		m.lines = deaths > 0
		m.acks = rapid.Bool().Draw(rt, "acks")
		client, server := m.ends[fromClient], m.ends[fromServer]
		daemon := &ftpd{offered: map[uint16]bool{}}
		server.out = []byte("220 hello\r\n")
		lockstep := crashes || rapid.Bool().Draw(rt, "lockstep")
		script := []string{"USER u\r\n", "PASS p\r\n"}
		for range rapid.IntRange(1, 12).Draw(rt, "lines") {
			script = append(script, rapid.SampledFrom([]string{
				"NOOP\r\n", "PORT 10,1,4,4,180,117\r\n", "PORT 10,1,4,4,4,1\r\n", "EPRT |1|10.1.4.4|46300|\r\n",
				"PASV\r\n", "EPSV\r\n", "RETR x\r\n", "PWD\r\n", "TYPE I\n", "AUTH TLS\r\n",
			}).Draw(rt, "line"))
		}
		said := 0
		say := func() {
			answered := strings.Count(string(client.read), "\r\n") - 1
			for said < len(script) && (!lockstep || said <= answered) {
				client.out = append(client.out, script[said]...)
				said++
			}
			if said == len(script) && answered >= said {
				m.fin[fromClient] = true
				m.fin[fromServer] = server.fin
			}
		}
		for range rapid.IntRange(0, 120).Draw(rt, "steps") {
			d := side(rapid.IntRange(0, 1).Draw(rt, "side"))
			switch what := rapid.IntRange(0, 19).Draw(rt, "what"); what {
			case 0, 1, 2, 3:
				say()
				m.talk(d, rapid.IntRange(1, 80).Draw(rt, "n"), rapid.IntRange(0, 3).Draw(rt, "again") == 0)
			case 4, 5, 6, 7, 8, 9:
				if k := len(m.wireTo[d]); k > 0 {
					m.land(d, rapid.IntRange(0, k-1).Draw(rt, "which"), rapid.IntRange(0, 7).Draw(rt, "twice") == 0)
				}
			case 10:
				if len(m.wireTo[d]) > 0 {
					m.wireTo[d] = m.wireTo[d][1:]
				}
			case 11:
				if rapid.IntRange(0, 9).Draw(rt, "long") == 0 {
					m.waited = true
					m.pause(1200 * time.Millisecond)
				} else {
					ticks++
					m.waited = m.waited || ticks > 8
					m.pause(tick)
				}
			case 12: // one overtakes another, or is lost
				if k := len(m.queue); k > 0 {
					i := rapid.IntRange(0, k-1).Draw(rt, "one")
					a := m.queue[i]
					m.queue = slices.Delete(m.queue, i, i+1)
					if rapid.Bool().Draw(rt, "last") {
						m.queue = append(m.queue, a)
					}
				}
			case 13: // what was sent comes once more
				if k := len(m.past[d]); k > 1 {
					m.queue = append(m.queue, m.past[d][rapid.IntRange(1, k-1).Draw(rt, "which")])
				}
			case 14: // a keep-alive
				if h := m.ends[d]; h.up && !h.over && h.una == h.nxt && h.sent() > 0 && !m.fin[d] {
					m.send(d, h.nxt-1, h.rcv, tcp.ACK, []byte{0}[:rapid.IntRange(0, 1).Draw(rt, "bytes")])
				}
			case 15:
				if deaths > 0 && rapid.IntRange(0, 2).Draw(rt, "dies") == 0 {
					deaths--
					if crashes && rapid.Bool().Draw(rt, "crash") {
						m.crash()
					} else {
						m.stop()
					}
				}
			default:
				m.flush()
			}
			server.out = append(server.out, daemon.serve(server.read)...)
		}
		done := func() bool {
			return m.over() || client.fin && server.fin && client.una == client.nxt && server.una == server.nxt &&
				said == len(script) && client.sent() > len(client.out)
		}
		for round := 0; round < 3000 && !done(); round++ { // in the end all arrives
			say()
			for d := range m.ends {
				m.talk(side(d), 40, round%3 == 2)
			}
			m.flush()
			for d := range m.ends {
				for len(m.wireTo[d]) > 0 {
					m.land(side(d), 0, false)
				}
			}
			server.out = append(server.out, daemon.serve(server.read)...)
			if round%50 == 49 {
				m.waited = true
				m.pause(1200 * time.Millisecond)
			}
		}
		at := map[netip.AddrPort]bool{}
		told := 0
		for _, e := range m.events {
			if e.Kind == alg.PinholeAnnounced {
				at[e.Pinhole.At] = true
				told++
			}
		}
		for p := range at { // a 229 names the port alone
			at[netip.AddrPortFrom(netip.MustParseAddr(outsideServer), p.Port())] = true
		}
		asServed := strings.ReplaceAll(string(client.out), "AUTH", "AUTX")
		if !p.DenyTLS {
			asServed = string(client.out)
		}
		if m.over() {
			if !m.reset || !m.crashed && !m.stopped && (!m.waited || !p.DenyTLS) {
				rt.Errorf("the connection was reset: %s", m.why())
			}
			asServed, client.out = whole(asServed, server.read), nil
			server.out = []byte(whole(string(server.out), client.read))
			server.read, client.read = []byte(whole(string(server.read), server.read)), []byte(whole(string(client.read), client.read))
		} else if !done() {
			rt.Errorf("it does not end: the client has sent %d of %d, acknowledged %d, the server read %d; the server %d of %d, %d, %d; %+v",
				client.sent(), len(client.out), client.una-client.iss, len(server.read), server.sent(), len(server.out), server.una-server.iss, len(client.read), m.nat.adj)
		}
		changed := compare(rt, asServed, string(server.read), at)
		changed += compare(rt, string(server.out), string(client.read), at)
		if changed != told && !m.waited && !m.reset && !m.crashed {
			rt.Errorf("%d lines were changed, %d told of", changed, told)
		}
	})
}

// why returns the reasons of violations.
func (m *restless) why() (reasons []string) {
	for _, e := range m.events {
		if e.Kind == alg.Violation {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

// whole returns as many lines of a text as were read.
func whole(text string, read []byte) string {
	n := strings.Count(string(read), "\n")
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[:min(n, len(lines))], "")
}
