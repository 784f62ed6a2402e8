package alg

import (
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// How long sessions are remembered without a packet.
const (
	briefly  = 60 * time.Second   // after a SYN/ACK that nothing followed, and after the end
	normally = 24 * time.Hour     // a dialogue
	forGood  = 5 * 24 * time.Hour // a flow that is not helped: as long as conntrack remembers it by default
	heldTime = time.Second        // a segment that waits for a gap to fill
	tick     = 100 * time.Millisecond
	quiet    = 60 * time.Second // until a session gives back memory
)

// pickUpWithin is how long after its start a worker takes up dialogues in their middle:
// those that began before it.
const pickUpWithin = time.Hour

// WorkerConfig is what a Worker is made of.
type WorkerConfig struct {
	Policy   Policy
	Pinholes Pinholes
	Flows    Flows // may be nil: then counters are not known
	Sink     Sink
	Limits   *Limits
	Index    int // tells the sessions of one worker from those of another
	// Vouched reports, for a flow whose SYN was not seen, that its dialogue may be taken
	// up for active mode. It may be nil: then none is.
	Vouched func(Flow) bool
	// Offload takes a TCP checksum that was left to the network card for a good
	// one. Captures have such; packets from a queue do not.
	Offload bool
	// AnyChecksum reads segments with a wrong TCP checksum like the others.
	AnyChecksum bool
}

// Stats counts what a Worker met. All numbers only grow.
type Stats struct {
	Packets    uint64 `json:"packets"`    // given to Batch
	Unreadable uint64 `json:"unreadable"` // passed: not a whole TCP segment
	Checksum   uint64 `json:"checksum"`   // passed unread: wrong TCP checksum
	Outside    uint64 `json:"outside"`    // passed unread: sequence number out of any window
	Unhelped   uint64 `json:"unhelped"`   // passed unread: no room for a session
	Conflicts  uint64 `json:"conflicts"`  // dropped: bytes that differ from those that passed
	Held       uint64 `json:"held"`       // kept back until a gap was filled
	Unheld     uint64 `json:"unheld"`     // dropped: no room to keep them back
	Expired    uint64 `json:"expired"`    // dropped: the gap was not filled in time
	Lost       uint64 `json:"lost"`       // times that bytes had gone by unseen
	Failures   uint64 `json:"failures"`   // changes that the packet filter refused
}

// Worker follows the control connections of one queue. It is not safe for
// concurrent use; workers share nothing but what their configuration shares.
type Worker struct {
	WorkerConfig
	sessions map[Flow]*session
	last     uint64 // number of the last session
	stats    Stats

	brief, idle, flagged timers // one of them holds a session's life
	calm                 timers // until a session gives back memory
	open                 timers // pinholes
	held                 timers // sessions with segments that wait

	began   time.Time // of the first call
	now     time.Time
	res     Result
	ops     []Op
	owners  []*session // of each op
	pending []pending

	unclosed []unclosed
}

// pending is an event that waits for the end of the batch, and what there is to
// find out before it goes to the sink.
type pending struct {
	Event
	op      int      // 1 + the index of the op that has to succeed first; 0: none
	session *session // not nil: find out whether its pinhole was used, tell if so
}

// NewWorker returns a Worker without sessions.
func NewWorker(c WorkerConfig) *Worker {
	return &Worker{
		WorkerConfig: c,
		sessions:     make(map[Flow]*session),
		last:         uint64(c.Index) << 48,
		brief:        timers{delay: briefly},
		idle:         timers{delay: normally},
		flagged:      timers{delay: forGood},
		calm:         timers{delay: quiet},
		// The kernel's own time-out is exact, but cannot be told from a use: a tick
		// earlier the pinhole is taken away while it can still be asked about.
		open: timers{delay: max(c.Policy.Timeout-tick, tick)},
	}
}

// Sessions returns how many control connections are followed.
func (w *Worker) Sessions() int { return len(w.sessions) }

// Stats returns what was counted so far.
func (w *Worker) Stats() Stats { return w.stats }

// Batch reads packets in the order in which they were queued. When it returns, the
// pinholes that they open are in force. A packet that has to wait gets its verdict
// in a later Result.
func (w *Worker) Batch(now time.Time, packets []Packet) Result {
	w.begin(now)
	for _, p := range packets {
		w.packet(p)
	}
	w.commit()
	return w.res
}

// Tick does what has fallen due. It wants to be called about every 100 ms.
func (w *Worker) Tick(now time.Time) Result {
	w.begin(now)
	at := now.UnixNano()
	for s := w.open.due(at); s != nil; s = w.open.due(at) {
		if !w.noteUse(s) {
			w.closePinhole(s, "timeout")
		}
	}
	for t := w.held.head; t != nil; { // no more than the limits let wait
		s := t.session
		t = t.next
		w.expireHeld(s)
	}
	for s := w.calm.due(at); s != nil; s = w.calm.due(at) {
		s.calm.stop()
		for d := range s.dirs {
			s.dirs[d].Trim()
			s.dirs[d].shorten()
		}
	}
	w.closeAgain()
	for _, l := range []*timers{&w.brief, &w.idle, &w.flagged} {
		for s := l.due(at); s != nil; s = l.due(at) {
			w.forget(s, "idle")
		}
	}
	w.commit()
	return w.res
}

// Stop ends all sessions: verdicts for what is held, pinholes closed.
func (w *Worker) Stop(now time.Time) Result {
	w.begin(now)
	for _, s := range w.sessions {
		w.forget(s, "ftpalg stops")
	}
	w.commit()
	return w.res
}

// Settle tells the sink what happened, in order, and finds out what there is to
// find out about pinholes that closed. It is called after the verdicts of a Result
// were given, since none of this needs to hold a packet up.
func (w *Worker) Settle(now time.Time) {
	for i := range w.pending {
		p := &w.pending[i]
		switch {
		case p.Kind == "" && p.session == nil: // it did not happen after all
		case p.session != nil:
			w.look(p.session, now)
		case p.Kind == PinholeClosed && p.Used && w.Flows != nil:
			if c, ok, err := w.Flows.Counters(p.Pinhole); err == nil && ok {
				p.Counters = c
			}
			w.Sink(p.Event)
		default:
			w.Sink(p.Event)
		}
		w.pending[i] = pending{}
	}
	w.pending = w.pending[:0]
}

func (w *Worker) begin(now time.Time) {
	w.now = now
	if w.began.IsZero() {
		w.began = now
	}
	w.res.Verdicts, w.res.Inject = w.res.Verdicts[:0], w.res.Inject[:0]
	clear(w.owners)
	w.ops, w.owners = w.ops[:0], w.owners[:0]
}

func (w *Worker) verdict(id uint32, drop bool, data []byte) {
	w.res.Verdicts = append(w.res.Verdicts, Verdict{ID: id, Drop: drop, Data: data})
}

// packet sees to it that one packet gets its verdict, now or when it was held.
func (w *Worker) packet(p Packet) {
	w.stats.Packets++
	seg, err := tcp.Parse(p.Data)
	if err != nil {
		w.stats.Unreadable++
		w.verdict(p.ID, false, nil)
		return
	}
	if !w.AnyChecksum && !seg.ChecksumOK() && (!w.Offload || !seg.ChecksumPartial()) {
		w.stats.Checksum++
		w.verdict(p.ID, false, nil)
		return
	}
	flow, d, ok := w.orient(&seg)
	if !ok || !w.Policy.Helps(flow.Client.Addr(), flow.Server.Addr()) {
		w.verdict(p.ID, false, nil)
		return
	}
	s := w.sessions[flow]
	switch {
	case seg.Has(tcp.SYN):
		w.handshake(s, flow, d, &seg)
		w.verdict(p.ID, false, nil)
	case seg.Has(tcp.RST):
		if s != nil {
			w.reset(s, d, seg.Seq)
		}
		w.verdict(p.ID, false, nil)
	case !seg.Has(tcp.ACK): // no receiver reads it (RFC 9293, section 3.10.7.4)
		w.stats.Outside++
		w.verdict(p.ID, false, nil)
	case s == nil && len(seg.Payload) == 0:
		w.verdict(p.ID, false, nil)
	case s == nil:
		if s = w.unknown(flow, d, &seg); s == nil {
			w.verdict(p.ID, false, nil)
			return
		}
		fallthrough
	default:
		w.segment(s, d, &seg, p.ID)
	}
}

// orient tells which end of a segment is the server: the one at a control port,
// and where both are, the one that a known session says, or that answers a SYN.
func (w *Worker) orient(seg *tcp.Segment) (Flow, side, bool) {
	up := Flow{Client: seg.Src, Server: seg.Dst}
	down := Flow{Client: seg.Dst, Server: seg.Src}
	goesUp := slices.Contains(w.Policy.Ports, seg.Dst.Port())
	goesDown := slices.Contains(w.Policy.Ports, seg.Src.Port())
	if goesUp && goesDown {
		_, known := w.sessions[down]
		goesUp = !known && !seg.Has(tcp.SYN|tcp.ACK)
	}
	switch {
	case goesUp:
		return up, fromClient, true
	case goesDown:
		return down, fromServer, true
	}
	return Flow{}, 0, false
}

// commit makes the batch's changes and settles what became of them. Where the
// transaction fails each change is tried by itself: one session's must not cost
// another's.
func (w *Worker) commit() {
	if len(w.ops) == 0 {
		return
	}
	err := w.Pinholes.Commit(w.ops)
	for i, s := range w.owners {
		one := err
		if err != nil && len(w.ops) > 1 {
			one = w.Pinholes.Commit(w.ops[i : i+1])
		}
		if one != nil {
			w.failed(i, one)
		} else {
			s.committed(w.ops[i])
		}
	}
	for i := range w.pending {
		w.pending[i].op = 0
	}
}

// failed takes back what was believed of one op.
func (w *Worker) failed(i int, err error) {
	w.stats.Failures++
	s, op := w.owners[i], w.ops[i]
	e := w.event(s, Failure, "the packet filter refused a change")
	e.Pinhole, e.Err = op.Pinhole, err
	told := false
	for at := range w.pending { // what depends on it did not happen
		if w.pending[at].op == i+1 {
			w.pending[at] = pending{}
			if !told {
				w.pending[at].Event, told = e, true
			}
		}
	}
	if !told {
		w.tell(e)
	}
	switch {
	case op.Kind == OpClose:
		w.unclosed = append(w.unclosed, unclosed{s, op.Pinhole, w.now.Add(w.Policy.Timeout)})
	case op.Kind == OpOpen && s.ann.state == open && s.ann.pinhole == op.Pinhole:
		s.hole.stop()
		s.ann.clear()
	}
}

// unclosed is a pinhole that the packet filter would not close.
type unclosed struct {
	session *session
	pinhole Pinhole
	until   time.Time // then it is gone by its own time-out
}

// closeAgain tries again to close what could not be closed.
func (w *Worker) closeAgain() {
	for _, u := range w.unclosed {
		if w.now.Before(u.until) && (u.session.ann.state != open || u.session.ann.pinhole != u.pinhole) {
			w.do(u.session, Op{Kind: OpClose, Pinhole: u.pinhole})
		}
	}
	w.unclosed = w.unclosed[:0]
}

func (w *Worker) do(s *session, op Op) {
	w.ops = append(w.ops, op)
	w.owners = append(w.owners, s)
}

func (w *Worker) event(s *session, k Kind, reason string) Event {
	return Event{
		Time: w.now, Kind: k, Session: s.id, Client: s.flow.Client, Server: s.flow.Server, Reason: reason,
	}
}

func (w *Worker) tell(e Event) { w.pending = append(w.pending, pending{Event: e}) }

// newSession returns nil where there is no room for one more.
func (w *Worker) newSession(flow Flow) *session {
	c := w.Limits.begin(flow.Client.Addr())
	if old := w.brief.head; c == nil && old != nil &&
		(old.session.flow.Client.Addr() == flow.Client.Addr() || w.Limits.full()) {
		w.forget(old.session, "no room") // what has not begun, or is over
		c = w.Limits.begin(flow.Client.Addr())
	}
	if c == nil {
		w.stats.Unhelped++
		return nil
	}
	w.last++
	s := &session{id: w.last, flow: flow, client: c}
	for _, t := range []*timer{&s.life, &s.calm, &s.hole, &s.wait} {
		t.session = s
	}
	w.sessions[flow] = s
	return s
}
