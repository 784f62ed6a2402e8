package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// benchPage is what the templates make the page of a benchmark of.
type benchPage struct {
	*bench.Result
	Table   bench.Table
	Rates   []figure
	Delays  []figure
	Remarks []string
}

// WriteBench writes a benchmark as one page for the browser, that needs no other file.
func WriteBench(w io.Writer, r *bench.Result) error {
	p := benchPage{Result: r, Table: r.Table(), Remarks: r.Remarks()}
	for _, kind := range []load.Kind{load.Active, load.Passive} {
		if c, ok := rates(r, kind); ok {
			p.Rates = append(p.Rates, c.figure())
		}
	}
	for _, m := range r.Measures {
		if c, ok := delays(r, m); ok {
			p.Delays = append(p.Delays, c.figure())
		}
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "bench.html", p); err != nil {
		return fmt.Errorf("making the page: %w", err)
	}
	if _, err := w.Write(bytes.Map(visible, b.Bytes())); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// rates plots transfers a second over the number of clients, where there is more than one.
func rates(r *bench.Result, kind load.Kind) (c chart, ok bool) {
	var of []bench.Measure
	most := 0.0
	for _, m := range r.Measures {
		if m.Kind != kind {
			continue
		}
		of = append(of, m)
		for _, col := range r.Columns {
			most = max(most, r.Stat(m.Name, col.Name, bench.Rate).Max)
		}
	}
	if len(of) < 2 || most == 0 {
		return c, false
	}
	slices.SortFunc(of, func(a, b bench.Measure) int { return cmp.Compare(a.Sessions, b.Sessions) })
	c = chart{
		id: "rates-" + string(kind), title: fmt.Sprintf("%s transfers a second", kind),
		desc:  "By the number of clients, on a logarithmic scale. The table below has the numbers.",
		xName: "clients", yName: "transfers a second",
	}
	first, last := math.Log(float64(of[0].Sessions)), math.Log(float64(of[len(of)-1].Sessions))
	x := func(m bench.Measure) float64 { return (math.Log(float64(m.Sessions)) - first) / (last - first) }
	for _, m := range of {
		c.x = append(c.x, tick{x(m), strconv.Itoa(m.Sessions)})
	}
	top := nice(most)
	for i := range 5 {
		v := float64(i) / 4
		c.y = append(c.y, tick{v, quantity(v * top)})
	}
	for i, col := range r.Columns {
		l := line{name: col.Title, number: i}
		for _, m := range of {
			if s := r.Stat(m.Name, col.Name, bench.Rate); s.Rounds > 0 {
				l.points = append(l.points, [2]float64{x(m), s.Median / top})
			}
		}
		c.lines = append(c.lines, l)
	}
	return c, true
}

// nice returns a number not much larger than v, whose quarters are round.
func nice(v float64) float64 {
	unit := math.Pow10(int(math.Floor(math.Log10(v))))
	for _, n := range []float64{1, 2, 4, 6, 8} {
		if n*unit >= v {
			return n * unit
		}
	}
	return 10 * unit
}

// shares are the parts of all for which it is shown how long they took at most. They
// stand at equal distances: each is as far from the whole as it is from the one before.
var shares = []struct {
	q    float64
	text string
}{{0.01, "1 %"}, {0.1, "10 %"}, {0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}}

// delays plots the distribution of how long it took.
func delays(r *bench.Result, m bench.Measure) (c chart, ok bool) {
	low, high := math.Inf(1), 0.0
	all := make([]*load.Histogram, len(r.Columns))
	for i, col := range r.Columns {
		if all[i] = r.Latency(m.Name, col.Name); all[i].Count() == 0 {
			continue
		}
		low = min(low, max(all[i].Quantile(shares[0].q).Seconds(), 1e-9))
		high = max(high, all[i].Quantile(shares[len(shares)-1].q).Seconds())
	}
	if high == 0 {
		return c, false
	}
	c = chart{
		id: "delays-" + m.Name, title: m.Title + ": how long each took",
		desc:  "The part of all that took no longer, over the time on a logarithmic scale.",
		xName: "time", yName: "took no longer",
	}
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	x := func(seconds float64) float64 {
		return (math.Log10(max(seconds, math.Pow(10, first))) - first) / max(last-first, 1)
	}
	for n := first; n <= last; n++ {
		c.x = append(c.x, tick{x(math.Pow(10, n)), powerOfSeconds(int(n))})
	}
	y := func(i int) float64 { return float64(i) / float64(len(shares)-1) }
	for i, s := range shares {
		c.y = append(c.y, tick{y(i), s.text})
	}
	for i, col := range r.Columns {
		l := line{name: col.Title, number: i}
		for j, s := range shares {
			if all[i].Count() > 0 {
				l.points = append(l.points, [2]float64{x(all[i].Quantile(s.q).Seconds()), y(j)})
			}
		}
		if l.points != nil {
			c.lines = append(c.lines, l)
		}
	}
	return c, true
}

// powerOfSeconds writes ten to the power of n seconds.
func powerOfSeconds(n int) string {
	switch {
	case n >= 0:
		return quantity(math.Pow10(n)) + " s"
	case n >= -3:
		return quantity(math.Pow10(n+3)) + " ms"
	case n >= -6:
		return quantity(math.Pow10(n+6)) + " µs"
	}
	return quantity(math.Pow10(n+9)) + " ns"
}
