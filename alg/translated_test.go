package alg_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/ftp"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// nat stands in for connection tracking where it translates.
type nat struct {
	seen  alg.Translation
	adj   [2]alg.Adjustment
	taken map[netip.AddrPort]bool // by others
	full  bool                    // all are
	err   error                   // of Adjust
	asked int                     // calls of Prepare
}

var _ alg.Translations = (*nat)(nil)

func (n *nat) Prepare(alg.Flow, bool) (alg.Translation, [2]alg.Adjustment, bool, error) {
	n.asked++
	return n.seen, n.adj, true, nil
}

func (n *nat) Adjust(_ alg.Flow, _ alg.Translation, from tcp.Side, a alg.Adjustment) error {
	if n.err != nil {
		return n.err
	}
	n.adj[from] = a
	return nil
}

func (n *nat) Free(_ netip.Addr, _ alg.Ports, at netip.AddrPort) (bool, error) {
	return !n.full && !n.taken[at], nil
}

// leave does to a packet what the kernel does last (nf_ct_seq_adjust).
func (n *nat) leave(d side, seg *tcp.Segment) {
	seg.Seq = n.adj[d].Out(seg.Seq)
	if seg.Has(tcp.ACK) {
		seg.Ack = n.adj[d.other()].In(seg.Ack)
	}
}

const (
	outsideClient = "192.0.2.1"
	outsideServer = "198.51.100.9"
)

func newNAT(client, server string) *nat {
	return &nat{
		seen:  alg.Translation{Client: netip.AddrPortFrom(netip.MustParseAddr(client), 61000), Server: netip.AddrPortFrom(netip.MustParseAddr(server), 21)},
		taken: map[netip.AddrPort]bool{},
	}
}

// newTranslated is a wire whose ends see each other under these addresses.
func newTranslated(t tb, client, server string, change ...func(*alg.Policy)) (*wire, *nat) {
	n := newNAT(client, server)
	p := alg.DefaultPolicy()
	for _, c := range change {
		c(&p)
	}
	outside := &alg.Outside{}
	x := newWireOf(t, clientAddr, serverAddr, alg.WorkerConfig{Policy: p, Translations: n, Outside: outside})
	x.outside = outside
	x.translated, x.adj = true, &n.adj
	return x, n
}

// goes is what the server, or the client, gets of a line that the other says.
func (x *wire) goes(d side, text string) string { x.t.Helper(); return x.payload(x.say(d, text), text) }

func (x *wire) wantGoes(d side, text, want string) {
	x.t.Helper()
	if got := x.goes(d, text); got != want {
		x.t.Errorf("%q goes out as %q, not %q", text, got, want)
	}
}

func TestAMasqueradedClientAnnouncesItsOutsideAddress(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	x.wantGoes(fromClient, "PORT 10,1,4,4,180,117\r\n", "PORT 192,0,2,1,180,117\r\n")
	if want := (alg.Adjustment{Pos: 1034, After: 1}); n.adj[fromClient].After != 1 || n.adj[fromClient].Before != 0 {
		t.Errorf("the kernel adjusts by %+v, not %+v", n.adj[fromClient], want)
	}
	x.s(ok200)
	x.retr()
	p := x.hole(46197)
	p.At = netip.MustParseAddrPort(outsideClient + ":46197")
	x.wantOpen(p)
	x.s("150 here", "226 done")
	x.wantOpen()
	x.wantGoes(fromClient, "EPRT |1|10.1.4.4|46198|\r\n", "EPRT |1|192.0.2.1|46198|\r\n")
	x.s(ok200)
	// Passive mode: the reply names the server, and the client comes from its outside address.
	x.c("PASV")
	x.wantGoes(fromServer, "227 Entering Passive Mode (10,2,5,5,195,80).\r\n", "227 Entering Passive Mode (10,2,5,5,195,80).\r\n")
	q := x.passive(50000)
	q.As = netip.MustParseAddr(outsideClient)
	x.wantOpen(q)
}

