package daemon

import (
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/conntrack"
)

// lookEvery is how often it is looked whether the kernel counts what flows carry: the
// operator may change that at any time.
const lookEvery = 5 * time.Second

// counting asks conntrack for counters, while the kernel counts. It is used by one goroutine
// at a time.
type counting struct {
	counter
	counts bool
	looked time.Time
}

// Counters implements counter. Nothing is known where the kernel does not count.
func (c *counting) Counters(pinholes []alg.Pinhole) ([]alg.Counters, error) {
	if len(pinholes) == 0 {
		return nil, nil
	}
	if now := time.Now(); now.Sub(c.looked) >= lookEvery {
		c.counts, c.looked = conntrack.Accounting(), now
	}
	if !c.counts {
		return make([]alg.Counters, len(pinholes)), nil
	}
	return c.counter.Counters(pinholes)
}

// openCounting has the ends of data connections told with what they carried.
func (d *daemon) openCounting() {
	c, err := conntrack.OpenCounting()
	if err != nil {
		d.log.Warn("the traffic of data connections will not be known", "error", err)
		return
	}
	d.later(c.Close)
	d.events.count = &counting{counter: c}
}
