package alg_test

import (
	"testing"
	"time"
)

// A tick may stay away until the next thing falls due, and no longer.
func TestRest(t *testing.T) {
	x := newWire(t)
	for _, step := range []struct {
		about string
		do    func()
		min   time.Duration
		max   time.Duration
	}{
		{"no session", func() {}, time.Hour, time.Hour},
		{"a handshake", func() { x.connect() }, 59 * time.Second, time.Minute},
		{"a session", func() {
			x.s("220 x")
			x.c("USER u")
			x.s("331 x")
			x.c("PASS p")
			x.s("230 x")
		}, 59 * time.Second, time.Minute},
		{"an open pinhole", func() { x.port(); x.retr() }, 29 * time.Second, 30 * time.Second},
		{"the same 29 s later", func() { x.wait(29 * time.Second) }, tick, time.Second},
		{"an unused pinhole, at its end", func() { x.wait(time.Second) }, time.Second, time.Minute},
		{"a used pinhole, closed", func() {
			x.port()
			x.retr()
			x.kernel.use(x.hole(46197))
			x.s("150 x", "226 x")
		}, 59 * time.Second, time.Minute},
		{"a packet that waits", func() { x.at(fromClient, 10, "NOOP\r\n") }, tick, tick},
	} {
		step.do()
		if rest := x.w.Rest(); rest < step.min || rest > step.max {
			t.Errorf("%s: %v, want %v to %v", step.about, rest, step.min, step.max)
		}
	}
}
