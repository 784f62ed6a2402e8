package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// Bounds on the events that may wait to be logged. What a client makes happen as often as
// it likes has less room than the rest, and one client has less than all.
const (
	maxEvents = 8192
	reserved  = 2048 // of them, for what cannot be had at will
	maxOfOne  = 1024 // of what one client has happen at will
)

// gatherFor is how long events are gathered before they are logged, if not many come: a
// wake-up, a system call and a question to the kernel for each would cost more than what
// they tell of. A crash loses what is gathered.
const gatherFor = 50 * time.Millisecond

// events takes what the workers report to the log and to those who follow, off the
// packet path.
type events struct {
	log     *slog.Logger
	records slog.Handler // of the log; what it is given waits for flush
	flush   func() error
	count   counter // nil: what data connections carry is not known

	gathering sync.Mutex
	waiting   *gathered
	lost      uint64        // events that there was no room for
	ended     bool          // nothing is taken any more
	changed   chan struct{} // something was told; nil: nobody wants to know
	some      chan struct{} // the first event waits, or there will be none
	many      chan struct{} // they should not wait any longer

	mu        sync.Mutex
	followers map[chan event.JSON]struct{}
	closed    bool
}

// counter asks what passed through the data connections that used the pinholes.
type counter interface {
	Counters(pinholes []alg.Pinhole) ([]alg.Counters, error)
}

func newEvents(log *slog.Logger) *events {
	e := &events{
		log: log, records: log.Handler(), flush: func() error { return nil },
		waiting: newGathered(), some: make(chan struct{}, 1), many: make(chan struct{}, 1),
		followers: make(map[chan event.JSON]struct{}),
	}
	if p, ok := e.records.(prompt); ok {
		e.records, e.flush = p.Handler, p.out.flush
	}
	return e
}

// sink is an alg.Sink for several workers. It does not wait.
func (e *events) sink(ev alg.Event) {
	e.gathering.Lock()
	defer e.gathering.Unlock()
	if e.ended {
		e.lost++
		return
	}
	g, client := e.waiting, of(ev)
	s, n := g.shares[client], len(g.events)
	room := n < maxEvents
	if atWill(ev.Kind) {
		room = n < maxEvents-reserved && s.n < maxOfOne
	}
	switch {
	case room:
		s.n++
		g.events = append(g.events, ev)
	case s.n > 0:
		if s.lost == 0 {
			g.losers = append(g.losers, ev)
		}
		s.lost++
		fallthrough
	default: // many clients are not told of one by one
		e.lost++
	}
	if s.n > 0 {
		g.shares[client] = s
	}
	if room && n == 0 {
		signal(e.some)
	}
	if room && (s.n == maxOfOne/2 || n == maxEvents/4) {
		signal(e.many)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it was given and not yet heard
	}
}

// take returns what waits, and leaves what is empty in its place. lost is how many events
// there was no room for until now; none come any more where ended is true.
func (e *events) take(empty *gathered) (waiting *gathered, lost uint64, ended bool) {
	e.gathering.Lock()
	defer e.gathering.Unlock()
	waiting, e.waiting = e.waiting, empty
	return waiting, e.lost, e.ended
}

// leftOut returns how many events there was no room for.
func (e *events) leftOut() uint64 {
	e.gathering.Lock()
	defer e.gathering.Unlock()
	return e.lost
}

// close comes after the last event of the workers. What is told later is lost.
func (e *events) close() {
	e.gathering.Lock()
	defer e.gathering.Unlock()
	e.ended = true
	signal(e.some)
	signal(e.many)
}

// follow returns the events from now on. One who does not keep up misses some.
func (e *events) follow() (<-chan event.JSON, func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := make(chan event.JSON, maxEvents)
	if e.closed {
		close(c)
		return c, func() {}
	}
	e.followers[c] = struct{}{}
	return c, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.followers, c)
	}
}

// run logs until close. Losses are told when they begin, and at the end their number.
func (e *events) run() error {
	told := false
	batch := newGathered()
	for ended := false; !ended; {
		<-e.some
		select {
		case <-e.many:
		case <-time.After(gatherFor):
		}
		var lost uint64
		batch.empty()
		batch, lost, ended = e.take(batch)
		e.counted(batch.events)
		for _, all := range [][]alg.Event{batch.events, batch.left()} {
			for i := range all {
				e.write(&all[i])
			}
		}
		signal(e.changed)
		_ = e.flush() // there is no other place to tell that the log cannot be written
		if !told && lost > 0 {
			told = true
			e.log.Warn("events come faster than they are logged: some are left out")
		}
		if ended && lost > 0 {
			e.log.Warn("events were left out of the log", "events", lost)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for c := range e.followers {
		close(c)
	}
	clear(e.followers)
	return nil
}

// counted adds what passed through the data connections that have come to their end. That
// it is not known is no loss that matters.
func (e *events) counted(batch []alg.Event) {
	if e.count == nil {
		return
	}
	var pinholes []alg.Pinhole
	for i := range batch {
		if ev := &batch[i]; ev.Kind == alg.PinholeClosed && ev.Used {
			pinholes = append(pinholes, ev.Pinhole)
		}
	}
	counters, err := e.count.Counters(pinholes)
	if err != nil || len(counters) < len(pinholes) {
		return
	}
	for i := range batch {
		if ev := &batch[i]; ev.Kind == alg.PinholeClosed && ev.Used {
			ev.Counters, counters = counters[0], counters[1:]
		}
	}
}

// write makes one log record of an event and passes it to the followers.
func (e *events) write(ev *alg.Event) {
	j := event.From(*ev)
	e.mu.Lock()
	for c := range e.followers {
		select {
		case c <- j:
		default:
		}
	}
	e.mu.Unlock()
	text, level := describe(ev.Kind)
	if !e.records.Enabled(context.Background(), level) {
		return
	}
	r := slog.NewRecord(ev.Time, level, text, 0)
	r.AddAttrs(j.Attrs()...)
	_ = e.records.Handle(context.Background(), r)
}

// describe says in plain words what happened, and how much it matters.
func describe(k alg.Kind) (string, slog.Level) {
	switch k {
	case alg.SessionStart:
		return "session started", slog.LevelInfo
	case alg.SessionEnd:
		return "session ended", slog.LevelInfo
	case alg.PinholeAnnounced:
		return "data connection announced", slog.LevelInfo
	case alg.PinholeOpen:
		return "pinhole opened", slog.LevelInfo
	case alg.PinholeUsed:
		return "pinhole used", slog.LevelInfo
	case alg.PinholeClosed:
		return "pinhole closed", slog.LevelInfo
	case alg.PinholeRefused:
		return "pinhole refused", slog.LevelInfo
	case alg.PinholeMissed:
		return "data connection found no pinhole", slog.LevelWarn
	case alg.PassiveOff:
		return "passive mode is not helped any more", slog.LevelInfo
	case alg.FTPSAdmitted:
		return "data connection under TLS admitted", slog.LevelInfo
	case alg.FTPSRefused:
		return "data connections under TLS refused", slog.LevelInfo
	case alg.AuthTLS:
		return "TLS asked for", slog.LevelInfo
	case alg.NotFTP:
		return "not FTP", slog.LevelInfo
	case alg.Violation:
		return "violation", slog.LevelWarn
	case alg.Overload:
		return "overload", slog.LevelWarn
	case alg.Failure:
		return "failure", slog.LevelError
	default:
		return string(k), slog.LevelInfo
	}
}
