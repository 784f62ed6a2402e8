// Package daemon runs the ALG on the machine: it puts what is ours in the kernel in
// place, starts the tasks that serve it, and takes everything away again.
package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	notify "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/metrics"
	"github.com/ftpalg/ftpalg/conntrack"
	"github.com/ftpalg/ftpalg/nft"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// queueLen is how many packets a queue holds, with those that a worker holds back.
// queue.Open's read buffer fits as many of common size.
const queueLen = 8192

// daemon is what a call of Run has in its hands.
type daemon struct {
	config *config.Config
	log    *slog.Logger
	events *events

	queues   []*queue.Queue
	anchor   *nft.Anchor // nil: the operator's ruleset is not to be touched
	unplaced trouble     // why the accept line is not in place
	table    *nft.Table
	packets  *queue.Log      // copies of packets that the table tells of; nil: none come
	flows    *conntrack.Conn // nil: the kernel has none
	workers  []*worker

	caps       nft.Caps
	translates bool // control connections that are translated are served, and guarded
	guarded    bool // at the end: there were such

	resumable *resumable

	listener net.Listener // of the control socket; nil: off
	scraped  net.Listener // of the metrics; nil: off
	counts   counts

	standings *os.File // how full the queues are; nil: not known

	reload   Reload
	reloads  reloads
	limits   *alg.Limits
	injector *queue.Injector // nil: no connection is reset
	changed  chan struct{}   // what systemd is to be told
	shown    atomic.Value    // the last STATUS= that it was told
	untold   atomic.Bool     // it could not be told something
	started  time.Time

	undo []func() error // in the order of the doing
}

// Run serves until ctx ends. It returns nil then, with nothing left behind but what
// the configuration wants to outlive the daemon. It runs once in a network namespace.
func Run(ctx context.Context, c *config.Config, log *slog.Logger, r Reload) error {
	d := &daemon{
		config: c, log: log, events: newEvents(log), started: time.Now(), resumable: newResumable(),
		reload: r, changed: make(chan struct{}, 1),
	}
	d.reloads.Last = d.started
	d.events.changed = d.changed
	err := d.start()
	if err == nil {
		err = d.serve(ctx)
	}
	return errors.Join(err, d.stop())
}

// start takes what serving needs, in an order that makes sense backwards as well:
// the queues listen before a rule feeds them, and are given up after it is gone.
func (d *daemon) start() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	d.later(unlock)
	if d.config.Metrics != "" {
		if d.scraped, err = metrics.Listen(d.config.Metrics); err != nil {
			return err
		}
		d.later(func() error { d.scraped.Close(); return nil })
	}
	caps, err := nft.Probe()
	if err != nil {
		return err
	}
	d.caps, d.translates = caps, d.config.Table.Translates(caps)
	if err := d.openQueues(); err != nil {
		return err
	}
	d.openStandings() // the kernel may have begun to tell just now
	if err := d.openAnchor(); err != nil {
		return err
	}
	d.openLog()
	table := d.config.Table
	if table.Before, table.After, err = nft.Placement(table.Hooks); err != nil {
		return err
	}
	if d.table, err = nft.Install(table, caps); err != nil {
		return err
	}
	d.later(d.closeTable)
	if err := d.ensureAnchor(); err != nil {
		return err
	}
	for _, w := range d.config.Warnings {
		d.log.Warn(w)
	}
	if d.config.Socket != "" {
		// FTP is served without it too; another network namespace may have it.
		if d.listener, err = api.Listen(d.config.Socket); err != nil {
			d.log.Warn("ftpalg status, sessions, pinholes and events will not work", "error", err)
		} else {
			d.later(func() error { d.listener.Close(); return nil })
		}
	}
	return d.makeWorkers()
}

// later remembers how to undo what was just done.
func (d *daemon) later(undo func() error) { d.undo = append(d.undo, undo) }

