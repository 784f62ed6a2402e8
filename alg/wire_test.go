package alg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// wire is a control connection as a gateway sees it: tests say what each end sends,
// and ask what the worker made of it.
type wire struct {
	t        *testing.T
	w        *Worker
	kernel   *kernel
	now      time.Time
	flow     Flow
	next     [2]uint32 // what each side sends next
	id       uint32
	events   []Event
	verdicts map[uint32]Verdict
	order    []uint32 // of the verdicts
	injected [][]byte
}

// kernel stands in for the packet filter.
type kernel struct {
	open   map[Pinhole]bool
	opened []Pinhole // all that were ever committed
	log    []Op
	fail   func([]Op) error
}

func (k *kernel) Commit(ops []Op) error {
	if k.fail != nil {
		if err := k.fail(ops); err != nil {
			return err
		}
	}
	for _, op := range ops {
		switch op.Kind {
		case OpOpen:
			k.open[op.Pinhole] = true
			k.opened = append(k.opened, op.Pinhole)
		case OpClose:
			delete(k.open, op.Pinhole)
		}
		k.log = append(k.log, op)
	}
	return nil
}

func (k *kernel) Unused(p Pinhole) (bool, error) { return k.open[p], nil }

// use is a connection through a pinhole.
func (k *kernel) use(p Pinhole) bool {
	was := k.open[p]
	delete(k.open, p)
	return was
}

var errKernel = errors.New("no")

const (
	clientAddr = "10.1.4.4"
	serverAddr = "10.2.5.5"
)

func newWire(t *testing.T, change ...func(*Policy)) *wire {
	return newWireBetween(t, clientAddr, serverAddr, change...)
}

func newWireBetween(t *testing.T, client, server string, change ...func(*Policy)) *wire {
	p := DefaultPolicy()
	for _, c := range change {
		c(&p)
	}
	x := &wire{
		t: t, now: time.Unix(1e9, 0), verdicts: map[uint32]Verdict{},
		kernel: &kernel{open: map[Pinhole]bool{}},
		flow: Flow{
			Client: netip.AddrPortFrom(netip.MustParseAddr(client), 41138),
			Server: netip.AddrPortFrom(netip.MustParseAddr(server), 21),
		},
		next: [2]uint32{fromClient: 1000, fromServer: 4294967290}, // wraps soon
	}
	x.w = NewWorker(WorkerConfig{
		Policy: p, Pinholes: x.kernel, Limits: NewLimits(p.MaxSessions, p.MaxSessionsPerClient),
		Sink: func(e Event) { x.events = append(x.events, e) },
	})
	return x
}

// another returns a second connection through the same worker.
func (x *wire) another(clientPort uint16) *wire {
	y := *x
	y.flow.Client = netip.AddrPortFrom(x.flow.Client.Addr(), clientPort)
	y.next = [2]uint32{fromClient: 77, fromServer: 88}
	return &y
}

// build makes a packet of the flow with a good checksum.
func (x *wire) build(d side, seq, ack uint32, flags uint8, payload string) []byte {
	from, to := x.flow.Client, x.flow.Server
	if d == fromServer {
		from, to = to, from
	}
	p := tcp.Reset(from, to, seq, ack)
	header := len(p) - 20
	p[header+13] = flags
	p = append(p, payload...)
	if from.Addr().Is4() {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
	}
	seg, err := tcp.Parse(p)
	if err != nil {
		x.t.Fatalf("building a packet: %v", err)
	}
	seg.SetChecksum()
	return p
}

// packet gives the worker a packet and returns the number it has.
func (x *wire) packet(p []byte) uint32 {
	x.id++
	r := x.w.Batch(x.now, []Packet{{ID: x.id, Data: p}})
	x.take(r)
	return x.id
}

func (x *wire) take(r Result) {
	for _, v := range r.Verdicts {
		if _, twice := x.verdicts[v.ID]; twice {
			x.t.Fatalf("two verdicts for packet %d", v.ID)
		}
		v.Data = slices.Clone(v.Data)
		x.verdicts[v.ID] = v
		x.order = append(x.order, v.ID)
	}
	for _, p := range r.Inject {
		x.injected = append(x.injected, slices.Clone(p))
	}
	x.w.Settle(x.now)
}

func (x *wire) wait(d time.Duration) {
	for end := x.now.Add(d); x.now.Before(end); {
		x.now = x.now.Add(min(tick, end.Sub(x.now)))
		x.take(x.w.Tick(x.now))
	}
}

