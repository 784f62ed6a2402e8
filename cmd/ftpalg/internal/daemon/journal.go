package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	slogjournal "github.com/systemd/slog-journal"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// journal is a handler for systemd's journal. Each attribute of a record is a field of its
// own there, FTPALG_CLIENT for "client", to be searched for; the message has them too, but for
// the name of the event, since it is all that journalctl shows unless asked for more. Records
// do not wait: each is a datagram.
type journal struct {
	slog.Handler              // sends the fields
	words        slog.Handler // writes what the message has beside its text to line
	line         *line
}

type line struct {
	sync.Mutex
	bytes.Buffer
}

func newJournal(level slog.Leveler) (journal, error) {
	fields, err := slogjournal.NewHandler(&slogjournal.Options{Level: level, ReplaceAttr: field, ReplaceGroup: strings.ToUpper})
	if err != nil {
		return journal{}, err
	}
	l := new(line)
	return journal{fields, slog.NewTextHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: beside}), l}, nil
}

// field writes an attribute as a field of the journal. Times are text, as in JSON.
func field(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		a.Key = "FTPALG_" + a.Key
	}
	a.Key = strings.ToUpper(a.Key)
	switch a.Value.Kind() {
	case slog.KindTime:
		a.Value = slog.StringValue(a.Value.Time().Format(time.RFC3339Nano))
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// beside leaves out what the message is or what the journal shows before it.
func beside(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, event.Name:
			return slog.Attr{}
		}
	}
	return a
}

// Handle implements slog.Handler.
func (j journal) Handle(ctx context.Context, r slog.Record) error {
	more, err := j.more(ctx, r)
	if more != "" {
		r.Message += ": " + more
	}
	return errors.Join(err, j.Handler.Handle(ctx, r))
}

func (j journal) more(ctx context.Context, r slog.Record) (string, error) {
	j.line.Lock()
	defer j.line.Unlock()
	j.line.Reset()
	err := j.words.Handle(ctx, r)
	return strings.TrimSuffix(j.line.String(), "\n"), err
}

// WithAttrs implements slog.Handler.
func (j journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journal{j.Handler.WithAttrs(attrs), j.words.WithAttrs(attrs), j.line}
}

// WithGroup implements slog.Handler.
func (j journal) WithGroup(name string) slog.Handler {
	return journal{j.Handler.WithGroup(name), j.words.WithGroup(name), j.line}
}

// journaled reports whether what is written to f goes to the journal: systemd tells a
// program the device and inode of the stream that it gave it.
func journaled(f *os.File) bool {
	var st unix.Stat_t
	stream := os.Getenv("JOURNAL_STREAM")
	return stream != "" && unix.Fstat(int(f.Fd()), &st) == nil && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
