package queue

import (
	"context"
	"testing"
	"time"
)

// Without traffic handle is called after 100 ms, and then as seldom as it asked for, until
// somebody wakes it or a packet comes.
func TestRest(t *testing.T) {
	namespace(t, 1500)
	q := open(t, Config{Number: 7})
	divert(t, 7)
	to := receiver(t, "127.0.0.1")
	from := sender(t, to)
	calls := make(chan int, 100) // with how many packets
	answer := acceptAll(q)
	stop := serve(t, q, func(packets []Packet) error {
		q.Rest(time.Hour)
		calls <- len(packets)
		return answer(packets)
	})
	next := func(want int, within time.Duration) {
		t.Helper()
		select {
		case n := <-calls:
			if n != want {
				t.Errorf("a call with %d packets, want %d", n, want)
			}
		case <-time.After(within):
			t.Errorf("no call within %v", within)
		}
	}
	next(0, time.Second) // the first wait
	for range 3 {
		select {
		case n := <-calls:
			t.Errorf("a call with %d packets while it rests", n)
		case <-time.After(300 * time.Millisecond):
		}
		q.Wake()
		next(0, time.Second)
		if _, err := from.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		next(1, time.Second)
		next(0, time.Second) // 100 ms without traffic
	}
	q.Wake() // and not only a rest that has begun
	q.Wake()
	next(0, time.Second)
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > time.Second {
		t.Errorf("Run ended %v after its context", took)
	}
	q.Wake() // after Run
}

// Wake comes to nothing when the queue is closed already.
func TestWakeAfterClose(t *testing.T) {
	namespace(t, 1500)
	q, err := Open(Config{Number: 7})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Run(ctx, acceptAll(q)); err != nil {
		t.Error(err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	q.Wake()
}
