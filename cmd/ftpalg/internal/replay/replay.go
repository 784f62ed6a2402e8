// Package replay runs the engine over a capture file. It needs neither a kernel nor
// privileges: the capture says what the time is, and whether a pinhole is used.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// File replays a capture in pcap or pcapng format and hands each event to the sink as
// it happens. It ends early, with ctx's cause, when ctx does. The Summary is that of
// what was read, with an error too; errors name the file.
//
// A file that ends in the middle of a record is no error: see Summary.Cut.
func File(ctx context.Context, name string, policy alg.Policy, sink alg.Sink) (Summary, error) {
	f, err := os.Open(name)
	if err != nil {
		return Summary{}, fmt.Errorf("replay: %w", err)
	}
	defer func() { _ = f.Close() }()
	s, err := read(ctx, f, policy, sink)
	if err != nil {
		return s, fmt.Errorf("replay %s: %w", name, err)
	}
	return s, nil
}

func read(ctx context.Context, in io.Reader, policy alg.Policy, sink alg.Sink) (Summary, error) {
	c, err := openCapture(in)
	if err != nil {
		return Summary{}, err
	}
	p := newPlayer(policy, sink)
	for ctx.Err() == nil {
		r, err := c.next()
		switch {
		case err == nil:
			p.packet(r)
			continue
		case errors.Is(err, io.ErrUnexpectedEOF):
			p.Cut = true
		case !errors.Is(err, io.EOF):
			return p.summary(), fmt.Errorf("after %d packets: %w", p.Packets, err)
		}
		if p.Packets > 0 && p.Foreign == p.Packets {
			return p.summary(), p.foreign
		}
		return p.summary(), nil
	}
	return p.summary(), context.Cause(ctx)
}

// player takes the packets of a capture to an engine of its own.
type player struct {
	Summary
	policy  alg.Policy
	filter  filter
	worker  *alg.Worker
	foreign error // names the last link type that is not read
}

func newPlayer(policy alg.Policy, sink alg.Sink) *player {
	p := &player{policy: policy, filter: filter{now: time.Unix(0, 0).UTC(), open: make(map[alg.Pinhole]time.Time)}}
	p.worker = alg.NewWorker(alg.WorkerConfig{
		Policy:   policy,
		Pinholes: &p.filter,
		Sink:     func(e alg.Event) { p.count(e); sink(e) },
		Limits:   alg.NewLimits(policy.MaxSessions, policy.MaxSessionsPerClient),
		Offload:  true,
	})
	return p
}

// summary is what there is to say after the last packet. The sessions that run are
// not stopped: the capture has ended, they have not.
func (p *player) summary() Summary {
	p.Engine = p.worker.Stats()
	return p.Summary
}

func (p *player) packet(r record) {
	p.Packets++
	if r.truncated {
		p.Truncated++
	}
	p.advance(r.at)
	strip := links[r.link]
	if strip == nil {
		p.Foreign++
		p.foreign = linkError(r.link)
		p.Skipped++
		return
	}
	packet := strip(r.frame)
	seg, ok := dissect(packet)
	switch {
	case ok && seg.first() && p.filter.admit(seg.src, seg.dst):
	case !ok || !seg.of(p.policy.Ports):
		p.Skipped++
	case seg.diverted():
		// The engine reads whole segments alone. One that was cut off it counts.
		p.worker.Batch(p.filter.now, []alg.Packet{{Data: packet}})
		p.worker.Settle(p.filter.now)
	}
}

const (
	// tick is how often the engine wants to look for what has fallen due.
	tick = 100 * time.Millisecond
	// maxTicks bounds the ticks between two packets: a capture may be silent for
	// years. While a pinhole is open every tick counts, for it must not expire unseen.
	maxTicks = 100
)

// advance takes engine and packet filter to a moment of the capture. There is no way
// back: packets out of order, and those without a time, come at the time that it is.
func (p *player) advance(to time.Time) {
	now := &p.filter.now
	if at := to.Unix(); at < 0 || at >= 1<<33 { // from 1970 to 2242, nanoseconds fit an int64
		return
	}
	silent := max(tick, to.Sub(*now)/maxTicks)
	for now.Before(to) {
		step := silent
		if len(p.filter.open) > 0 {
			step = tick
		}
		*now = now.Add(min(step, to.Sub(*now)))
		p.worker.Tick(*now)
		p.worker.Settle(*now)
	}
}