func TestAForwardedServerAnnouncesItsOutsideAddress(t *testing.T) {
	x, _ := newTranslated(t, clientAddr, outsideServer)
	x.login()
	x.c("PASV")
	x.wantGoes(fromServer, "227 Entering Passive Mode (10,2,5,5,195,80).\r\n", "227 Entering Passive Mode (198,51,100,9,195,80).\r\n")
	p := x.passive(50000)
	p.At = netip.MustParseAddrPort(outsideServer + ":50000")
	x.wantOpen(p)
	x.c("EPSV")
	x.wantGoes(fromServer, "229 Entering Extended Passive Mode (|||50001|)\r\n", "229 Entering Extended Passive Mode (|||50001|)\r\n")
	x.c("PORT 10,1,4,4,180,117")
	x.s(ok200)
	x.retr()
	q := x.hole(46197)
	q.As = netip.MustParseAddr(outsideServer)
	x.wantOpen(q)
}

// An outside port that is taken, by this host or by another client's announcement, is not
// announced.
func TestAnOutsidePortThatIsTaken(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	y := x.from("10.1.4.7", 5000).login()
	x.c(port46197)
	taken := x.last(alg.PinholeAnnounced).Pinhole.At
	y.c("PORT 10,1,4,7,180,117")
	if at := y.last(alg.PinholeAnnounced).Pinhole.At; at == taken || at.Addr() != taken.Addr() {
		t.Errorf("two clients have %v", at)
	}
	n.taken[netip.MustParseAddrPort(outsideClient+":46300")] = true
	x.c("PORT 10,1,4,4,180,220")
	if at := x.last(alg.PinholeAnnounced).Pinhole.At; at.Port() == 46300 {
		t.Error("the port of another is announced")
	}
	x.c(port46197) // it was given up
	if at := x.last(alg.PinholeAnnounced).Pinhole.At; at != taken {
		t.Errorf("%v is not had again, but %v", taken, at)
	}
}

// A line in two parts waits for its rest; what comes before its address does not.
func TestAnAnnouncementInParts(t *testing.T) {
	for _, parts := range [][]string{
		{"P", "ORT ", "10,1,4,4,180,117\r\n"},
		{"PORT 10,1", ",4,4,180,117\r\n"},
		{"NOOP\r\nPORT 10,1,4,4,180,11", "7", "\r", "\n"},
	} {
		x, _ := newTranslated(t, outsideClient, serverAddr)
		x.login()
		whole := strings.Join(parts, "")
		var ids []uint64
		for _, p := range parts {
			ids = append(ids, x.say(fromClient, p))
		}
		var got string
		for i, id := range ids {
			got += x.payload(id, parts[i])
		}
		if want := strings.Replace(whole, "10,1,4,4", "192,0,2,1", 1); got != want {
			t.Errorf("%q goes out as %q", parts, got)
		}
	}
}

func TestALineThatDoesNotEndGoesOnUnchanged(t *testing.T) {
	x, _ := newTranslated(t, outsideClient, serverAddr)
	x.login()
	id := x.say(fromClient, "PORT 10,1,4,4")
	if _, given := x.verdicts[id]; given {
		t.Fatal("a part of an announcement does not wait")
	}
	x.wait(2 * time.Second)
	if got := x.payload(id, "PORT 10,1,4,4"); got != "PORT 10,1,4,4" {
		t.Errorf("it goes out as %q", got)
	}
	x.wantCount(alg.PinholeRefused, 1)
	x.wantGoes(fromClient, ",180,117\r\n", ",180,117\r\n")
	x.s(ok200)
	x.retr()
	x.wantNever()
	x.wantGoes(fromClient, "PORT 10,1,4,4,180,117\r\n", "PORT 192,0,2,1,180,117\r\n")
}

// Where the kernel does not correct the numbers, nothing is changed and nothing opened.
func TestWithoutAdjustmentsNothingIsTranslated(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	n.err = errKernel
	x.wantGoes(fromClient, "PORT 10,1,4,4,180,117\r\n", "PORT 10,1,4,4,180,117\r\n")
	x.s("500 Illegal PORT command.")
	x.retr()
	x.wantNever()
	x.wantCount(alg.Failure, 1)
}

// The daemon died between a line and its arrival: it cannot be sent again as it was.
func TestALineThatMayHaveArrivedEndsTheConnection(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	n.adj[fromClient] = alg.Adjustment{Pos: x.next[fromClient] + 5, After: 2}
	id := x.say(fromClient, "PORT 10,1,4,4,180,117\r\n")
	if v := x.verdicts[id]; !v.Drop || len(x.injected) != 2 {
		t.Errorf("%+v, %d resets", v, len(x.injected))
	}
	n.adj[fromClient] = alg.Adjustment{Pos: x.next[fromClient] - 5, After: 2}
	x.wantGoes(fromClient, "NOOP\r\n", "NOOP\r\n")
}

