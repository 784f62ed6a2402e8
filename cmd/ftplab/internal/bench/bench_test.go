package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// readBack writes a result and reads it.
func readBack(t *testing.T, r *Result) {
	t.Helper()
	first, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(first, &back); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(&back)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%v: %s\nbecame\n%s", err, first, second)
	}
	var a, b strings.Builder
	if err := errors.Join(Print(&a, r), Print(&b, &back)); err != nil || a.String() != b.String() {
		t.Errorf("%v: %s\nbecame\n%s", err, &a, &b)
	}
}

func TestRunRefuses(t *testing.T) {
	for want, o := range map[string]Options{
		"there is no column": {Columns: []string{"moat"}}, "there is no measure": {Measures: []string{"act"}},
	} {
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestChosenMeasures(t *testing.T) {
	some, err := chosenMeasures([]string{"noop", "active-8"})
	if err != nil || len(some) != 3 || some[0].Name != "active-8" || some[1].Name != "noop-1" || some[2].Name != "noop-64" {
		t.Errorf("%v: %+v", err, some)
	}
}

func TestPartRefuses(t *testing.T) {
	for _, x := range [][2]string{{"server", "{"}, {"nobody", "{}"}, {"client", "{}"}} {
		if err := Part(t.Context(), strings.NewReader(""), new(bytes.Buffer), x[0], x[1]); err == nil {
			t.Errorf("%s takes the order %s", x[0], x[1])
		}
	}
}

func TestStat(t *testing.T) {
	for _, x := range []struct {
		values []float64
		want   Stat
	}{
		{nil, Stat{}},
		{[]float64{3}, Stat{3, 3, 3, 1}},
		{[]float64{4, 1}, Stat{2.5, 1, 4, 2}},
		{[]float64{9, 1, 2}, Stat{2, 1, 9, 3}},
	} {
		if got := stat(x.values); got != x.want {
			t.Errorf("%v: %+v, want %+v", x.values, got, x.want)
		}
	}
}

// made is a result made by hand: two rounds, the second of which was twice as slow.
func made() *Result {
	h := &load.Histogram{}
	h.Add(time.Millisecond)
	r := &Result{CPUs: 2, Rounds: 2, Columns: []Column{{Name: Plain, Title: "plain routing"}, {Name: FTPALG, Title: "ftpalg"}}}
	r.Measures = []Measure{{Name: "active-1", Title: "active transfers", Kind: load.Active, Sessions: 1}}
	for round, slower := range []float64{1, 2} {
		for i, c := range r.Columns {
			r.Runs = append(r.Runs, Sample{
				Measure: "active-1", Column: c.Name, Round: round, Latency: h, ServerBusy: 0.95 - float64(i)/2,
				Values: map[Metric]float64{Rate: 4000 / slower / float64(1+i), P50: 0.0001 * slower, Failed: float64(i * round)},
			})
		}
	}
	return r
}

// A ratio is of one round: that a whole round was slow does not show.
func TestRatio(t *testing.T) {
	r := made()
	if got, want := r.Ratio("active-1", FTPALG, Plain, Rate), (Stat{0.5, 0.5, 0.5, 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := r.Ratio("active-1", FTPALG, Floor, Rate); got != (Stat{}) {
		t.Errorf("to a column that was not measured: %+v", got)
	}
	if got := r.Latency("active-1", Plain).Count(); got != 2 {
		t.Errorf("%d durations in both rounds, want 2", got)
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, made()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"                  plain routing       ftpalg            ftpalg / plain\n",
		"  a second        3000 (2000-4000) *  1500 (1000-2000)  0.50\n",
		"  median          150 us (100-200)    150 us (100-200)  1.00\n",
		"  failed          0                   0.5 (0-1)         -\n",
		"medians of 2 rounds", "\n1 transfer, round trip or login failed.\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &b)
		}
	}
	readBack(t, made())
}

func TestUnits(t *testing.T) {
	for want, got := range map[string]string{
		"1.50 s": unitTime.format(1.5), "2.50 ms": unitTime.format(0.0025), "12.0 us": unitTime.format(0.000012), "300 us": unitCPU.format(0.3),
		"1.50 GB": unitBytes.format(1.5e9), "150 MB": unitBytes.format(1.5e8), "0.10 %": unitShare.format(0.001), "6000": unitNumber.format(6000),
		"-": unitTime.show(Stat{}), "1.00 ms (900 us-2.00 ms)": unitTime.show(Stat{0.001, 0.0009, 0.002, 3}), "100,000": number(100_000), "999": number(999),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSpent(t *testing.T) {
	before, err := spent(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := spent(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("%v: %v after %v", err, after, before)
	}
	if n, err := resident(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("%v: %d bytes", err, n)
	}
}
