package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/metrics"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// maxAsked is how many questions and copies of packets may wait for a worker.
const maxAsked = 256

// tickEvery is how often a worker looks for what has fallen due, at the most.
const tickEvery = 100 * time.Millisecond

// worker takes the packets of one queue to an alg.Worker and its verdicts back. All
// of it happens on the goroutine that receives. A panic there ends the process, and
// so leaves the firewall as it is without a daemon.
type worker struct {
	queue    *queue.Queue
	alg      *alg.Worker
	injector *queue.Injector // nil: the policy never injects
	sink     alg.Sink

	served       metrics.Served
	sessions     atomic.Int64 // that are greeted, for those who must not ask
	open         atomic.Int64 // pinholes, the same
	asked        chan func()  // questions, answered between packets
	saved        []alg.Saved  // of the end
	guarded      bool         // of the end: there were connections that are translated
	unprivileged bool         // that not every reset can be sent was told
	ticked       time.Time
	packets      []alg.Packet
	verdicts     []queue.Verdict
}

// run serves the queue until ctx ends, and then gives the packets that are held
// their verdicts.
func (w *worker) run(ctx context.Context) error {
	err := w.queue.Run(ctx, w.handle)
	now := time.Now()
	w.guarded = w.alg.Translated()
	result, saved := w.alg.Suspend(now)
	w.saved = saved
	return errors.Join(err, w.answer(now, result))
}

// handle is called with what has arrived, and as often as a tick is due or something is asked.
func (w *worker) handle(packets []queue.Packet) error {
	now := time.Now()
	if len(packets) > 0 {
		w.packets = w.packets[:0]
		for _, p := range packets {
			w.packets = append(w.packets, alg.Packet{
				ID: p.ID, Data: p.Data, In: p.In, Out: p.Out, Translated: p.Queue() != w.queue.Number(),
			})
		}
		if err := w.answer(now, w.alg.Batch(now, w.packets)); err != nil {
			return err
		}
	}
	for range len(w.asked) {
		(<-w.asked)()
	}
	if now.Sub(w.ticked) >= tickEvery {
		w.ticked = now
		if err := w.answer(now, w.alg.Tick(now)); err != nil {
			return err
		}
	}
	w.publish()
	if len(packets) == 0 {
		w.queue.Rest(w.alg.Rest())
	}
	return nil
}

// publish has others see how much there is, if it is not what they saw last.
func (w *worker) publish() {
	sessions, open := w.alg.Greeted()
	if w.sessions.Load() != sessions {
		w.sessions.Store(sessions)
	}
	if w.open.Load() != open {
		w.open.Store(open)
	}
}

// tryAsk has f run where the worker's state may be looked at, within a tick. It does not
// wait, and reports false where too many wait already.
func (w *worker) tryAsk(f func()) bool {
	select {
	case w.asked <- f:
		w.queue.Wake()
		return true
	default:
		return false
	}
}

// ask has f run where the worker's state may be looked at, within a tick, and returns
// what it found. It reports false if ctx ends before.
func ask[T any](ctx context.Context, w *worker, f func(*alg.Worker) T) (T, bool) {
	found := make(chan T, 1)
	select {
	case w.asked <- func() { found <- f(w.alg) }:
		w.queue.Wake()
	case <-ctx.Done():
	}
	select {
	case v := <-found:
		return v, true
	case <-ctx.Done():
		var none T
		return none, false
	}
}

// answer does what a Result wants done, verdicts first.
func (w *worker) answer(now time.Time, r alg.Result) error {
	w.verdicts = w.verdicts[:0]
	for _, v := range r.Verdicts {
		w.verdicts = append(w.verdicts, queue.Verdict(v))
		switch {
		case v.Drop:
			w.served.Dropped++
		case v.Data != nil:
			w.served.Changed++
		default:
			w.served.Accepted++
		}
	}
	if err := w.queue.Verdicts(w.verdicts); err != nil {
		return err
	}
	if n := len(w.verdicts); n > 0 {
		w.served.Verdicts.Observe(time.Since(now), uint64(n))
	}
	for _, packet := range r.Inject {
		err := w.injector.Inject(packet)
		if errors.Is(err, queue.ErrUnprivileged) {
			if w.unprivileged {
				continue // it was told
			}
			w.unprivileged = true
		}
		if err != nil {
			w.sink(alg.Event{Time: now, Kind: alg.Failure, Reason: "a TCP reset could not be sent", Err: err})
		}
	}
	w.alg.Settle(now)
	return nil
}
