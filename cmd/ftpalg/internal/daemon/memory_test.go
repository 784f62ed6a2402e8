package daemon

import "testing"

func TestGrowthOfTheHeap(t *testing.T) {
	for live, want := range map[uint64]int{0: mostGrowth, 1 << 20: mostGrowth, 8 << 20: 200, 16 << 20: 100, 200 << 20: leastGrowth} {
		if got := growth(live); got != want {
			t.Errorf("a heap of %d bytes may grow by %d %%, want %d", live, got, want)
		}
	}
}
