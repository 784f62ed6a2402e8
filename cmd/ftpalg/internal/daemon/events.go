package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// Bounds on the events that may wait to be logged. What a client makes happen as often as
// it likes has less room than the rest, and one client has less than all.
const (
	maxEvents = 4096
	reserved  = 1024 // of them, for what cannot be had at will
	maxOfOne  = 256  // of what one client has happen at will
)

// events takes what the workers report to the log and to those who follow, off the
// packet path.
type events struct {
	log  *slog.Logger
	wait chan alg.Event
	lost atomic.Uint64 // there was no room to wait

	counting sync.Mutex
	waiting  map[netip.Addr]*share // by client, of those that have any
	ended    bool                  // nothing is taken any more

	mu        sync.Mutex
	followers map[chan event.JSON]struct{}
	closed    bool
}

func newEvents(log *slog.Logger) *events {
	return &events{log: log, wait: make(chan alg.Event, maxEvents), waiting: make(map[netip.Addr]*share), followers: make(map[chan event.JSON]struct{})}
}

// share is what one client has in the queue.
type share struct {
	n    int
	lost int // that it had no room for, since the queue had none of it
}

// of returns whose share an event counts for: an IPv6 client is a network of 64 bits.
func of(ev alg.Event) netip.Addr {
	a := ev.Client.Addr()
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}

// atWill reports whether an event is one that a client can make happen as often as it likes.
func atWill(k alg.Kind) bool {
	switch k {
	case alg.PinholeAnnounced, alg.PinholeOpen, alg.PinholeUsed, alg.PinholeClosed, alg.PinholeRefused, alg.PinholeMissed, alg.FTPSAdmitted, alg.FTPSRefused:
		return true
	}
	return false
}

// sink is an alg.Sink for several workers. It does not wait.
func (e *events) sink(ev alg.Event) {
	e.counting.Lock()
	defer e.counting.Unlock()
	if e.ended {
		e.lost.Add(1)
		return
	}
	client := of(ev)
	s := e.waiting[client]
	if s == nil {
		s = &share{}
	}
	room := len(e.wait) < maxEvents
	if atWill(ev.Kind) {
		room = len(e.wait) < maxEvents-reserved && s.n < maxOfOne
	}
	if !room {
		e.lost.Add(1)
		s.lost++
		return
	}
	s.n++
	e.waiting[client] = s
	e.wait <- ev // there is room, and nobody else takes it
}

// took notes that an event does not wait any more. It returns how many were lost of its
// client, when none waits.
func (e *events) took(ev alg.Event) (lost int) {
	e.counting.Lock()
	defer e.counting.Unlock()
	client := of(ev)
	s := e.waiting[client]
	if s.n--; s.n > 0 {
		return 0
	}
	delete(e.waiting, client)
	return s.lost
}

// close comes after the last event of the workers. What is told later is lost.
func (e *events) close() {
	e.counting.Lock()
	defer e.counting.Unlock()
	e.ended = true
	close(e.wait)
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
	for ev := range e.wait {
		e.write(ev)
		if lost := e.took(ev); lost > 0 {
			e.write(alg.Event{
				Time: ev.Time, Kind: alg.Overload, Client: ev.Client, Server: ev.Server,
				Reason: fmt.Sprintf("%d events of this client were left out", lost),
			})
		}
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
