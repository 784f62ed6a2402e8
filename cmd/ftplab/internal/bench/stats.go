package bench

import (
	"math"
	"slices"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// Stat is what the rounds came to.
type Stat struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
}

// stat sums up the values of some rounds. Of none it is zero.
func stat(values []float64) Stat {
	if len(values) == 0 {
		return Stat{}
	}
	v := slices.Sorted(slices.Values(values))
	half := len(v) / 2
	s := Stat{Median: v[half], Min: v[0], Max: v[len(v)-1], Rounds: len(v)}
	if len(v)%2 == 0 {
		s.Median = (v[half-1] + v[half]) / 2
	}
	return s
}

// values returns the figures of a column by round.
func (r *Result) values(measure, column string, m Metric) map[int]float64 {
	of := map[int]float64{}
	for _, run := range r.Runs {
		if v, ok := run.Values[m]; ok && run.Measure == measure && run.Column == column {
			of[run.Round] = v
		}
	}
	return of
}

// Stat sums up a figure over all rounds. Rounds is 0 where there is none.
func (r *Result) Stat(measure, column string, m Metric) Stat {
	var all []float64
	for _, v := range r.values(measure, column, m) {
		all = append(all, v)
	}
	return stat(all)
}

// Ratio sums up the ratios of one column to another, each of one round: what slowed the
// machine down then did so to both.
func (r *Result) Ratio(measure, column, to string, m Metric) Stat {
	var all []float64
	below := r.values(measure, to, m)
	for round, v := range r.values(measure, column, m) {
		if b, ok := below[round]; ok && b != 0 && !math.IsNaN(v) {
			all = append(all, v/b)
		}
	}
	return stat(all)
}

// busy is the part of the time from which on a loop of the generator is what was measured.
const busy = 0.9

// bound reports whether in some round the generator was the bottleneck: its clients, or its
// server, had a CPU nearly all the time.
func (r *Result) bound(measure, column string) bool {
	return slices.ContainsFunc(r.Runs, func(s Sample) bool {
		return s.Measure == measure && s.Column == column && max(s.ClientBusy, s.ServerBusy) >= busy
	})
}

// Failures returns how many transfers and the like failed in all.
func (r *Result) Failures() (n int) {
	for _, s := range r.Runs {
		n += int(s.Values[Failed])
	}
	return n
}

// Latency returns how long it took in all rounds together.
func (r *Result) Latency(measure, column string) *load.Histogram {
	all := &load.Histogram{}
	for _, s := range r.Runs {
		if s.Measure == measure && s.Column == column && s.Latency != nil {
			all.Merge(s.Latency)
		}
	}
	return all
}
