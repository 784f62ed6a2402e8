package load

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < time.Hour; d += 1 + d/500 {
		i := bucket(d)
		if i < last || i > last+1 {
			t.Fatalf("%v is in bucket %d, and what is a little less in %d", d, i, last)
		}
		last = i
		m := middle(i)
		if off := (m - d).Abs(); off > d/100 {
			t.Fatalf("%v is taken for %v", d, m)
		}
		if bucket(m) != i {
			t.Fatalf("%v, the middle of bucket %d, is in bucket %d", m, i, bucket(m))
		}
	}
	if bucket(-time.Second) != 0 {
		t.Error("a negative duration is not taken for 0")
	}
}

// Quantiles are those of the sorted list, to within 1 %.
func TestQuantile(t *testing.T) {
	var h, parts [3]Histogram
	var all []time.Duration
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		d := time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		h[0].Add(d)
		parts[random.IntN(3)].Add(d)
	}
	for i := range parts {
		h[1].Merge(&parts[i])
	}
	b, err := json.Marshal(&h[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &h[2]); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	for how, one := range map[string]*Histogram{"counted": &h[0], "merged": &h[1], "read back": &h[2]} {
		if one.Count() != 10_000 {
			t.Errorf("%s: %d in all", how, one.Count())
		}
		for q, at := range map[float64]int{0: 0, 0.5: 4999, 0.99: 9899, 0.999: 9989, 1: 9999} {
			got, want := one.Quantile(q), all[at]
			if (got - want).Abs() > want/100 {
				t.Errorf("%s: quantile %v is %v, want %v", how, q, got, want)
			}
		}
	}
	if got := new(Histogram).Quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
}
