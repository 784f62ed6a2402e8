package alg_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// ackAt has a side acknowledge what it was never given, without a byte of its own.
func (x *wire) ackAt(d side, ack uint32) uint64 {
	return x.packet(d, x.build(d, x.next[d], ack, tcp.ACK, ""))
}

// A receiver that acknowledges lines that still wait here does not bring down the daemon,
// nor gets anything else than the lines.
func TestALineThatWaitsIsAcknowledged(t *testing.T) {
	x, n := newTranslated(t, "1.1.1.1", serverAddr)
	x.between("192.168.100.100", serverAddr, 41138)
	x.login()
	line := "PORT 192,168,100,100,180,117\r\n"
	x.wantGoes(fromClient, line, "PORT 1,1,1,1,180,117\r\n")
	ids := []uint64{x.say(fromClient, strings.Repeat(line, 14))} // it waits for the first
	x.ackAt(fromServer, n.adj[fromClient].Out(x.next[fromClient]))
	ids = append(ids, x.say(fromClient, line))
	x.ackAt(fromServer, n.adj[fromClient].Out(x.next[fromClient]-uint32(len(line))))
	x.say(fromClient, "NOOP\r\n")
	got := x.payload(ids[0], "") + x.payload(ids[1], "")
	want := strings.Repeat("PORT 1,1,1,1,180,117\r\n", 15)
	if got != strings.TrimPrefix(want, "PORT 1") { // it says that it has that
		t.Errorf("it goes out as %q", got)
	}
}

// What waits for an acknowledgement goes on with it.
func TestALineThatWaitedGoesOnWithTheAcknowledgement(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	one, two := "PORT 10,1,4,4,180,117\r\n", "PORT 10,1,4,4,180,118\r\n"
	x.say(fromClient, one)
	id := x.say(fromClient, two)
	if _, given := x.verdicts[id]; given {
		t.Fatal("two changes are under way at once")
	}
	x.ackAt(fromServer, n.adj[fromClient].Out(x.next[fromClient]-uint32(len(two))))
	if got := x.payload(id, two); got != "PORT 192,0,2,1,180,118\r\n" {
		t.Errorf("it goes out as %q", got)
	}
}

// Where no port is to be had, the line is not given one that the session had before.
func TestNoPortIsToBeHad(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	x.c("PORT 10,1,4,4,180,117")
	x.s(ok200)
	n.full = true
	for _, line := range []string{"PORT 10,1,4,4,180,118\r\n", "PORT 10,1,4,4,180,117\r\n"} {
		x.wantGoes(fromClient, line, line)
	}
	x.s(ok200)
	x.retr()
	x.wantOpen()
}

// Ports that stood for announcements come back, however these end.
func TestOutsidePortsComeBack(t *testing.T) {
	x, _ := newTranslated(t, outsideClient, serverAddr)
	y := x.from("10.1.4.7", 5000).login()
	x.connect()
	x.s("220 hi")
	x.c("USER u", "PASS p", "PORT 10,1,4,4,180,117")
	x.s("331 more", "530 no", ok200)
	x.retr() // nobody is logged in
	x.c("USER u", "PASS p", "PORT 10,1,4,4,180,118")
	x.s("331 more", "530 no", ok200)
	y.c("PORT 10,1,4,7,180,117")
	if at := y.last(alg.PinholeAnnounced).Pinhole.At; at.Port() != 46197 {
		t.Errorf("%v is announced", at)
	}
}

// The server's line may have arrived, too: the resets are in the right numbers.
func TestAServersLineThatMayHaveArrived(t *testing.T) {
	x, n := newTranslated(t, clientAddr, outsideServer)
	line := "227 Entering Passive Mode (10,2,5,5,195,80).\r\n"
	seq, ack := x.next[fromServer], x.next[fromClient]
	n.adj = [2]alg.Adjustment{fromClient: {Pos: 7, After: 3, Before: 3}, fromServer: {Pos: seq + 5, Before: 1, After: 2}}
	if v := x.verdicts[x.say(fromServer, line)]; !v.Drop || len(x.injected) != 2 {
		t.Fatalf("%+v, %d resets", v, len(x.injected))
	}
	for _, p := range x.injected {
		seg, err := tcp.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		switch seg.Dst {
		case x.flow.Client:
			if seg.Src != n.seen.Server || seg.Seq != seq+1 || seg.Ack != ack {
				t.Errorf("to the client: %+v", seg)
			}
		case x.flow.Server:
			if seg.Src != n.seen.Client || seg.Seq != ack+3 || seg.Ack != seq {
				t.Errorf("to the server: %+v", seg)
			}
		default:
			t.Errorf("to %v", seg.Dst)
		}
	}
}

