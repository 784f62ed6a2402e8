package daemon

import (
	"context"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
	"github.com/ftpalg/ftpalg/cmd/internal/version"
)

// answers is what the control socket, and who asks for metrics, is answered from.
type answers struct {
	ctx context.Context // of serving: no worker answers after it
	d   *daemon
}

func (d *daemon) answers(ctx context.Context) *answers { return &answers{ctx, d} }

// Status implements api.Source.
func (a *answers) Status() api.Status {
	s := api.Status{Version: version.String(), StartedAt: a.d.started, Queues: []api.Queue{}}
	standings := a.d.standing() // without them the queues seem empty
	for _, w := range a.d.workers {
		n, ok := ask(a.ctx, w, count)
		if !ok {
			continue
		}
		q := api.Queue{Number: w.queue.Number(), Worker: n.stats}
		numbers := []uint16{w.queue.Number()}
		if guard := w.queue.Guard(); guard != 0 {
			numbers = append(numbers, guard)
		}
		for _, number := range numbers {
			q.Waiting += standings[number].Waiting
			q.Dropped += standings[number].Dropped + standings[number].UserDropped
		}
		s.Queues = append(s.Queues, q)
		s.Sessions += n.stats.Sessions
		s.Pinholes += n.stats.Open
		s.Transfers += sum(n.tally.Used[:])
		s.Refused += sum(n.tally.Refused[:])
		s.Missed += sum(n.tally.Missed[:])
	}
	return s
}

// counted is what a worker has counted.
type counted struct {
	stats alg.Stats
	tally alg.Tally
}

func count(w *alg.Worker) counted { return counted{w.Stats(), w.Tally()} }

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// partSize is how many sessions a worker copies at a time: packets wait for it.
const partSize = 256

// Snapshot implements api.Source. The slices are not nil, so that they are lists in JSON.
func (a *answers) Snapshot() ([]api.Session, []api.Pinhole) {
	sessions, pinholes := []api.Session{}, []api.Pinhole{}
	told := make(map[uint64]bool) // of these both
	for _, w := range a.d.workers {
		for next := alg.End; next > 0; {
			now, ok := ask(a.ctx, w, func(w *alg.Worker) (p part) {
				p.sessions, p.pinholes, p.next = w.Part(next, partSize)
				return p
			})
			if !ok {
				break
			}
			for _, p := range now.pinholes {
				if !told[p.Session] {
					pinholes = append(pinholes, api.NewPinhole(p))
				}
			}
			for _, s := range now.sessions {
				if !told[s.ID] {
					told[s.ID] = true
					sessions = append(sessions, api.NewSession(s))
				}
			}
			next = now.next
		}
	}
	return sessions, pinholes
}

// part is some of a worker's sessions.
type part struct {
	sessions []alg.SessionInfo
	pinholes []alg.PinholeInfo
	next     int
}

// Subscribe implements api.Source.
func (a *answers) Subscribe() (<-chan event.JSON, func()) { return a.d.events.follow() }
