package main_test

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/ftpalg/ftpalg/alg"
)

// shifted is t as time.Now would return it had the wall clock been set: the monotonic
// reading stays (package time, struct Time: 33 bits of seconds above 30 of nanoseconds).
func shifted(t time.Time, seconds int64) time.Time {
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall = uint64(int64(*wall) + seconds<<30)
	return t
}

type noPinholes struct{}

func (noPinholes) Commit([]alg.Op) error            { return nil }
func (noPinholes) Unused(alg.Pinhole) (bool, error) { return true, nil }

// A wall clock that is set moves no time-out: sessions neither end at once nor stay.
func TestTheWallClockIsSet(t *testing.T) {
	for _, tc := range []struct {
		name  string
		set   int64
		after time.Duration
		want  int
	}{
		{"back an hour, and 61 seconds pass", -3600, 61 * time.Second, 0},
		{"forward an hour, and one second passes", 3600, time.Second, 1},
	} {
		w := alg.NewWorker(alg.WorkerConfig{
			Policy: alg.DefaultPolicy(), Pinholes: noPinholes{}, Sink: func(alg.Event) {}, Limits: alg.NewLimits(10, 10),
		})
		now := time.Now()
		s := segment{
			from: netip.MustParseAddrPort("10.1.4.4:4444"), to: netip.MustParseAddrPort("10.2.5.5:21"),
			seq: 1, flags: syn, window: 1000,
		}
		w.Batch(now, []alg.Packet{{ID: 1, Data: s.packet(t), In: 1, Out: 2}})
		later := shifted(now.Add(tc.after), tc.set)
		if d := later.Sub(now); d != tc.after {
			t.Fatalf("%v passed", d)
		}
		w.Tick(later)
		if n := w.Sessions(); n != tc.want {
			t.Errorf("%s: %d handshakes are waited for, want %d (60 s at most)", tc.name, n, tc.want)
		}
	}
}
