package bench

import (
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// Result is a benchmark: what was measured, and every figure of it.
type Result struct {
	MadeAt   time.Time `json:"made_at"`
	Kernel   string    `json:"kernel"`
	CPUs     int       `json:"cpus"`
	Rounds   int       `json:"rounds"`
	Idle     [2]int    `json:"idle"` // how many sessions Memory1 and Memory2 are with
	Columns  []Column  `json:"columns"`
	Measures []Measure `json:"measures"`
	Runs     []Sample  `json:"runs"`
	Notes    []string  `json:"notes,omitempty"` // what was left out, and why; what the figures cannot say
}

// Column is one kind of gateway.
type Column struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	About string `json:"about"`
}

// Measure is one thing that was measured of every column in turn, round after round.
type Measure struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Kind     load.Kind `json:"kind,omitempty"`     // what the clients do
	Sessions int       `json:"sessions,omitempty"` // that do it
}

// Sample is one measure of one column in one round.
type Sample struct {
	Measure  string             `json:"measure"`
	Column   string             `json:"column"`
	Round    int                `json:"round"`
	Values   map[Metric]float64 `json:"values"`
	Latency  *load.Histogram    `json:"latency,omitempty"`
	Failures map[string]int     `json:"failures,omitempty"`

	// The parts of its time for which the clients, and the server, had a CPU. Each is one
	// loop: near 1, it is what was measured.
	ClientBusy float64 `json:"client_busy,omitempty"`
	ServerBusy float64 `json:"server_busy,omitempty"`
}

// Metric is one figure of a run.
type Metric string

// The metrics.
const (
	Rate    Metric = "rate"     // a second
	P50     Metric = "p50"      // seconds
	P99     Metric = "p99"      // seconds
	P999    Metric = "p999"     // seconds
	CPU     Metric = "cpu"      // seconds of the gateway's program for 1,000
	Failed  Metric = "failed"   // number
	Bytes   Metric = "bytes"    // a second
	Open    Metric = "open"     // seconds that a pinhole was open, median
	Open99  Metric = "open99"   // the same, 99 % were shorter
	Memory0 Metric = "memory"   // bytes
	Memory1 Metric = "memory1"  // bytes, with some idle sessions
	Memory2 Metric = "memory2"  // bytes, with many
	Ready   Metric = "ready"    // seconds from exec to ready
	IdleCPU Metric = "idle_cpu" // seconds a second
)

// figure is how a metric is shown.
type figure struct {
	metric Metric
	title  string
	unit   unit
}

// figures are all there are, in the order in which they are shown.
func (r *Result) figures() []figure {
	return []figure{
		{Rate, "a second", unitNumber},
		{P50, "median", unitTime},
		{P99, "99 % within", unitTime},
		{P999, "99.9 % within", unitTime},
		{CPU, "gateway CPU for each", unitCPU},
		{Bytes, "a second", unitBytes},
		{Open, "open, median", unitTime},
		{Open99, "99 % within", unitTime},
		{Memory0, "no session", unitBytes},
		{Memory1, number(r.Idle[0]) + " idle sessions", unitBytes},
		{Memory2, number(r.Idle[1]) + " idle sessions", unitBytes},
		{Ready, "exec to ready", unitTime},
		{IdleCPU, "of one CPU", unitShare},
		{Failed, "failed", unitCount},
	}
}
