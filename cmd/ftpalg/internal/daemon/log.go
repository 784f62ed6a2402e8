package daemon

import (
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
)

// NewLogger returns the logger that the configuration asks for. It writes to f, and
// "auto" looks there whether a person reads it.
func NewLogger(f *os.File, c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" || c.Format == "auto" && terminal(f) {
		return slog.New(slog.NewTextHandler(f, options))
	}
	return slog.New(slog.NewJSONHandler(f, options))
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
