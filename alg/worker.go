package alg

import (
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// How long sessions are remembered without a packet.
const (
	handshaking = 60 * time.Second   // until the server greets
	loggingIn   = 10 * time.Minute   // until the client is logged in; servers give less
	normally    = 5 * 24 * time.Hour // as long as conntrack remembers the flow by default
	ending      = 60 * time.Second   // of what was condemned

	heldTime = time.Second      // a segment that waits for a gap to fill
	quiet    = 60 * time.Second // until a session gives back memory
	tick     = 100 * time.Millisecond
)

// WorkerConfig is what a Worker is made of.
type WorkerConfig struct {
	Policy   Policy
	Pinholes Pinholes
	Flows    Flows // may be nil: then nothing is vouched for
	Sink     Sink
	Limits   *Limits
	// Translations may be nil: then a connection is taken for one that is not translated.
	Translations Translations
	Outside      *Outside // not nil where Translations is not
	// Workers is how many share the sessions, and Index, from 0, which of them this is: each
	// has its own share of the numbers of sessions, so that they are unique and stay short. No
	// Workers means one.
	Workers, Index int
	// Vouched reports, for a flow whose SYN was not seen, that its dialogue may be taken
	// up for active mode. It may be nil: then none is.
	Vouched func(Flow) bool
	// Saved returns what Suspend returned of a flow, once. It may be nil.
	Saved func(Flow) (Saved, bool)
	// Offload takes a TCP checksum that was left to the network card for a good
	// one. Captures have such; packets from a queue do not.
	Offload bool
	// AnyChecksum takes every TCP checksum for a good one.
	AnyChecksum bool
}

// Stats counts what a Worker met. All numbers but the last two only grow.
type Stats struct {
	Packets    uint64 `json:"packets"`    // given to Batch
	Unreadable uint64 `json:"unreadable"` // not a whole TCP segment
	Checksum   uint64 `json:"checksum"`   // passed unread: wrong TCP checksum
	Outside    uint64 `json:"outside"`    // passed unread: sequence number out of any window
	Unhelped   uint64 `json:"unhelped"`   // connections that there was no room for
	Astray     uint64 `json:"astray"`     // dropped: came in elsewhere than its sender is
	Conflicts  uint64 `json:"conflicts"`  // dropped: bytes that differ from those that passed
	Held       uint64 `json:"held"`       // kept back until a gap was filled
	Unheld     uint64 `json:"unheld"`     // dropped: no room to keep or to remember them
	Expired    uint64 `json:"expired"`    // dropped: the gap was not filled in time
	Lost       uint64 `json:"lost"`       // times that bytes had gone by unseen
	Failures   uint64 `json:"failures"`   // changes that the packet filter refused
	Unvouched  uint64 `json:"unvouched"`  // sessions that a crash would end, for want of a label

	Sessions uint64 `json:"sessions"` // that are followed
	Open     uint64 `json:"open"`     // pinholes that are open, as far as is known
}

// Worker follows the control connections of one queue. It is not safe for
// concurrent use; workers share nothing but what their configuration shares.
type Worker struct {
	WorkerConfig
	sessions  map[key]*session
	listed    []*session        // the same, to be told part by part
	pinholes  map[Pinhole]int   // how many sessions have it open
	standing  map[Pinhole]bool  // the packet filter may translate for it
	strangers map[key]stranger  // connections without a session that are translated
	nearby    map[ends]*session // who announced last that one end waits for the other there
	ranges    map[Range]int     // how many sessions have it admitted
	next      uint64            // number of the next session
	stats     Stats
	tally     Tally

	handshaking, loggingIn, idle, ending timers // one of them holds a session's life
	calm                                 timers // until a session gives back memory
	opened                               timers // pinholes
	admitted                             timers // ranges that are to be admitted anew

	began   time.Time // the first call
	calls   uint64
	now     time.Time
	res     Result
	changes []change
	again   map[retry]change // that the packet filter refused
	after   []change         // used ones, closed: nothing waits for that
	pending []pending
	trusted []*session // to be vouched for
	holding []*session // with packets that wait
	leaving []leaving  // what was held, of sessions that ended
	said    []dialogue.Decision
	ops     []Op // scratch
}

// NewWorker returns a Worker without sessions.
func NewWorker(c WorkerConfig) *Worker {
	return &Worker{
		WorkerConfig: c,
		sessions:     make(map[key]*session),
		pinholes:     make(map[Pinhole]int),
		standing:     make(map[Pinhole]bool),
		strangers:    make(map[key]stranger),
		nearby:       make(map[ends]*session),
		ranges:       make(map[Range]int),
		again:        make(map[retry]change),
		next:         uint64(c.Index + 1),
		handshaking:  timers{delay: handshaking},
		loggingIn:    timers{delay: loggingIn},
		idle:         timers{delay: normally},
		ending:       timers{delay: ending},
		calm:         timers{delay: quiet},
		opened:       timers{delay: openFor(&c.Policy)},
		admitted:     timers{delay: admittedAnew},
	}
}

// openFor returns how long an unused pinhole stays. The kernel's own time-out is exact, but
// cannot be told from a use: some ticks earlier the pinhole is taken away while it can still
// be asked about.
func openFor(p *Policy) time.Duration { return max(p.Timeout-3*tick, tick) }

// Sessions returns how many control connections are followed.
func (w *Worker) Sessions() int { return len(w.sessions) }

// Translated reports whether any of the control connections that are followed is translated,
// and has not ended at both ends.
func (w *Worker) Translated() bool {
	for _, s := range w.sessions {
		if s.nat != nil && !s.conn.Finished() {
			return true
		}
	}
	return false
}

// Stats returns what was counted so far.
func (w *Worker) Stats() Stats {
	s := w.stats
	s.Sessions, s.Open = uint64(len(w.sessions)), uint64(w.opened.n)
	return s
}

// Batch reads packets in the order in which they were queued. When it returns, the
// pinholes that they open are in force. A packet that has to wait gets its verdict
// in a later Result.
func (w *Worker) Batch(now time.Time, packets []Packet) Result {
	w.begin(now)
	for i := range packets {
		w.packet(&packets[i])
		w.leave()
	}
	w.commit()
	return w.res
}

// Tick does what has fallen due. It wants to be called about every 100 ms, but see Rest.
func (w *Worker) Tick(now time.Time) Result {
	w.begin(now)
	at := w.clock()
	for s := w.opened.due(at); s != nil; s = w.opened.due(at) {
		if s.announced.until.stop(); !s.noteUse() {
			s.decide(s.talk.Withdraw("timeout", nil))
		}
	}
	w.holding = slices.DeleteFunc(w.holding, func(s *session) bool { // no more than the limits let wait
		s.expire()
		return !s.holds
	})
	for s := w.calm.due(at); s != nil; s = w.calm.due(at) {
		s.calm.stop()
		s.shrink()
	}
	for s := w.admitted.due(at); s != nil; s = w.admitted.due(at) {
		s.admitAnew()
	}
	for _, l := range []*timers{&w.handshaking, &w.loggingIn, &w.idle, &w.ending} {
		for s := l.due(at); s != nil; s = l.due(at) {
			s.forget("idle")
		}
	}
	w.leave()
	w.tryAgain()
	w.commit()
	return w.res
}

// Stop ends all sessions: verdicts for what is held, pinholes closed.
func (w *Worker) Stop(now time.Time) Result {
	w.begin(now)
	w.end()
	return w.res
}

func (w *Worker) end() {
	for _, s := range w.sessions {
		s.forget("ftpalg stops")
	}
	w.leave()
	w.holding = nil
	w.commit()
}

func (w *Worker) begin(now time.Time) {
	if w.now.IsZero() {
		w.began = now
	}
	w.now = now
	w.calls++
	w.res.Verdicts, w.res.Inject = w.res.Verdicts[:0], w.res.Inject[:0]
}

// clock is the time since the first call, from a moment on, in nanoseconds. It is
// measured by the monotonic clock where there is one: that of the wall may be set.
func (w *Worker) clock() int64 { return int64(time.Hour) + int64(w.now.Sub(w.began)) }

func (w *Worker) accept(id uint64, data []byte) {
	w.res.Verdicts = append(w.res.Verdicts, Verdict{ID: id, Data: data})
}

func (w *Worker) drop(id uint64) {
	w.res.Verdicts = append(w.res.Verdicts, Verdict{ID: id, Drop: true})
}

func (s *session) event(k Kind, reason string) Event {
	return Event{
		Time: s.w.now, Kind: k, Session: s.id, Client: s.flow.Client, Server: s.flow.Server, Outside: s.outside(), Reason: reason,
	}
}

// tell has the sink told with the end of this batch.
func (w *Worker) tell(e Event) { w.pending = append(w.pending, pending{Event: e}) }

// chatter counts events of a session between two connections that were admitted.
type chatter struct {
	refusals, announcements uint16
}

// chat tells an event that an attacker could have told as often as he likes, if that has
// not been told too often.
func (s *session) chat(e Event) {
	n, many := &s.chatter.refusals, uint16(64)
	switch e.Kind {
	case PinholeAnnounced, PinholeOpen, PinholeClosed:
		n, many = &s.chatter.announcements, 256
	}
	switch {
	case *n < many:
		s.w.tell(e)
	default:
		s.w.pending = append(s.w.pending, pending{Event: e, untold: true})
		if *n == many {
			s.w.tell(s.event(Overload, "too many events: no more are told until a connection is admitted"))
		}
	}
	*n = min(*n+1, many+1)
}
