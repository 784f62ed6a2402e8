package report

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// benchmark is a result made by hand.
func benchmark() *bench.Result {
	r := &bench.Result{
		CPUs: 2, Rounds: 1, Notes: []string{"<b>left out</b>"},
		Columns: []bench.Column{{Name: "plain", Title: "plain routing", About: "It forwards."}, {Name: "ftpalg", Title: "ftpalg"}},
	}
	for _, n := range []int{1, 8, 64} {
		m := bench.Measure{Name: fmt.Sprintf("active-%d", n), Title: fmt.Sprintf("active transfers, %d", n), Kind: load.Active, Sessions: n}
		r.Measures = append(r.Measures, m)
		for i, c := range r.Columns {
			h := &load.Histogram{}
			for d := range 1000 {
				h.Add(time.Duration((d+1)*n*(i+1)) * time.Microsecond)
			}
			r.Runs = append(r.Runs, bench.Sample{
				Measure: m.Name, Column: c.Name, Latency: h, Values: map[bench.Metric]float64{bench.Rate: 1000 * float64(n) / float64(i+1)},
			})
		}
	}
	return r
}

func TestWriteBench(t *testing.T) {
	var b bytes.Buffer
	if err := WriteBench(&b, benchmark()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for want, times := range map[string]int{
		`content="default-src 'none'; style-src 'unsafe-inline'"`: 1,
		`id="rates-active-wide-title"`:                            1, `id="delays-active-64-narrow-title"`: 1, `class="line line-1"`: 16, // two drawings of 4 charts, and the mark at the name
		`<td>64000</td>`: 1, `ftpalg / plain`: 1, `&lt;b&gt;left out`: 1, `It forwards.`: 1,
	} {
		if got := strings.Count(page, want); got != times {
			t.Errorf("%d times %s, want %d", got, want, times)
		}
	}
	for _, foreign := range []string{"http://", "https://", "src=", "@import", "url(", "<script", "ZgotmplZ"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q, and should need no other file", foreign)
		}
	}
}

// The line of what is twice as slow stands at half the height.
func TestRates(t *testing.T) {
	c, ok := rates(benchmark(), load.Active)
	if !ok || len(c.lines) != 2 || len(c.x) != 3 || c.x[1].at != 0.5 {
		t.Fatalf("%t %+v", ok, c)
	}
	for i, p := range c.lines[0].points {
		if other := c.lines[1].points[i]; p[0] != other[0] || p[1] != 2*other[1] || p[1] > 1 {
			t.Errorf("point %d: %v and %v", i, p, other)
		}
	}
	if _, ok := rates(benchmark(), load.Passive); ok {
		t.Error("what was not measured is plotted")
	}
}

func TestDelays(t *testing.T) {
	r := benchmark()
	c, ok := delays(r, r.Measures[0])
	if !ok || len(c.lines) != 2 {
		t.Fatalf("%t %+v", ok, c)
	}
	// From 10 µs to 10 ms, a third for each power of ten.
	for i, want := range []string{"10 µs", "100 µs", "1 ms", "10 ms"} {
		if len(c.x) != 4 || c.x[i].text != want || math.Abs(c.x[i].at-float64(i)/3) > 1e-9 {
			t.Fatalf("the scale is %+v", c.x)
		}
	}
	for _, l := range c.lines {
		last := [2]float64{-1, -1}
		for _, p := range l.points {
			if p[0] <= last[0] || p[1] <= last[1] || p[0] < 0 || p[0] > 1 || p[1] > 1 {
				t.Errorf("%s: %v after %v", l.name, p, last)
			}
			last = p
		}
	}
}

// Of nothing, there is a page without plots.
func TestWriteBenchOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := WriteBench(&b, &bench.Result{}); err != nil || strings.Contains(b.String(), "<svg") {
		t.Errorf("%v: %s", err, &b)
	}
}

func TestSpread(t *testing.T) {
	for _, at := range [][]int{{10, 10, 10}, {30, 20, 10, 15}, {5, 100, 6}} {
		spread(at, 20)
		for i := range at {
			for j := range at[:i] {
				if gap := at[i] - at[j]; -20 < gap && gap < 20 {
					t.Errorf("%v: %d and %d are too near", at, at[j], at[i])
				}
			}
		}
	}
}
