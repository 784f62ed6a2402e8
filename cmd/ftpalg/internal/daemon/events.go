package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/ftpalg/ftpalg/alg"
)

// maxEvents is how many events may wait to be logged.
const maxEvents = 4096

// events takes what the workers report to the log, off the packet path.
type events struct {
	log  *slog.Logger
	wait chan alg.Event
	lost atomic.Uint64 // there was no room to wait
}

func newEvents(log *slog.Logger) *events {
	return &events{log: log, wait: make(chan alg.Event, maxEvents)}
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
	return nil
}

// write makes one log record of an event. The attributes are named as in the JSON
// of `ftpalg events`.
func (e *events) write(ev alg.Event) {
	text, level := describe(ev.Kind)
	if !e.log.Enabled(context.Background(), level) {
		return
	}
	r := slog.NewRecord(ev.Time, level, text, 0)
	r.AddAttrs(slog.String("event", string(ev.Kind)))
	if ev.Session != 0 {
		r.AddAttrs(slog.Uint64("session", ev.Session))
	}
	if ev.Client.IsValid() {
		r.AddAttrs(slog.Any("client", ev.Client), slog.Any("server", ev.Server))
	}
	if ev.Reason != "" {
		r.AddAttrs(slog.String("reason", ev.Reason))
	}
	if p := ev.Pinhole; p.Dest.IsValid() {
		r.AddAttrs(
			slog.Any("mode", p.Mode),
			slog.Any("source", p.Source),
			slog.Any("source_port", p.SourcePort),
			slog.Any("address", p.Dest.Addr()),
			slog.Any("port", p.Dest.Port()),
		)
	}
	if !ev.OpenedAt.IsZero() {
		r.AddAttrs(slog.Time("opened_at", ev.OpenedAt))
	}
	if ev.Kind == alg.PinholeClosed {
		r.AddAttrs(slog.Bool("used", ev.Used))
		if !ev.OpenedAt.IsZero() {
			r.AddAttrs(slog.String("lifetime", ev.Open.String()))
		}
		if ev.Counters.Packets > 0 {
			r.AddAttrs(slog.Uint64("packets", ev.Counters.Packets), slog.Uint64("bytes", ev.Counters.Bytes))
		}
	}
	if ev.Err != nil {
		r.AddAttrs(slog.String("error", ev.Err.Error()))
	}
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
