package daemon

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The garbage collector runs when the heap has grown by spare, or by the least percentage
// where that is more: often enough for a hundred thousand sessions to fit in 150 MB, and
// seldom with few, when collecting would be a tenth of all work.
const (
	spare       = 16 << 20
	leastGrowth = 15 // percent
	mostGrowth  = 400
)

// growth is by how much a heap may grow until it is collected, in percent.
func growth(live uint64) int {
	return int(min(max(spare*100/max(live, 1), leastGrowth), mostGrowth))
}

// keepMemory sets by how much the heap may grow, by what lives in it, unless GOGC in the
// environment decides otherwise.
func (d *daemon) keepMemory(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	set := mostGrowth
	debug.SetGCPercent(set)
	collected := make(chan struct{}, 1)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		// This lives until the next collection. A daemon with nothing to do has none.
		runtime.AddCleanup(new([64]byte), func(c chan<- struct{}) { c <- struct{}{} }, collected)
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
		}
		// Setting it stops the world for a moment: only for a difference that matters.
		metrics.Read(live)
		if want := growth(live[0].Value.Uint64()); want < set*3/4 || want > set*4/3 {
			set = want
			debug.SetGCPercent(set)
		}
	}
}
