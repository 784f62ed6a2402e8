package replay

import (
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// player takes the packets of a capture to an engine of its own.
type player struct {
	Summary
	sink      alg.Sink
	flows     *connections
	filter    *filter
	elsewhere *elsewhere
	worker    *alg.Worker
	missed    func(now time.Time, from, to netip.AddrPort) // the engine's
	foreign   error                                        // names the last link type that is not read
}

func newPlayer(c Config) *player {
	// A capture does not say by which interfaces a packet went.
	c.Policy.Loose = true
	p := &player{sink: c.Sink, flows: newConnections(c.Policy.Ports), elsewhere: newElsewhere()}
	p.filter = newFilter(p.flows)
	p.worker = alg.NewWorker(alg.WorkerConfig{
		Policy:      c.Policy,
		Pinholes:    p.filter,
		Flows:       p.flows,
		Sink:        p.event,
		Limits:      alg.NewLimits(c.Policy.MaxSessions, c.Policy.MaxSessionsPerClient),
		Vouched:     p.flows.vouched,
		Offload:     true,
		AnyChecksum: c.AnyChecksum,
	})
	p.missed = p.worker.Missed
	return p
}

// event takes an event of the engine.
func (p *player) event(e alg.Event) {
	p.count(e)
	if c := p.flows.find(e.Client, e.Server); e.Kind == alg.SessionStart && c != nil && !c.begun && !c.resumed {
		c.resumed = true
		p.Resumed++
	}
	p.sink(e)
}

// summary is what there is to say after the last packet. The sessions that run are
// not stopped: the capture has ended, they have not.
func (p *player) summary() Summary {
	p.Engine = p.worker.Stats()
	p.Elsewhere = p.elsewhere.warnings()
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
	if seg, ok := dissect(packet); !ok || !p.segment(&seg, packet) {
		p.Skipped++
	}
}

// segment takes a segment through the gateway, and reports whether it belongs to a
// control connection or to what the engine decided.
func (p *player) segment(s *segment, packet []byte) bool {
	c := p.flows.find(s.src, s.dst)
	isNew := s.first() && c.isNew(s)
	way := closed
	if isNew {
		way = p.filter.admit(s)
	}
	near := isNew && way == closed && s.dst.Port() >= 1024 && p.flows.servers[s.src.Addr()] > 0
	atPort := s.of(p.flows.ports)
	switch {
	case isNew && (c == nil || c.over) && (way != closed || near || atPort):
		c = p.flows.begin(s, p.filter.now)
	case c == nil && atPort:
		c = p.flows.pickUp(s, p.filter.now)
	case c == nil:
		p.elsewhere.segment(s)
		return false
	}
	p.flows.note(c, s)
	part := c.control || way != closed
	switch {
	case near:
		part = p.nearMiss(s) || part
	case way == byRange:
		p.flows.admitByRange(c)
		p.event(alg.Encrypted(p.filter.now, s.src, s.dst, true))
	case way == tooMany:
		p.event(alg.Encrypted(p.filter.now, s.src, s.dst, false))
	}
	if c.diverts(s, isNew) {
		// The engine reads whole segments alone. One that was cut off it counts.
		p.worker.Batch(p.filter.now, []alg.Packet{{Data: packet}})
		p.worker.Settle(p.filter.now)
	}
	return part
}

// nearMiss has the engine compare a SYN that found no pinhole with what was announced,
// and reports whether it had something to say.
func (p *player) nearMiss(s *segment) bool {
	before := p.Missed
	p.missed(p.filter.now, s.src, s.dst)
	return p.Missed > before
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
	at := to.Unix()
	known := at >= 0 && at < 1<<33 // from 1970 to 2242, nanoseconds fit an int64
	switch {
	case now.IsZero() && known:
		*now = to // the clock starts with the file
	case now.IsZero():
		*now = time.Unix(0, 0).UTC()
	}
	if !known {
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
