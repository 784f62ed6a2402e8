package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
)

// NewLogger returns the logger that the configuration asks for. It writes to f, and
// "auto" looks there who reads it: a person, systemd's journal, which then gets the records by
// its own socket, or a program. The level may be changed later.
func NewLogger(f *os.File, c config.Log) (*slog.Logger, *slog.LevelVar) {
	out, level := &output{to: f}, new(slog.LevelVar)
	level.Set(c.Level)
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "text" || c.Format == "auto" && terminal(f) {
		return slog.New(prompt{slog.NewTextHandler(out, options), out}), level
	}
	if c.Format == "auto" && journaled(f) {
		if j, err := newJournal(level); err == nil {
			return slog.New(j), level
		}
	}
	return slog.New(prompt{slog.NewJSONHandler(out, options), out}), level
}

// output gathers records until they are flushed: events come by the thousand, and a system
// call for each took a fifth of the daemon's time. It is safe for concurrent use.
type output struct {
	mu      sync.Mutex
	to      io.Writer
	records []byte
}

// maxGathered is how many bytes are gathered at the most.
const maxGathered = 64 << 10

// Write adds a record.
func (o *output) Write(record []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records = append(o.records, record...)
	if len(o.records) < maxGathered {
		return len(record), nil
	}
	return len(record), o.write()
}

// flush writes what was gathered.
func (o *output) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.write()
}

func (o *output) write() error {
	if len(o.records) == 0 {
		return nil
	}
	_, err := o.to.Write(o.records)
	o.records = o.records[:0]
	return err
}

// prompt is a handler whose records are written at once, with what was gathered before them.
type prompt struct {
	slog.Handler // writes to out
	out          *output
}

// Handle implements slog.Handler.
func (p prompt) Handle(ctx context.Context, r slog.Record) error {
	return errors.Join(p.Handler.Handle(ctx, r), p.out.flush())
}

// WithAttrs implements slog.Handler.
func (p prompt) WithAttrs(attrs []slog.Attr) slog.Handler {
	return prompt{p.Handler.WithAttrs(attrs), p.out}
}

// WithGroup implements slog.Handler.
func (p prompt) WithGroup(name string) slog.Handler {
	return prompt{p.Handler.WithGroup(name), p.out}
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