// stop undoes all that was done, the last first.
func (d *daemon) stop() error {
	var errs []error
	for _, undo := range slices.Backward(d.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

func (d *daemon) openQueues() error {
	t := d.config.Table
	for i := range t.Workers {
		c := queue.Config{Number: t.Queue + uint16(i), MaxLen: queueLen, FailOpen: d.config.FailOpen}
		if d.translates {
			c.Guard = t.GuardQueue() + uint16(i)
		}
		q, err := queue.Open(c)
		if err != nil {
			return err
		}
		if got, wanted := q.Room(); got < wanted && i == 0 {
			d.log.Warn("a burst of packets has less room than it should: see sysctl net.core.rmem_max", "bytes", got, "wanted", wanted)
		}
		d.queues = append(d.queues, q)
		d.later(func() error { return errors.Join(drain(q, !t.Bypass), q.Close()) })
	}
	return nil
}

// closeTable takes away what the table is, but for what guards connections that are
// translated, if there are any: what they say must not pass unread.
func (d *daemon) closeTable() error {
	if d.guarded {
		return d.table.CloseGuarded()
	}
	return d.table.Close()
}

// drain answers the packets that came after the workers had ended: the same becomes
// of them as of those that no daemon listens to. What is guarded never passes.
func drain(q *queue.Queue, drop bool) error {
	return q.Drain(func(packets []queue.Packet) error {
		verdicts := make([]queue.Verdict, len(packets))
		for i, p := range packets {
			verdicts[i] = queue.Verdict{ID: p.ID, Drop: drop || p.Queue() != q.Number()}
		}
		return q.Verdicts(verdicts)
	})
}

func (d *daemon) makeWorkers() error {
	c := alg.WorkerConfig{
		Policy: d.config.Policy,
		Sink:   d.events.sink,
		Limits: alg.NewLimits(d.config.Policy.MaxSessions, d.config.Policy.MaxSessionsPerClient),
	}
	d.limits = c.Limits
	flows, err := conntrack.Open(d.config.Table.Tag.Label + 1)
	if err != nil {
		d.log.Warn("the traffic of data connections will not be known, and no session outlives the daemon", "error", err)
	} else {
		d.later(flows.Close)
		c.Flows, d.flows = flows, flows
		if d.translates {
			c.Translations, c.Outside = &translations{flows, d.table, d.events.sink}, &alg.Outside{}
		}
		d.openCounting()
	}
	d.takeUp()
	c.Vouched, c.Saved = d.resumable.takeVouched, d.resumable.takeSaved
	if d.injects(d.config) {
		if err := d.openInjector(); err != nil {
			return err
		}
		d.warnOfResets(d.config)
	}
	c.Workers = len(d.queues)
	for i, q := range d.queues {
		w := &worker{queue: q, injector: d.injector, sink: c.Sink, asked: make(chan func(), maxAsked)}
		c.Index, c.Pinholes = i, timed{d.table, &w.served.Commits}
		w.alg = alg.NewWorker(c)
		d.workers = append(d.workers, w)
	}
	return nil
}

// serve runs all tasks until ctx ends or one of them fails.
func (d *daemon) serve(ctx context.Context) error {
	d.makeRoom()
	tasks, ctx := errgroup.WithContext(ctx)
	told, tellEnd := context.WithCancel(context.Background()) // the last event
	tasks.Go(func() error {
		defer tellEnd()
		return d.events.run()
	})
	var working sync.WaitGroup
	for _, w := range d.workers {
		working.Add(1)
		tasks.Go(func() error {
			defer working.Done()
			return w.run(ctx)
		})
	}
	tasks.Go(func() error {
		working.Wait() // the ends of sessions are events too
		d.events.close()
		var sessions []alg.Saved
		d.guarded = d.translates && d.flows != nil && d.resumable.translated(d.flows)
		for _, w := range d.workers {
			sessions = append(sessions, w.saved...)
			d.guarded = d.guarded || w.guarded
		}
		return d.save(sessions)
	})
	if d.packets != nil {
		tasks.Go(func() error { return d.packets.Run(ctx, d.logged) })
	}
	if d.listener != nil {
		tasks.Go(func() error { return api.Serve(told, d.listener, d.answers(ctx)) })
	}
	if d.scraped != nil {
		tasks.Go(func() error { return metrics.Serve(ctx, d.scraped, d.answers(ctx)) })
	}
	tasks.Go(func() error { return d.keepRuleset(ctx) })
	tasks.Go(func() error { return d.keepGuard(ctx) })
	tasks.Go(func() error { return d.keepMemory(ctx) })
	tasks.Go(func() error { return d.keepConfig(ctx) })
	tasks.Go(func() error { return d.keepStatus(ctx) })
	tasks.Go(func() error { return d.keepWatchdog(ctx) })
	tasks.Go(func() error {
		<-ctx.Done()
		d.tell(notify.SdNotifyStopping)
		d.log.Info("stopping")
		return nil
	})
	t := d.config.Table
	d.log.Info("ready", "ports", t.Ports, "hooks", t.Hooks, "queue", t.Queue, "workers", t.Workers)
	d.ready()
	tasks.Go(func() error { return d.look(ctx) })
	return tasks.Wait()
}

// makeRoom gives each worker a processor of the runtime's own, with two for the rest. Where
// none is idle, the runtime takes the processor of every thread that waits in a system call
// for more than 20 us (retake in runtime/proc.go), and the thread has to look for another
// one with each packet. GOMAXPROCS in the environment decides otherwise.
func (d *daemon) makeRoom() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), len(d.workers)+2))
	}
}