// A reset that ends a connection names the byte that its receiver expects, though there are
// lines that it has not been given.
func TestResetsBehindALineThatWaits(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	one, two := "PORT 10,1,4,4,180,117\r\n", "PORT 10,1,4,4,180,118\r\n"
	x.say(fromClient, one)
	x.say(fromClient, two)
	r, _ := x.w.Suspend(x.now)
	x.take(r)
	if len(x.injected) != 2 {
		t.Fatalf("%d resets", len(x.injected))
	}
	for _, p := range x.injected {
		seg, _ := tcp.Parse(p)
		if want := n.adj[fromClient].Out(x.next[fromClient] - uint32(len(two))); seg.Dst == x.flow.Server && seg.Seq != want {
			t.Errorf("it has the number %d, not %d", seg.Seq, want)
		}
	}
}

// crowd has a client take up all the memory that it may have.
func (x *wire) crowd() {
	for i := range 80 {
		y := x.another(uint16(2000 + i)).connect()
		y.s("220 hi")
		y.say(fromClient, "NOOP "+strings.Repeat("x", 60000))
	}
}

// Where no more is remembered than has to be, a line is changed all the same.
func TestALongSegmentOfACrowd(t *testing.T) {
	more := strings.Repeat("NOOP\r\n", 300)
	x := newWire(t, denyTLS)
	x.crowd()
	x.connect()
	x.s("220 hi")
	x.wantGoes(fromClient, more+"AUTH TLS\r\n", more+"AUTX TLS\r\n")

	x, _ = newTranslated(t, "10.9.9.9", serverAddr) // as long as the client's own
	x.crowd()
	x = x.another(41138).login()
	x.wantGoes(fromClient, more+"PORT 10,1,4,4,180,117\r\n", more+"PORT 10,9,9,9,180,117\r\n")
}

// What stands for one client's port is not another's before the packet filter has let go of
// it, whichever worker has which.
func TestAnOutsidePortThatIsStillInForce(t *testing.T) {
	for _, used := range []bool{false, true} {
		x, _ := newTranslated(t, "10.9.9.9", serverAddr)
		y := x.from("10.1.4.7", 5000).login()
		x.login()
		x.port()
		x.retr()
		p := x.last(alg.PinholeOpen).Pinhole
		if used {
			x.kernel.use(p)
		}
		x.s("150 here", "226 done")
		y.c("PORT 10,1,4,7,180,117")
		y.s(ok200)
		y.retr()
		x.wantCount(alg.Failure, 0)
		x.wantOpen(y.last(alg.PinholeOpen).Pinhole)
		y.s("426 x")
		x.wait(time.Second)
		if len(x.kernel.dnat) != 0 {
			t.Errorf("still translated: %v", x.kernel.dnat)
		}
		y.c("PORT 10,1,4,7,180,117")
		if at := y.last(alg.PinholeAnnounced).Pinhole.At; at.Port() != 46197 {
			t.Errorf("%v is announced, though nobody has the port", at)
		}
	}
}

// Of two workers one may have closed a pinhole, and not yet told the packet filter.
func TestAnOutsidePortThatAnotherWorkerStillHas(t *testing.T) {
	x, n := newTranslated(t, "10.9.9.9", serverAddr)
	x.login()
	x.port()
	x.retr()
	p := x.last(alg.PinholeOpen).Pinhole
	z := newWireOf(t, "10.1.4.7", serverAddr, alg.WorkerConfig{Policy: x.policy, Translations: n, Outside: x.outside})
	z.translated, z.adj, z.kernel.dnat = true, &n.adj, x.kernel.dnat
	z.login()
	x.kernel.fail = func([]alg.Op) error { return errKernel } // the transaction is still to come
	x.s("226 done")
	z.c("PORT 10,1,4,7,180,117")
	if at := z.last(alg.PinholeAnnounced).Pinhole.At; at == p.At {
		t.Errorf("%v is announced, which the other worker has in force", at)
	}
}

