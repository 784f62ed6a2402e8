// Package top shows the running daemon on the terminal, live: what it follows, what it has
// open, and what it did not help, with the setting that would have.
package top

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// daemon is what is asked. It is safe for concurrent use.
type daemon interface {
	Status(context.Context) (api.Status, error)
	// Snapshot returns all sessions, and the last announcement of each.
	Snapshot(context.Context) ([]api.Session, []api.Pinhole, error)
	// Events calls handle with each event from now on, until the daemon or ctx ends.
	Events(ctx context.Context, handle func(event.JSON) error) error
}

// client asks by the control socket.
type client struct{ *api.Client }

func (c client) Snapshot(ctx context.Context) ([]api.Session, []api.Pinhole, error) {
	sessions, err := c.Sessions(ctx)
	if err != nil {
		return nil, nil, err
	}
	pinholes, err := c.Pinholes(ctx)
	return sessions, pinholes, err
}

// Run shows the daemon that listens on the socket, until the user has had enough or ctx ends. A
// daemon that is not there is waited for. The terminal is left as it was found.
func Run(ctx context.Context, socket string) error {
	if _, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS); err != nil {
		return fmt.Errorf("this is no terminal: ftpalg status and ftpalg events can be read by programs")
	}
	// Without its terminal it would go on asking for nobody.
	ctx, stop := signal.NotifyContext(ctx, unix.SIGHUP)
	defer stop()
	m := newModel(ctx, client{api.NewClient(socket)}, time.Now())
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithoutSignalHandler()).Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}
