package load

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"time"
)

// Histogram is a distribution of durations, each kept to within 1 % of itself. The zero
// value is empty. As JSON it is a list of pairs: nanoseconds, how often.
type Histogram struct {
	counts []uint64
	total  uint64
}

// fine is how many buckets there are between one power of two and the next.
const fine = 64

// bucket returns where a duration is counted: by itself below 2*fine nanoseconds, and
// from there on by its seven most significant bits.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-bits.Len64(2*fine-1), 0)
	return shift*fine + int(v>>shift)
}

// middle returns the duration that stands for a bucket.
func middle(i int) time.Duration {
	if i < 2*fine {
		return time.Duration(i)
	}
	shift := i/fine - 1
	return time.Duration(i-shift*fine)<<shift + time.Duration(1)<<shift/2
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) { h.add(bucket(d), 1) }

func (h *Histogram) add(i int, n uint64) {
	if i >= len(h.counts) {
		h.counts = append(h.counts, make([]uint64, i+1-len(h.counts))...)
	}
	h.counts[i] += n
	h.total += n
}

// Merge counts all that other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		if n > 0 {
			h.add(i, n)
		}
	}
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Quantile returns the duration that the part q of all, of 0 to 1, does not exceed; of
// none, 0.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := min(max(uint64(q*float64(h.total)+0.999999), 1), h.total)
	for i, n := range h.counts {
		if n >= rank {
			return middle(i)
		}
		rank -= n
	}
	return 0
}

// MarshalJSON implements json.Marshaler.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	pairs := [][2]uint64{}
	for i, n := range h.counts {
		if n > 0 {
			pairs = append(pairs, [2]uint64{uint64(middle(i)), n})
		}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var pairs [][2]uint64
	if err := json.Unmarshal(text, &pairs); err != nil {
		return fmt.Errorf("reading a distribution: %w", err)
	}
	*h = Histogram{}
	for _, p := range pairs {
		h.add(bucket(time.Duration(p[0])), p[1])
	}
	return nil
}