// Where AUTH is denied, a translated connection that cannot be read is ended too, in the
// names and numbers that its ends know.
func TestDeniedTLSOfATranslatedConnectionThatIsNotRead(t *testing.T) {
	x, n := newTranslated(t, outsideClient, outsideServer, denyTLS)
	seq, ack := x.next[fromClient], x.next[fromServer]
	n.adj = [2]alg.Adjustment{fromClient: {Pos: 7, After: 3, Before: 3}, fromServer: {Pos: 7, Before: 2, After: 2}}
	x.wantDrop(x.say(fromClient, "AUTH TLS\r\n"))
	for _, p := range x.injected {
		seg, _ := tcp.Parse(p)
		switch {
		case seg.Src == n.seen.Server && seg.Dst == x.flow.Client && seg.Seq == ack+2:
		case seg.Src == n.seen.Client && seg.Dst == x.flow.Server && seg.Seq == seq+3:
		default:
			t.Errorf("a reset from %v to %v with the number %d", seg.Src, seg.Dst, seg.Seq)
		}
	}
	if len(x.injected) != 2 {
		t.Errorf("%d resets", len(x.injected))
	}
}

// Verdicts are given when a batch has been read. What is corrected between must not be what
// a packet before needs.
func TestALineIsSentAgainInOneBatchWithTheNext(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	one, two := "PORT 10,1,4,4,180,117\r\n", "PORT 10,1,4,4,180,118\r\n"
	at := x.next[fromClient]
	x.say(fromClient, one)
	before := n.adj[fromClient]
	again := x.build(fromClient, at, x.has(fromClient), tcp.ACK, one)
	ack := x.build(fromServer, x.next[fromServer], x.has(fromServer), tcp.ACK, "")
	next := x.build(fromClient, x.next[fromClient], x.has(fromClient), tcp.ACK, two)
	x.next[fromClient] += uint32(len(two))
	x.id += 3
	x.take(x.w.Batch(x.now, []alg.Packet{
		{ID: x.id - 2, Data: again, In: clientSide, Out: serverSide, Translated: true},
		{ID: x.id - 1, Data: ack, In: serverSide, Out: clientSide},
		{ID: x.id, Data: next, In: clientSide, Out: serverSide, Translated: true},
	}))
	if got, want := n.adj[fromClient].Out(at), before.Out(at); got != want {
		t.Errorf("a line that is sent again goes out at %d, and not %d where it was", got, want)
	}
	x.wait(tick)
	if got := x.payload(x.id, two); got != "PORT 192,0,2,1,180,118\r\n" {
		t.Errorf("the next goes out as %q", got)
	}
}

// A session that is not written down, with a line on its way, does not live on to send the
// rest of it as it was.
func TestStoppedWithALineOnItsWay(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.connect()
	x.c("USER u", "PASS p", "PORT 10,1,4,4,180,117") // and no greeting yet
	if n.adj[fromClient].After == 0 {
		t.Fatal("the line was not changed")
	}
	r, saved := x.w.Suspend(x.now)
	x.take(r)
	if len(saved) == 0 && len(x.injected) != 2 {
		t.Errorf("%d sessions are written down, %d resets", len(saved), len(x.injected))
	}
}

// Nor does one that was written down, and did not go on there.
func TestResumedElsewhereWithALineOnItsWay(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	x.c("PORT 10,1,4,4,180,117")
	y := restart(t, x, func(*alg.Policy) {})
	y.adj = &n.adj
	y.w = alg.NewWorker(alg.WorkerConfig{
		Policy: x.policy, Pinholes: y.kernel, Flows: y.tracking, Translations: n, Outside: x.outside,
		Limits: alg.NewLimits(9, 9), Sink: func(alg.Event) {}, Saved: y.saved,
	})
	y.translated = true
	y.at(fromClient, 10, "NOOP\r\n") // what is before it was lost
	if len(y.injected) != 2 {
		t.Errorf("%d resets", len(y.injected))
	}
}

