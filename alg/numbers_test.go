package alg_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

// The numbers of sessions are short, each is there once, and each worker's grow.
func TestNumbersOfSessions(t *testing.T) {
	const workers = 3
	seen := make(map[uint64]bool)
	for index := range workers {
		x := newWireOf(t, "10.1.4.4", "10.2.5.5", alg.WorkerConfig{Policy: alg.DefaultPolicy(), Workers: workers, Index: index})
		for i := range 4 {
			x.another(uint16(41200 + i)).login()
		}
		var last uint64
		for _, e := range x.events {
			if e.Kind != alg.SessionStart {
				continue
			}
			if e.Session <= last || e.Session > 4*workers || seen[e.Session] {
				t.Errorf("session %d after %d, of worker %d", e.Session, last, index)
			}
			seen[e.Session], last = true, e.Session
		}
	}
	if len(seen) != 4*workers {
		t.Errorf("%d sessions", len(seen))
	}
	if x := newWire(t); x.login().events[0].Session != 1 {
		t.Errorf("the first session of a worker alone: %+v", x.events[0])
	}
}
