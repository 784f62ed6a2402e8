package daemon

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/metrics"
	"github.com/ftpalg/ftpalg/cmd/internal/version"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// counts are what the daemon counts itself. They are safe for concurrent use.
type counts struct {
	tableRestored, lineRestored atomic.Uint64
}

// timed measures the transactions of one worker. It is used by its goroutine.
type timed struct {
	alg.Pinholes
	took *alg.Histogram
}

// Commit implements alg.Pinholes.
func (t timed) Commit(ops []alg.Op) error {
	began := time.Now()
	err := t.Pinholes.Commit(ops)
	t.took.Observe(time.Since(began), 1)
	return err
}

// Numbers implements metrics.Source.
func (a *answers) Numbers(ctx context.Context) (metrics.Numbers, error) {
	n := metrics.Numbers{
		Version:       version.String(),
		EventsLost:    a.d.events.leftOut(),
		TableRestored: a.d.counts.tableRestored.Load(),
		LineRestored:  a.d.counts.lineRestored.Load(),
		Reloads:       a.d.reloads.get(),
	}
	n.Standings = a.d.standing() // without them there are no metrics of theirs
	for _, w := range a.d.workers {
		counted, ok := ask(ctx, w, w.numbers)
		if !ok {
			return metrics.Numbers{}, fmt.Errorf("the worker of queue %d does not answer", w.queue.Number())
		}
		n.Workers = append(n.Workers, counted)
	}
	return n, nil
}

// standingsName is what systemd calls the file that it has opened for us: OpenFile= in the
// unit, as the daemon's own user may not.
const standingsName = "queues"

// standing returns what the kernel says of the queues; nil: it is not known.
func (d *daemon) standing() map[uint16]queue.Standing {
	if d.standings == nil {
		return nil
	}
	all, _ := queue.Standings(d.standings)
	return all
}

// openStandings opens what tells how full the queues are.
func (d *daemon) openStandings() {
	for _, f := range activation.Files(true) {
		if f.Name() == standingsName && d.standings == nil {
			d.standings = f
		} else {
			_ = f.Close()
		}
	}
	if d.standings == nil {
		var err error
		if d.standings, err = os.Open(queue.StandingsFile); err != nil {
			d.log.Warn("how full the queues are will not be known", "error", err)
			d.standings = nil
			return
		}
	}
	d.later(d.standings.Close)
}

// numbers returns what the worker has counted.
func (w *worker) numbers(a *alg.Worker) metrics.Worker {
	return metrics.Worker{
		Queue: w.queue.Number(), Guard: w.queue.Guard(),
		Stats: a.Stats(), Tally: a.Tally(), Served: w.served, Counts: w.queue.Counters(),
	}
}