// Two restarts, one right after the other, end no help.
func TestRestartedTwice(t *testing.T) {
	x := newWire(t).login()
	x.port()
	y := restart(t, x)
	y.w.Settle(y.now)
	y.at(fromClient, -len("PORT 10,1,4,4,180,117\r\n"), "PORT 10,1,4,4,180,117\r\n") // nothing new
	z := restart(t, y)
	z.retr()
	z.wantOpen(z.hole(46197))
}

// crashed is the same connection before another daemon, which finds it vouched for.
func (x *wire) crashed(n *nat) {
	vouched := true
	x.w = alg.NewWorker(alg.WorkerConfig{
		Policy: x.policy, Pinholes: x.kernel, Flows: x.tracking, Translations: n, Outside: &alg.Outside{},
		Limits: alg.NewLimits(9, 9), Sink: func(e alg.Event) { x.events = append(x.events, e) },
		Vouched: func(alg.Flow) bool { was := vouched; vouched = false; return was },
	})
}

// The daemon crashed when a line was on its way, and what is said after it comes first.
func TestALineThatIsSentAgainAfterACrash(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	line := "PORT 10,1,4,4,180,117\r\n"
	x.say(fromClient, line)
	x.crashed(n)
	x.wantGoes(fromClient, "NOOP\r\n", "NOOP\r\n")
	if got := x.payload(x.at(fromClient, -6-len(line), line), line); got != "" || len(x.injected) == 0 {
		t.Errorf("it goes out as %q, with %d resets", got, len(x.injected))
	}
}

// The daemon crashed when the kernel corrected numbers already for a line that had not gone
// out: the resets are in the numbers that were in force before it.
func TestALineThatHadNotGoneOutBeforeACrash(t *testing.T) {
	for _, before := range []int32{0, 2} {
		x, n := newTranslated(t, outsideClient, serverAddr)
		x.login()
		seq, ack := x.next[fromClient], x.next[fromServer]
		n.adj = [2]alg.Adjustment{fromClient: {Pos: seq + 8, Before: before, After: before + 3}, fromServer: {Pos: ack - 9, Before: 1, After: 1}}
		x.crashed(n)
		id := x.packet(fromClient, x.build(fromClient, seq, ack+1, tcp.ACK, "PORT 10,1,4,4,180,117\r\n"))
		if !x.verdicts[id].Drop || len(x.injected) != 2 {
			t.Fatalf("%+v, %d resets", x.verdicts[id], len(x.injected))
		}
		for _, p := range x.injected {
			seg, err := tcp.Parse(p)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[netip.AddrPort]uint32{x.flow.Server: seq + uint32(before), x.flow.Client: ack + 1}[seg.Dst]; seg.Seq != want {
				t.Errorf("to %v: number %d, not %d", seg.Dst, seg.Seq, want)
			}
		}
	}
}

// A crash, and then a stop: the session goes on.
func TestStoppedAfterACrash(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	x.port()
	x.crashed(n)
	x.wantGoes(fromClient, "NOOP\r\n", "NOOP\r\n")
	x.s(ok200)
	y := restart(t, x)
	x.w = alg.NewWorker(alg.WorkerConfig{
		Policy: x.policy, Pinholes: x.kernel, Flows: x.tracking, Translations: n, Outside: &alg.Outside{},
		Limits: alg.NewLimits(9, 9), Sink: func(e alg.Event) { x.events = append(x.events, e) }, Saved: y.saved,
	})
	x.wantGoes(fromClient, "NOOP\r\n", "NOOP\r\n")
	x.s(ok200)
	x.wantGoes(fromClient, "EPRT |1|10.1.4.4|46198|\r\n", "EPRT |1|192.0.2.1|46198|\r\n")
	if len(x.injected) != 0 {
		t.Errorf("%d resets", len(x.injected))
	}
}