// translatedWorld is a gateway that translates, between two honest ends.
type translatedWorld struct {
	*wire
	nat    *nat
	ends   [2]*host
	fates  map[uint64]*tcp.Segment
	routed map[uint64]side
	done   int
	wireTo [2][]*tcp.Segment // on their way to each end
	acks   bool
}

func (m *translatedWorld) put(d side, seq, ack uint32, flags uint8, b []byte) {
	p := m.build(d, seq, ack, flags, string(b))
	seg, _ := tcp.Parse(p)
	if len(b) == 0 && flags&(tcp.SYN|tcp.FIN) == 0 && !m.acks {
		m.leave(d, &seg)
		return
	}
	id := m.packet(d, p)
	m.fates[id], m.routed[id] = &seg, d
	m.collect()
}

func (m *translatedWorld) collect() {
	for ; m.done < len(m.order); m.done++ {
		id := m.order[m.done]
		v, seg := m.verdicts[id], m.fates[id]
		if seg == nil || v.Drop {
			continue
		}
		if v.Data != nil {
			changed, err := tcp.Parse(v.Data)
			if err != nil || !changed.ChecksumOK() {
				m.t.Fatalf("a changed packet is broken: %v", err)
			}
			seg = &changed
		}
		m.leave(m.routed[id], seg)
	}
}

func (m *translatedWorld) leave(d side, seg *tcp.Segment) {
	m.nat.leave(d, seg)
	m.wireTo[d.other()] = append(m.wireTo[d.other()], seg)
}

// arrive has a segment that is under way arrive at one end.
func (m *translatedWorld) arrive(d side, i int, keep bool) {
	seg := m.wireTo[d][i]
	if !keep {
		m.wireTo[d] = append(m.wireTo[d][:i:i], m.wireTo[d][i+1:]...)
	}
	h := m.ends[d]
	if h.up && seg.Has(tcp.ACK) && tcp.Diff(seg.Ack, h.nxt) > 0 {
		m.t.Fatalf("an acknowledgement of what was never sent: %d after %d", seg.Ack, h.nxt)
	}
	for _, a := range h.receive(seg, 65535) {
		m.put(d, a.seq, a.ack, a.flags, nil)
	}
}

func (m *translatedWorld) speak(d side, n int, again bool) {
	if seq, b := m.ends[d].next(n, again); len(b) > 0 {
		m.put(d, seq, m.ends[d].rcv, tcp.ACK|tcp.PSH, b)
	}
}

