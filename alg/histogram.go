package alg

import (
	"math/bits"
	"time"
)

// Histogram counts durations by how long they were, in steps that double, from a
// microsecond to half an hour. The zero value has counted none. Counting one costs no
// memory; it is not safe for concurrent use.
type Histogram struct {
	Counts [32]uint64 // at i: longer than Bound(i-1), and no longer than Bound(i)
	Sum    time.Duration
}

// Bound returns the longest duration that counts at i. What is longer than all counts at
// the last.
func (*Histogram) Bound(i int) time.Duration { return time.Microsecond << i }

// Observe counts n durations of d.
func (h *Histogram) Observe(d time.Duration, n uint64) {
	i := bits.Len64(uint64(max(d-1, 0) / time.Microsecond))
	h.Counts[min(i, len(h.Counts)-1)] += n
	h.Sum += time.Duration(n) * max(d, 0)
}

// Add counts what another has counted.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}
