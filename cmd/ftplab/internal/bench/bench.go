// Package bench measures what a gateway costs FTP: real sockets through the lab's
// gateway, of several kinds side by side, in turn. What one machine says in one run is
// to be compared; the figures by themselves are those of that machine, which the clients
// and the server share with the gateway.
package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Options are the choices of Run.
type Options struct {
	FTPALG   string   // path of the daemon
	Columns  []string // by name; none: all
	Measures []string // the beginnings of their names; none: all
	Rounds   int      // 0: as many as are good
	Quick    bool     // less of everything, for a look
	Progress func(string)
}

// Missing returns nil where the lab can be built.
func Missing() error {
	return errors.Join(lab.Available(), lab.Require("nft"))
}

// Run measures.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	c := fullScale
	if o.Quick {
		c = quickScale
	}
	if o.Rounds > 0 {
		c.rounds = o.Rounds
	}
	return run(ctx, o, c)
}

func run(ctx context.Context, o Options, c scale) (r *Result, err error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	some, err := chosen(o.Columns)
	if err != nil {
		return nil, err
	}
	list, err := chosenMeasures(o.Measures)
	if err != nil {
		return nil, err
	}
	r = &Result{MadeAt: time.Now(), Kernel: release(), CPUs: runtime.NumCPU(), Rounds: c.rounds, Idle: c.sessions}
	for _, m := range list {
		r.Measures = append(r.Measures, m.Measure)
	}
	var stands []*stand
	defer func() {
		for _, s := range stands {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, one := range some {
		o.Progress("building the lab: " + one.title)
		s, err := newStand(ctx, one, o.FTPALG)
		if err != nil && one.refused != nil && errors.Is(err, one.refused) {
			r.Notes = append(r.Notes, fmt.Sprintf("There is no column %q: %s.", one.title, strings.TrimSpace(err.Error())))
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.title, err)
		}
		stands = append(stands, s)
		r.Columns = append(r.Columns, Column{one.name, one.title, one.about})
	}
	for _, m := range list {
		for round := range c.rounds {
			o.Progress(fmt.Sprintf("%s, round %d of %d", m.Title, round+1, c.rounds))
			if err := r.round(ctx, m, round, stands, &c); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// round takes a measure of every column. Who is first is another in every round.
func (r *Result) round(ctx context.Context, m measure, round int, stands []*stand, c *scale) error {
	if m.once && round > 0 {
		return nil
	}
	for i := range stands {
		s := stands[(i+round)%len(stands)]
		if m.gateway && s.gateway == nil || m.daemon && s.daemon == nil {
			continue
		}
		one, err := m.run(ctx, s, c)
		if err != nil {
			return fmt.Errorf("measuring %s of %s: %w", m.Title, s.title, err)
		}
		one.Measure, one.Column, one.Round = m.Name, s.name, round
		if err := s.forget(); err != nil {
			return err
		}
		r.Runs = append(r.Runs, one)
	}
	return nil
}

// MeasureNames returns the names of the measures, in the order in which they are shown.
func MeasureNames() []string {
	var names []string
	for _, m := range measures {
		names = append(names, m.Name)
	}
	return names
}

// chosenMeasures returns the measures whose names begin so, or all.
func chosenMeasures(names []string) ([]measure, error) {
	if len(names) == 0 {
		return measures, nil
	}
	begins := func(m measure) func(string) bool {
		return func(n string) bool { return m.Name == n || strings.HasPrefix(m.Name, n+"-") }
	}
	for _, n := range names {
		if !slices.ContainsFunc(measures, func(m measure) bool { return begins(m)(n) }) {
			return nil, fmt.Errorf("there is no measure %q; there are %s", n, strings.Join(MeasureNames(), ", "))
		}
	}
	var some []measure
	for _, m := range measures {
		if slices.ContainsFunc(names, begins(m)) {
			some = append(some, m)
		}
	}
	return some, nil
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
