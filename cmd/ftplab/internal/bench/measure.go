package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// measure is how one measure is taken.
type measure struct {
	Measure
	gateway bool // of columns with a program alone
	once    bool // in the first round alone
	daemon  bool // of columns with ftpalg alone
	run     func(context.Context, *stand, *scale) (Sample, error)
}

// scale is how much of everything there is.
type scale struct {
	rounds    int
	duration  time.Duration // of a run
	fileBytes int64         // of a transfer
	bulkOne   int64         // of one data connection
	bulkEight int64         // of each of eight
	sessions  [2]int        // idle ones; 0: none
	idle      time.Duration
	timeout   time.Duration
}

var (
	quickScale = scale{
		rounds: 2, duration: 300 * time.Millisecond, fileBytes: 1024, bulkOne: 512 << 20, bulkEight: 64 << 20,
		sessions: [2]int{2000, 0}, idle: 500 * time.Millisecond, timeout: 10 * time.Second,
	}
	fullScale = scale{
		rounds: 5, duration: time.Second, fileBytes: 1024, bulkOne: 1 << 30, bulkEight: 1 << 30,
		sessions: [2]int{10_000, 100_000}, idle: 5 * time.Second, timeout: 20 * time.Second,
	}
)

// measures are all there are, in the order in which they are shown.
var measures = allMeasures()

func allMeasures() []measure {
	var all []measure
	for _, kind := range []load.Kind{load.Active, load.Passive} {
		for _, n := range []int{1, 8, 64, 512} {
			all = append(all, repeated(fmt.Sprintf("%s transfers, %s", kind, clientCount(n)), kind, n))
		}
	}
	return append(all,
		repeated("NOOP, 1 client", load.Noop, 1),
		repeated("NOOP, 64 clients", load.Noop, 64),
		repeated("new control connections with login, 8 clients", load.Login, 8),
		bulk("one data connection", 1),
		bulk("eight data connections", 8),
		pinholes(1),
		pinholes(64),
		measure{Measure: Measure{Name: "start", Title: "start of the program"}, gateway: true, run: start},
		measure{Measure: Measure{Name: "idle", Title: "program without traffic"}, gateway: true, once: true, run: idle},
		measure{Measure: Measure{Name: "memory", Title: "resident memory"}, gateway: true, once: true, run: memory},
	)
}

func clientCount(n int) string {
	if n == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", n)
}

// repeated has clients do the same again and again.
func repeated(title string, kind load.Kind, n int) measure {
	m := measure{Measure: Measure{Name: fmt.Sprintf("%s-%d", kind, n), Title: title, Kind: kind, Sessions: n}}
	m.run = func(ctx context.Context, s *stand, c *scale) (Sample, error) {
		x, err := s.play(ctx, load.Spec{Kind: kind, Sessions: n, Duration: c.duration, Bytes: c.fileBytes, Timeout: c.timeout})
		if err != nil {
			return Sample{}, err
		}
		r := x.run()
		r.Values[Rate] = float64(x.Within) / x.Seconds
		r.Values[P50] = x.Latency.Quantile(0.5).Seconds()
		r.Values[P99] = x.Latency.Quantile(0.99).Seconds()
		r.Values[P999] = x.Latency.Quantile(0.999).Seconds()
		r.Latency = &x.Latency
		if s.gateway != nil && x.Done > 0 {
			r.Values[CPU] = x.gateway.Seconds() / float64(x.Done) * 1000
		}
		return r, nil
	}
	return m
}

// bulk moves a lot of data over some data connections.
func bulk(title string, n int) measure {
	m := measure{Measure: Measure{Name: fmt.Sprintf("bulk-%d", n), Title: title, Sessions: n}}
	m.run = func(ctx context.Context, s *stand, c *scale) (Sample, error) {
		bytes := c.bulkOne
		if n > 1 {
			bytes = c.bulkEight
		}
		x, err := s.play(ctx, load.Spec{Kind: load.Active, Sessions: n, Bytes: bytes, Timeout: 2 * time.Minute})
		if err != nil {
			return Sample{}, err
		}
		r := x.run()
		r.Values[Bytes] = float64(x.Done) * float64(bytes) / x.Seconds
		return r, nil
	}
	return m
}

