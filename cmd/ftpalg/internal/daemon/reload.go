package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	notify "github.com/coreos/go-systemd/v22/daemon"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/metrics"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// Reload is how a running daemon gets another configuration.
type Reload struct {
	Asked <-chan os.Signal // each asks for it
	Read  func() (*config.Config, error)
	Level *slog.LevelVar // of the log
}

// reloads are what became of those that were asked for. They are safe for concurrent use.
type reloads struct {
	mu sync.Mutex
	metrics.Reloads
}

// done notes what became of one.
func (r *reloads) done(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Failed = err != nil; r.Failed {
		r.Refused++
		return
	}
	r.Loaded++
	r.Last = time.Now()
}

func (r *reloads) get() metrics.Reloads {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Reloads
}

// keepConfig reads the configuration again when that is asked for.
func (d *daemon) keepConfig(ctx context.Context) error {
	inForce := d.config
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.reload.Asked:
		}
		// What systemd was told must be younger than its signal: systemd.service(5),
		// Type=notify-reload.
		d.tell(notify.SdNotifyReloading + "\n" + notify.SdNotifyMonotonicUsec())
		next, err := d.revise(ctx, inForce)
		switch {
		case ctx.Err() != nil: // the end of all
			continue
		case err == nil:
			inForce = next
		default:
			d.refuse(err)
		}
		d.reloads.done(err)
		d.ready()
	}
}

// revise puts the configuration in force that the file has now. After an error the old one
// is.
func (d *daemon) revise(ctx context.Context, old *config.Config) (*config.Config, error) {
	read, err := d.reload.Read()
	if err != nil {
		return nil, err
	}
	next, waiting := old.Revised(read)
	if d.injector == nil && d.injects(next) {
		if err := d.openInjector(); err != nil {
			return nil, err
		}
	}
	if err := d.table.Widen(next.Table.SourcePorts, next.Table.FTPS); err != nil {
		return nil, err
	}
	d.limits.Set(next.Policy.MaxSessions, next.Policy.MaxSessionsPerClient)
	d.reload.Level.Set(next.Log.Level)
	for _, w := range d.workers {
		// None of them fails but where its queue does, which ends the daemon anyway.
		if err, _ := ask(ctx, w, func(a *alg.Worker) error {
			w.injector = d.injector
			now := time.Now()
			return w.answer(now, a.Revise(now, next.Policy))
		}); err != nil {
			return nil, err
		}
	}
	for _, w := range next.Warnings {
		d.log.Warn(w)
	}
	d.warnOfResets(next)
	for _, key := range waiting {
		d.log.Warn("a new value waits for a restart", "key", key)
	}
	d.log.Info("the configuration was read again, and is in force")
	return next, nil
}

// refuse tells why a configuration is not in force.
func (d *daemon) refuse(err error) {
	const text = "the new configuration is refused: the old one stays in force"
	var problems config.Problems
	if !errors.As(err, &problems) {
		d.log.Error(text, "error", err)
		return
	}
	for _, p := range problems {
		d.log.Error(text, "file", p.File, "line", p.Line, "key", p.Key, "error", p.Text)
	}
}

// injects reports whether a configuration may have connections be reset.
func (d *daemon) injects(c *config.Config) bool {
	return c.Policy.Reset || c.Policy.DenyTLS || d.translates
}

// warnOfResets says what the operator asks for and does not get.
func (d *daemon) warnOfResets(c *config.Config) {
	if (c.Policy.Reset || c.Policy.DenyTLS) && !d.injector.Raw() {
		d.log.Warn("without CAP_NET_RAW the client of a connection that is to be reset is not told: its packets are dropped until it gives up")
	}
}

func (d *daemon) openInjector() (err error) {
	if d.injector, err = queue.OpenInjector(); err != nil {
		return fmt.Errorf("preparing to reset connections: %w", err)
	}
	d.later(d.injector.Close)
	return nil
}
