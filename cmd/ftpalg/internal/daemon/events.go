package daemon

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// maxEvents is how many events may wait to be logged.
const maxEvents = 4096

// events takes what the workers report to the log and to those who follow, off the
// packet path.
type events struct {
	log  *slog.Logger
	wait chan alg.Event
	lost atomic.Uint64 // there was no room to wait

	mu        sync.Mutex
	followers map[chan event.JSON]struct{}
	closed    bool
}

func newEvents(log *slog.Logger) *events {
	return &events{log: log, wait: make(chan alg.Event, maxEvents), followers: make(map[chan event.JSON]struct{})}
}

// sink is an alg.Sink for several workers.
func (e *events) sink(ev alg.Event) {
	select {
	case e.wait <- ev:
	default:
		e.lost.Add(1)
	}
}

// close comes after the last event.
func (e *events) close() { close(e.wait) }

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
	for ev := range e.wait {
		e.write(ev)
		if !told && e.lost.Load() > 0 {
			told = true
			e.log.Warn("events come faster than they are logged: some are left out")
		}
	}
	if n := e.lost.Load(); n > 0 {
		e.log.Warn("events were left out of the log", "events", n)
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

// write makes one log record of an event and passes it to the followers.
func (e *events) write(ev alg.Event) {
	j := event.From(ev)
	e.mu.Lock()
	for c := range e.followers {
		select {
		case c <- j:
		default:
		}
	}
	e.mu.Unlock()
	text, level := describe(ev.Kind)
	if !e.log.Enabled(context.Background(), level) {
		return
	}
	r := slog.NewRecord(ev.Time, level, text, 0)
	r.AddAttrs(j.Attrs()...)
	_ = e.log.Handler().Handle(context.Background(), r)
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
