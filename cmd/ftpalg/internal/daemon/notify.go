package daemon

import (
	"context"
	"fmt"
	"os"
	"time"

	notify "github.com/coreos/go-systemd/v22/daemon"

	"github.com/ftpalg/ftpalg/alg"
)

// tell tells systemd, if it is there, how we are. That it does not listen is said once.
func (d *daemon) tell(state string) {
	if _, err := notify.SdNotify(false, state); err != nil && !d.untold.Swap(true) {
		d.log.Warn("systemd could not be told", "state", state, "error", err)
	}
}

// statusEvery is how often systemd is told of sessions and pinholes at the most.
const statusEvery = time.Second

// keepStatus tells systemd how many sessions and pinholes there are, when events say that
// there may be others.
func (d *daemon) keepStatus(ctx context.Context) error {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.changed:
		}
		select { // whatever changes meanwhile is told with it
		case <-ctx.Done():
			return nil
		case <-time.After(statusEvery):
		}
		if text := d.status(); text != d.shown.Load() {
			d.shown.Store(text)
			d.tell("STATUS=" + text)
		}
	}
}

// ready tells systemd that the configuration is in force, or another one is, and how many
// sessions there are.
func (d *daemon) ready() {
	text := d.status()
	d.shown.Store(text)
	d.tell(notify.SdNotifyReady + "\nSTATUS=" + text)
}

// status is what `systemctl status` shows.
func (d *daemon) status() string {
	var sessions, open int64
	for _, w := range d.workers {
		sessions += w.sessions.Load()
		open += w.open.Load()
	}
	text := fmt.Sprintf("%d sessions, %d open pinholes", sessions, open)
	if d.reloads.get().Failed {
		text += "; the last configuration was refused, see the log"
	}
	return text
}

// keepWatchdog has systemd's watchdog know that every worker goes round. One that has had
// packets since the last time need not be asked.
func (d *daemon) keepWatchdog(ctx context.Context) error {
	limit, err := notify.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("systemd's watchdog is not fed", "error", err)
		return nil
	}
	if limit == 0 {
		return nil
	}
	ticker := time.NewTicker(limit / 3)
	defer ticker.Stop()
	batches := make([]uint64, len(d.workers))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(ctx, limit/3)
		alive := true
		for i, w := range d.workers {
			before := batches[i]
			batches[i] = w.queue.Counters().Batches
			if before != batches[i] {
				continue
			}
			if _, ok := ask(asking, w, func(*alg.Worker) struct{} { return struct{}{} }); !ok && ctx.Err() == nil {
				d.log.Error("a worker does not go round", "queue", w.queue.Number())
				alive = false
			}
		}
		cancel()
		if alive {
			d.tell(notify.SdNotifyWatchdog)
		}
	}
}
