package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// writes remembers what each system call would have written.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(b))
	return len(b), nil
}

func (w *writes) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

func logTo(w *writes) *slog.Logger {
	out := &output{to: w}
	return slog.New(prompt{slog.NewTextHandler(out, nil), out})
}

// Many events are one write. What is logged beside them is written at once, behind them.
func TestEventsAreWrittenTogether(t *testing.T) {
	var w writes
	log := logTo(&w)
	e := newEvents(log)
	for range 100 {
		e.write(&alg.Event{Kind: alg.SessionStart})
	}
	if len(w.seen()) != 0 {
		t.Errorf("%d writes before the batch is full", len(w.seen()))
	}
	log.With("a", 1).WithGroup("g").Error("beside them")
	got := w.seen()
	if len(got) != 1 || strings.Count(got[0], "session.start") != 100 || !strings.Contains(got[0], "\n") {
		t.Fatalf("%d writes", len(got))
	}
	if last := got[0][strings.LastIndex(strings.TrimSpace(got[0]), "\n"):]; !strings.Contains(last, "beside them") {
		t.Errorf("the last line is %q", last)
	}
	long := strings.Repeat("x", maxGathered)
	e.write(&alg.Event{Kind: alg.SessionStart, Reason: long})
	if len(w.seen()) != 2 {
		t.Error("what is gathered grows without an end")
	}
}

// Events are logged soon after the first, and what a stop leaves.
func TestEventsAreLoggedSoon(t *testing.T) {
	var w writes
	e := newEvents(logTo(&w))
	done := make(chan error)
	go func() { done <- e.run() }()
	follow, leave := e.follow()
	defer leave()
	for i := range 3 {
		e.sink(alg.Event{Kind: alg.SessionStart, Session: uint64(2 * i)})
		e.sink(alg.Event{Kind: alg.SessionStart, Session: uint64(2*i + 1)})
		for j := range 2 {
			select {
			case ev := <-follow:
				if ev.Session != uint64(2*i+j) {
					t.Errorf("event %d came when %d was due", ev.Session, 2*i+j)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("no event")
			}
		}
	}
	e.sink(alg.Event{Kind: alg.SessionEnd})
	e.close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if all := strings.Join(w.seen(), ""); strings.Count(all, "event=session.start") != 6 || !strings.HasSuffix(all, "event=session.end\n") {
		t.Errorf("the log:\n%s", all)
	}
}

// fakeCounter answers with the port of the pinhole.
type fakeCounter struct {
	asked [][]alg.Pinhole
	err   error
}

func (f *fakeCounter) Counters(pinholes []alg.Pinhole) (all []alg.Counters, err error) {
	f.asked = append(f.asked, pinholes)
	for _, p := range pinholes {
		all = append(all, alg.Counters{Packets: 1, Bytes: uint64(p.Dest.Port())})
	}
	return all, f.err
}

// The connections that ended are asked about together, and each is told its own.
func TestCountersOfABatch(t *testing.T) {
	var b bytes.Buffer
	e := newEvents(slog.New(slog.NewTextHandler(&b, nil)))
	f := &fakeCounter{}
	e.count = f
	closed := func(port uint16, used bool) alg.Event {
		return alg.Event{Kind: alg.PinholeClosed, Used: used, Pinhole: alg.Pinhole{Dest: netip.AddrPortFrom(netip.MustParseAddr("10.1.4.4"), port)}}
	}
	batch := []alg.Event{closed(1, true), {Kind: alg.SessionEnd}, closed(2, false), closed(3, true), {Kind: alg.PinholeUsed, Used: true}}
	e.counted(batch)
	for i, want := range []uint64{1, 0, 0, 3, 0} {
		if batch[i].Counters.Bytes != want {
			t.Errorf("event %d has %+v, want %d bytes", i, batch[i].Counters, want)
		}
	}
	if len(f.asked) != 1 || len(f.asked[0]) != 2 {
		t.Errorf("asked: %v", f.asked)
	}
	f.err = errors.New("no")
	batch = []alg.Event{closed(1, true)}
	if e.counted(batch); batch[0].Counters != (alg.Counters{}) {
		t.Errorf("after an error: %+v", batch[0].Counters)
	}
}

// While the kernel does not count nobody asks it; that is looked up now and then.
func TestCountingIsAskedForWhereItCounts(t *testing.T) {
	f := &fakeCounter{}
	c := counting{counter: f, looked: time.Now()}
	one := make([]alg.Pinhole, 1)
	if n, err := c.Counters(one); err != nil || len(n) != 1 || len(f.asked) != 0 {
		t.Errorf("%v, %v, asked %d times", n, err, len(f.asked))
	}
	c.counts = true
	if n, err := c.Counters(one); err != nil || len(n) != 1 || len(f.asked) != 1 {
		t.Errorf("%v, %v, asked %d times", n, err, len(f.asked))
	}
	c.looked = time.Now().Add(-lookEvery)
	_, _ = c.Counters(one)
	if time.Since(c.looked) > lookEvery/2 {
		t.Error("it was not looked whether the kernel counts still")
	}
}
