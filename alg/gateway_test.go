package alg_test

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// tick is how often a daemon calls Worker.Tick.
const tick = 100 * time.Millisecond

// tb is what tests, benchmarks and property tests have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// gateway is a worker and what surrounds it.
type gateway struct {
	t        tb
	w        *alg.Worker
	kernel   *kernel
	tracking *tracking
	now      time.Time
	id       uint64
	events   []alg.Event
	verdicts map[uint64]alg.Verdict
	order    []uint64 // of the verdicts
	injected [][]byte
	lean     bool // nothing is remembered: for measurements

	translated bool // connection tracking says so of all packets but SYNs
}

// by gives the worker a packet that comes in and leaves by these interfaces. Its bytes are
// the queue's again once it has its verdict.
func (g *gateway) by(in, out uint32, p []byte) uint64 {
	g.id++
	seg, err := tcp.Parse(p)
	translated := g.translated && err == nil && seg.Flags&(tcp.SYN|tcp.ACK) != tcp.SYN
	lent := slices.Clone(p)
	g.take(g.w.Batch(g.now, []alg.Packet{{ID: g.id, Data: lent, In: in, Out: out, Translated: translated}}))
	for i := range lent {
		lent[i] = 'X'
	}
	return g.id
}

func (g *gateway) take(r alg.Result) {
	g.t.Helper()
	if !g.lean {
		for _, v := range r.Verdicts {
			if _, twice := g.verdicts[v.ID]; twice {
				g.t.Fatalf("two verdicts for packet %d", v.ID)
			}
			v.Data = slices.Clone(v.Data)
			g.verdicts[v.ID] = v
			g.order = append(g.order, v.ID)
		}
		for _, p := range r.Inject {
			g.injected = append(g.injected, slices.Clone(p))
		}
	}
	g.w.Settle(g.now)
	if !g.lean {
		g.wantTally()
	}
}

// wait lets time pass in ticks.
func (g *gateway) wait(d time.Duration) {
	for end := g.now.Add(d); g.now.Before(end); {
		g.now = g.now.Add(min(tick, end.Sub(g.now)))
		g.take(g.w.Tick(g.now))
	}
}

// sessions is the number of control connections that are followed.
func (g *gateway) sessions() int {
	s, _ := g.w.Snapshot()
	return len(s)
}

// anyOf reports whether a text has one of the words, which are set apart by |.
func anyOf(text, parts string) bool {
	return slices.ContainsFunc(strings.Split(parts, "|"), func(p string) bool { return strings.Contains(text, p) })
}

// stat returns a counter of the worker by its name in JSON, 0 where there is none.
func (g *gateway) stat(name string) float64 {
	text, err := json.Marshal(g.w.Stats())
	if err != nil {
		g.t.Fatalf("writing the counters: %v", err)
	}
	var all map[string]float64
	if err := json.Unmarshal(text, &all); err != nil {
		g.t.Fatalf("reading the counters: %v", err)
	}
	return all[name]
}