// run begins the record of a run.
func (x *played) run() Sample {
	r := Sample{Values: map[Metric]float64{Failed: float64(x.Failed)}, Failures: x.Failures}
	if x.Elapsed > 0 {
		r.ClientBusy, r.ServerBusy = x.CPU/x.Elapsed, x.server.Seconds()/x.Elapsed
	}
	return r
}

// pinholes asks the daemon's log how long each was open. Of many clients it has only some:
// the daemon leaves out what comes faster than it can be logged.
func pinholes(n int) measure {
	m := measure{Measure: Measure{Name: fmt.Sprintf("pinhole-%d", n), Title: "pinholes, " + clientCount(n), Sessions: n}, daemon: true}
	m.run = func(ctx context.Context, s *stand, c *scale) (Sample, error) {
		if err := s.forget(); err != nil {
			return Sample{}, err
		}
		x, err := s.play(ctx, load.Spec{Kind: load.Active, Sessions: n, Duration: c.duration, Bytes: c.fileBytes, Timeout: c.timeout})
		if err != nil {
			return Sample{}, err
		}
		r := x.run()
		r.Latency = &load.Histogram{}
		for _, e := range s.daemon.Events() {
			if e.Event == "pinhole.closed" && e.Used {
				r.Latency.Add(e.Lifetime)
			}
		}
		if r.Latency.Count() > 0 {
			r.Values[Open] = r.Latency.Quantile(0.5).Seconds()
			r.Values[Open99] = r.Latency.Quantile(0.99).Seconds()
		}
		return r, nil
	}
	return m
}

// forget empties the daemon's log, which grows by megabytes a second.
func (s *stand) forget() error {
	if s.daemon == nil {
		return nil
	}
	return os.Truncate(s.Path(s.daemon.LogFile), 0)
}

// start ends the program, and starts it again.
func start(ctx context.Context, s *stand, _ *scale) (Sample, error) {
	if err := s.stopGateway(ctx); err != nil {
		return Sample{}, err
	}
	begin := time.Now()
	if err := s.startGateway(ctx, ""); err != nil {
		return Sample{}, err
	}
	return Sample{Values: map[Metric]float64{Ready: time.Since(begin).Seconds()}}, nil
}

// idle looks what the program does when there is nothing to do.
func idle(ctx context.Context, s *stand, c *scale) (Sample, error) {
	before, err := s.clocks()
	if err != nil {
		return Sample{}, err
	}
	if err := sleep(ctx, c.idle); err != nil {
		return Sample{}, err
	}
	after, err := s.clocks()
	if err != nil {
		return Sample{}, err
	}
	return Sample{Values: map[Metric]float64{IdleCPU: (after[0] - before[0]).Seconds() / c.idle.Seconds()}}, nil
}

// room lets the daemon follow as many sessions as are opened.
const room = "[policy]\nmax_sessions = 200000\nmax_sessions_per_client = 200000\n"

// memory opens many sessions in a program that has just started, and leaves them.
func memory(ctx context.Context, s *stand, c *scale) (Sample, error) {
	if err := s.stopGateway(ctx); err != nil {
		return Sample{}, err
	}
	if err := s.startGateway(ctx, room); err != nil {
		return Sample{}, err
	}
	r := Sample{Values: map[Metric]float64{}}
	note := func(m Metric) error {
		n, err := resident(s.gateway.pid)
		r.Values[m] = float64(n)
		return err
	}
	if err := note(Memory0); err != nil {
		return r, err
	}
	for i, m := range []Metric{Memory1, Memory2} {
		if c.sessions[i] == 0 || s.runs == programFloor { // which keeps none
			continue
		}
		if err := s.hold(ctx, c.sessions[i], func() error { return note(m) }); err != nil {
			return r, fmt.Errorf("holding %d sessions: %w", c.sessions[i], err)
		}
	}
	if err := s.stopGateway(ctx); err != nil {
		return r, err
	}
	return r, s.startGateway(ctx, "")
}

// sleep waits, no longer than ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