// say sends bytes in one segment, in order.
func (x *wire) say(d side, text string) uint32 {
	seq := x.next[d]
	x.next[d] += uint32(len(text))
	return x.packet(x.build(d, seq, x.next[d.other()], tcp.ACK|tcp.PSH, text))
}

func (x *wire) c(lines ...string) { x.t.Helper(); x.lines(fromClient, lines) }
func (x *wire) s(lines ...string) { x.t.Helper(); x.lines(fromServer, lines) }

func (x *wire) lines(d side, lines []string) {
	for _, l := range lines {
		x.say(d, l+"\r\n")
	}
}

// at sends bytes at a sequence number relative to what the side sends next.
func (x *wire) at(d side, offset int, text string) uint32 {
	return x.packet(x.build(d, x.next[d]+uint32(offset), x.next[d.other()], tcp.ACK, text))
}

func (x *wire) flags(d side, flags uint8) uint32 {
	id := x.packet(x.build(d, x.next[d], x.next[d.other()], flags, ""))
	if flags&tcp.FIN != 0 {
		x.next[d]++
	}
	return id
}

func (x *wire) connect() *wire {
	x.packet(x.build(fromServer, x.next[fromServer]-1, x.next[fromClient], tcp.SYN|tcp.ACK, ""))
	return x
}

func (x *wire) login() *wire {
	x.connect()
	x.s("220 (vsFTPd 3.0.3)")
	x.c("USER ftpuser")
	x.s("331 Please specify the password.")
	x.c("PASS ftppass")
	x.s("230 Login successful.")
	return x
}

// hole is an active pinhole of this connection's peers at a client's port.
func (x *wire) hole(port uint16) Pinhole {
	return Pinhole{
		Mode: Active, Source: x.flow.Server.Addr(), SourcePort: 20,
		Dest: netip.AddrPortFrom(x.flow.Client.Addr(), port),
	}
}

// passive is a passive pinhole of this connection's peers at a server's port.
func (x *wire) passive(port uint16) Pinhole {
	return Pinhole{
		Mode: Passive, Source: x.flow.Client.Addr(),
		Dest: netip.AddrPortFrom(x.flow.Server.Addr(), port),
	}
}

func (x *wire) wantOpen(holes ...Pinhole) {
	x.t.Helper()
	if len(x.kernel.open) != len(holes) {
		x.t.Errorf("open: %v, want %v", x.kernel.open, holes)
	}
	for _, h := range holes {
		if !x.kernel.open[h] {
			x.t.Errorf("open: %v, want %v", x.kernel.open, holes)
		}
	}
}

// wantNever checks that no pinhole was ever committed.
func (x *wire) wantNever() {
	x.t.Helper()
	if len(x.kernel.opened) != 0 {
		x.t.Errorf("opened %v, want nothing ever", x.kernel.opened)
	}
}

func (x *wire) wantReason(k Kind, part string) {
	x.t.Helper()
	for _, e := range x.events {
		if e.Kind == k && strings.Contains(e.Reason, part) {
			return
		}
	}
	x.t.Errorf("no event %s with %q in:\n%s", k, part, x.told())
}

func (x *wire) count(k Kind) int {
	n := 0
	for _, e := range x.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// wantVerdict checks the verdict of a packet.
func (x *wire) wantVerdict(id uint32, want Action) {
	x.t.Helper()
	if v, ok := x.verdicts[id]; !ok || v.Action != want {
		x.t.Errorf("packet %d: verdict %v, given %v; want %v", id, v.Action, ok, want)
	}
}

func (x *wire) wantHeld(id uint32) {
	x.t.Helper()
	if v, ok := x.verdicts[id]; ok {
		x.t.Errorf("packet %d: verdict %v, want it held", id, v.Action)
	}
}

// told is what the sink was told, a line an event, without times.
func (x *wire) told() string {
	var b strings.Builder
	for _, e := range x.events {
		fmt.Fprintf(&b, "%s %v->%v", e.Kind, e.Client, e.Server)
		if e.Pinhole.Dest.IsValid() {
			fmt.Fprintf(&b, " %s %v:%d->%v", e.Pinhole.Mode, e.Pinhole.Source, e.Pinhole.SourcePort, e.Pinhole.Dest)
		}
		fmt.Fprintf(&b, " %q\n", e.Reason)
	}
	return b.String()
}
