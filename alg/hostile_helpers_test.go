package alg_test

import (
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

func withFlows(t tb, p alg.Policy, f alg.Flows) *wire {
	g := &gateway{t: t, now: time.Unix(1e9, 0), verdicts: map[uint64]alg.Verdict{}}
	g.kernel = &kernel{now: &g.now, until: map[alg.Pinhole]time.Time{}, ranges: map[alg.Range]time.Time{}, lean: &g.lean}
	g.tracking = &tracking{vouched: map[alg.Flow]bool{}}
	g.w = alg.NewWorker(alg.WorkerConfig{
		Policy: p, Pinholes: g.kernel, Flows: f, Limits: alg.NewLimits(p.MaxSessions, p.MaxSessionsPerClient),
		Sink: func(e alg.Event) { g.events = append(g.events, e) },
	})
	x := &wire{gateway: g, policy: p}
	x.between(clientAddr, serverAddr, 41138)
	x.next = [2]uint32{1000, 2000}
	return x
}