// Connection tracking is not asked about every packet of a connection without a session.
// Where both ends are translated that can take a search of all that is tracked.
func TestPacketsOfStrangersAreCheap(t *testing.T) {
	x, n := newTranslated(t, outsideClient, outsideServer)
	for range 1000 {
		x.say(fromClient, "data\r\n")
	}
	for i := range 3000 {
		x.another(uint16(2000+i)).say(fromClient, "data\r\n")
	}
	if asked := n.asked - 3000; asked > 10 {
		t.Errorf("it was asked %d times about 1000 packets of one connection", asked)
	}
	n.adj[fromClient] = alg.Adjustment{Pos: x.next[fromClient] + 5, After: 2}
	x.connect() // a new one between the same ends
	x.flags(fromServer, tcp.RST|tcp.ACK)
	x.wantDrop(x.say(fromClient, "PORT 10,1,4,4,180,117\r\n"))
}

// A client cannot drown others' events with lines that the kernel does not correct.
func TestEventsOfLinesThatCannotBeChangedAreBounded(t *testing.T) {
	x, n := newTranslated(t, outsideClient, serverAddr)
	x.login()
	n.err = errKernel
	for range 1000 {
		x.c(port46197)
		x.s("500 x")
	}
	if told := x.count(alg.Failure); told == 0 || told > 100 {
		t.Errorf("%d failures told", told)
	}
}

// A server whose reply comes in two writes has the second one wait for the acknowledgement
// of the first (Nagle): what stands before the address must not wait for it.
func TestAReplyInTwoWrites(t *testing.T) {
	for _, parts := range [][]string{
		{"227 Entering Passive Mode (", "10,2,5,5,195,80).\r\n"},
		{"227 ", "Entering Passive Mode ", "(10,2,5,5,195,80).\r\n"},
		{"229 Entering Extended Passive Mode ", "(|||", "50000|)\r\n"},
	} {
		x, n := newTranslated(t, clientAddr, outsideServer)
		n.taken[netip.MustParseAddrPort(outsideServer+":50000")] = true
		x.login()
		x.c(map[bool]string{true: "PASV", false: "EPSV"}[parts[0][2] == '7'])
		var got string
		for _, p := range parts {
			id := x.say(fromServer, p)
			if _, given := x.verdicts[id]; !given {
				t.Errorf("%q waits for the rest", p)
			}
			got += x.payload(id, p)
		}
		line := strings.Join(parts, "")
		if p := x.last(alg.PinholeOpen).Pinhole; got == line || got == "" || x.kernel.dnat[announcedAt{p.Source, p.At}] != p.Dest {
			t.Errorf("%q goes out as %q", parts, got)
		}
	}
}

// Where AUTH is denied, a dialogue that is not followed any more goes on, translated or not.
func TestDeniedTLSOfATranslatedDialogueThatIsNotFollowed(t *testing.T) {
	x, _ := newTranslated(t, outsideClient, serverAddr, denyTLS)
	x.login()
	x.port()
	x.c("FROBNICATE x")
	x.s("500 what?")
	for range 4 {
		x.wait(40 * time.Second)
		x.wantGoes(fromClient, "AUTH TLS\r\n", "AUTX TLS\r\n")
		x.s("500 what?")
	}
	if len(x.injected) != 0 {
		t.Errorf("%d resets", len(x.injected))
	}
}

// What comes once more, and what belongs before it does not: nothing of a translated
// connection passes unread, so that is not given up, and the connection goes on with it.
func TestWhatIsMissingOfATranslatedConnectionIsWaitedFor(t *testing.T) {
	for _, arrived := range []bool{false, true} {
		x, n := newTranslated(t, outsideClient, serverAddr)
		x.login()
		x.say(fromClient, "PORT 10,1,4,4,180,117\r\n")
		if arrived {
			x.s(ok200)
		}
		missing, last := "EPRT |1|10.1.4.4|46198|\r\n", "NOOP\r\n"
		for range 4 {
			x.at(fromClient, len(missing), last)
			x.wait(1100 * time.Millisecond)
		}
		if len(x.injected) > 0 {
			t.Fatalf("arrived: %v: %d resets", arrived, len(x.injected))
		}
		id := x.say(fromClient, missing)
		x.ackAt(fromServer, n.adj[fromClient].Out(x.next[fromClient]-uint32(len(missing))))
		if got := x.payload(id, missing); got != "EPRT |1|192.0.2.1|46198|\r\n" {
			t.Errorf("arrived: %v: what was missing goes out as %q", arrived, got)
		}
	}
}