// What each end reads is what the other said, with each announcement replaced, whatever
// becomes of the segments on either side of the gateway.
func TestTranslatedDialoguesArrive(t *testing.T) {
	many(t, func(rt *rapid.T) {
		x, n := newTranslated(rt, outsideClient, outsideServer)
		m := &translatedWorld{wire: x, nat: n, fates: map[uint64]*tcp.Segment{}, routed: map[uint64]side{}, acks: rapid.Bool().Draw(rt, "acks")}
		for d := range m.ends {
			m.ends[d] = &host{side: side(d), iss: rapid.SampledFrom([]uint32{7, 0xffffffd0, 1<<31 - 9}).Draw(rt, "iss")}
		}
		client, server := m.ends[fromClient], m.ends[fromServer]
		daemon := &ftpd{offered: map[uint16]bool{}}
		server.out = []byte("220 hello\r\n")
		lockstep := rapid.Bool().Draw(rt, "lockstep")
		script := []string{"USER u\r\n", "PASS p\r\n"}
		for range rapid.IntRange(1, 12).Draw(rt, "lines") {
			script = append(script, rapid.SampledFrom([]string{
				"NOOP\r\n", "PORT 10,1,4,4,180,117\r\n", "PORT 10,1,4,4,4,1\r\n", "EPRT |1|10.1.4.4|46300|\r\n",
				"PASV\r\n", "EPSV\r\n", "RETR x\r\n", "PWD\r\n", "TYPE I\n",
			}).Draw(rt, "line"))
		}
		said := 0
		say := func() {
			answered := strings.Count(string(client.read), "\r\n") - 1
			for said < len(script) && (!lockstep || said <= answered) {
				client.out = append(client.out, script[said]...)
				said++
			}
		}
		client.nxt, client.una = client.iss+1, client.iss
		m.put(fromClient, client.iss, 0, tcp.SYN, nil)
		m.arrive(fromServer, 0, false)
		m.arrive(fromClient, 0, false)
		m.arrive(fromServer, 0, false)
		if !client.up || !server.up {
			rt.Fatalf("no connection")
		}
		waited, ticks := false, 0
		for range rapid.IntRange(0, 80).Draw(rt, "steps") {
			d := side(rapid.IntRange(0, 1).Draw(rt, "side"))
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0, 1, 2:
				say()
				m.speak(d, rapid.IntRange(1, 60).Draw(rt, "n"), rapid.IntRange(0, 3).Draw(rt, "again") == 0)
			case 3, 4, 5, 6, 7:
				if k := len(m.wireTo[d]); k > 0 {
					m.arrive(d, rapid.IntRange(0, k-1).Draw(rt, "which"), rapid.IntRange(0, 7).Draw(rt, "twice") == 0)
				}
			case 8:
				if len(m.wireTo[d]) > 0 {
					m.wireTo[d] = m.wireTo[d][1:]
				}
			case 9:
				if rapid.IntRange(0, 9).Draw(rt, "long") == 0 {
					waited = true
					m.wait(1200 * time.Millisecond)
				} else {
					m.wait(tick)
					ticks++
					waited = waited || ticks > 8
				}
				m.collect()
			}
			server.out = append(server.out, daemon.serve(server.read)...)
		}
		for round := 0; round < 3000; round++ { // in the end all arrives
			say()
			for d := range m.ends {
				m.speak(side(d), 40, round%3 == 2)
				for len(m.wireTo[d]) > 0 {
					m.arrive(side(d), 0, false)
				}
			}
			server.out = append(server.out, daemon.serve(server.read)...)
			if round%50 == 49 {
				waited = true
				m.wait(1200 * time.Millisecond)
				m.collect()
			}
			if said == len(script) && client.una == client.iss+1+uint32(len(client.out)) && server.una == server.iss+1+uint32(len(server.out)) {
				break
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
		changed := compare(rt, string(client.out), string(server.read), at)
		changed += compare(rt, string(server.out), string(client.read), at)
		if changed != told && !waited {
			rt.Errorf("%d lines were changed, %d told of", changed, told)
		}
		if len(m.injected) > 0 {
			rt.Errorf("the connection was reset")
		}
	})
}

// compare checks that what was read is what was said, line by line, but for announcements
// that are helped. It returns how many of those there are.
func compare(t tb, said, read string, at map[netip.AddrPort]bool) (changed int) {
	t.Helper()
	one, two := strings.SplitAfter(said, "\n"), strings.SplitAfter(read, "\n")
	if len(one) != len(two) {
		t.Errorf("%q was said, %q was read", said, read)
		return 0
	}
	for i := range one {
		inside, ok := announced(one[i])
		outside, also := announced(two[i])
		switch {
		case ok && strings.HasPrefix(one[i], "229 ") && at[netip.AddrPortFrom(netip.MustParseAddr(outsideServer), portOf(two[i]))]:
			changed++
		case one[i] == two[i]:
		case !ok || !also || inside.Addr() == outside.Addr() && inside.Addr().IsValid() || !at[outside] && outside.Addr().IsValid():
			t.Errorf("%q was said, %q was read; of %q and %q", one[i], two[i], said, read)
		default:
			changed++
		}
	}
	return changed
}

// portOf is the port in a 229.
func portOf(line string) uint16 {
	port, _ := ftp.ParseEpsv([]byte(strings.TrimRight(line, "\r\n")[4:]))
	return port
}

// announced reads an announcement of either side.
func announced(line string) (at netip.AddrPort, ok bool) {
	text := strings.TrimRight(line, "\r\n")
	if c, err := ftp.ParseCommand([]byte(text)); err == nil && c.Verb == ftp.Port {
		at, err = ftp.ParsePort(c.Arg)
		return at, err == nil
	} else if err == nil && c.Verb == ftp.Eprt {
		at, err = ftp.ParseEprt(c.Arg)
		return at, err == nil
	}
	if strings.HasPrefix(text, "227 ") {
		at, err := ftp.ParsePasv([]byte(text[4:]))
		return at, err == nil
	}
	return at, strings.HasPrefix(text, "229 ")
}

func (x *wire) last(k alg.Kind) alg.Event {
	x.t.Helper()
	for i := len(x.events) - 1; i >= 0; i-- {
		if x.events[i].Kind == k {
			return x.events[i]
		}
	}
	x.t.Fatalf("no event %s", fmt.Sprint(k))
	return alg.Event{}
}
