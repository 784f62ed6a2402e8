package top

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// heard gathers what events tell, between two looks at it. It is safe for concurrent use.
type heard struct {
	mu       sync.Mutex
	unhelped map[kind]unhelped
	bytes    uint64 // of data connections that are over
	over     uint64 // how many
	counted  uint64 // those whose bytes are known
}

// kind is what is counted as one. A reason may name ports; their causes are few.
type kind struct {
	event alg.Kind
	cause alg.Cause
}

// unhelped is what was not helped for one cause.
type unhelped struct {
	kind
	times uint64
	last  event.JSON
}

func newHeard() *heard { return &heard{unhelped: make(map[kind]unhelped)} }

// hear takes an event in.
func (h *heard) hear(e event.JSON) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e.Event {
	case alg.PinholeRefused, alg.PinholeMissed, alg.PassiveOff, alg.FTPSRefused, alg.Failure, alg.Overload:
		k := kind{e.Event, alg.CauseOf(e.Reason)}
		h.unhelped[k] = unhelped{k, h.unhelped[k].times + 1, e}
	case alg.PinholeClosed:
		if e.Used != nil && *e.Used {
			h.over++
			h.bytes += e.Bytes
			if e.Packets > 0 {
				h.counted++
			}
		}
	}
	return nil
}

// told is what heard has gathered.
type told struct {
	unhelped             []unhelped // what happened last comes first
	bytes, over, counted uint64
}

func (h *heard) told() told {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := told{bytes: h.bytes, over: h.over, counted: h.counted}
	for _, u := range h.unhelped {
		t.unhelped = append(t.unhelped, u)
	}
	slices.SortFunc(t.unhelped, func(a, b unhelped) int {
		return cmp.Or(b.last.Time.Compare(a.last.Time), cmp.Compare(a.event, b.event), cmp.Compare(a.cause, b.cause))
	})
	return t
}

// setting names what would have helped; empty: nothing that can be set.
func (u unhelped) setting() string {
	switch u.event {
	case alg.PassiveOff:
		return alg.OutsidePassivePorts.Setting()
	default:
		return u.cause.Setting()
	}
}

// sample is what had been counted at a moment.
type sample struct {
	at                        time.Time
	packets, transfers, bytes uint64
}

// rates are per second.
type rates struct{ packets, transfers, bytes float64 }

// over is how far back rates look: transfers come in bursts.
const over = 10 * time.Second

// between returns the rates from the first sample to the last.
func between(samples []sample) (r rates) {
	if len(samples) < 2 {
		return r
	}
	first, last := samples[0], samples[len(samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return r
	}
	return rates{
		packets:   float64(last.packets-first.packets) / seconds,
		transfers: float64(last.transfers-first.transfers) / seconds,
		bytes:     float64(last.bytes-first.bytes) / seconds,
	}
}
