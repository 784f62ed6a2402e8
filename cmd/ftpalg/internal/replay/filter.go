package replay

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// filter stands in for the packet filter, at a moment of the capture: it admits each
// pinhole's connection once, and not after the time-out. It is for one worker.
type filter struct {
	now      time.Time
	flows    *connections
	open     map[alg.Pinhole]time.Time // until when
	admitted map[alg.Pinhole]admitted  // the connection that used it
	ranges   map[alg.Range]struct{}
	ports    []alg.Ports // those that anything above has or had: a handful, from the policy
}

// admitted is a connection that used a pinhole.
type admitted struct {
	from, to netip.AddrPort
	seq      uint32    // of its SYN
	until    time.Time // until when that SYN, and no other, is admitted if it comes again
}

// mostByRange is how many connections to the ports of ranges one client may have at a
// time.
const mostByRange = 32

// repeatedFor is how long the admitted SYN may be repeated.
const repeatedFor = 30 * time.Second

var _ alg.Pinholes = (*filter)(nil)

func newFilter(flows *connections) *filter {
	return &filter{
		flows: flows, open: make(map[alg.Pinhole]time.Time), admitted: make(map[alg.Pinhole]admitted),
		ranges: make(map[alg.Range]struct{}),
	}
}

// Commit implements [alg.Pinholes]. It never fails.
//
// Ranges have no time-out here: it is for the death of the daemon that refreshes them.
func (f *filter) Commit(ops []alg.Op) error {
	for _, op := range ops {
		switch op.Kind {
		case alg.OpOpen:
			f.open[op.Pinhole] = f.now.Add(op.Timeout)
			f.remember(op.Pinhole.SourcePorts)
		case alg.OpClose:
			delete(f.open, op.Pinhole)
			delete(f.admitted, op.Pinhole)
		case alg.OpRelease:
			f.flows.release(op.Flow)
		case alg.OpAdmit:
			f.ranges[op.Range] = struct{}{}
			f.remember(op.Range.Ports)
		case alg.OpRevoke:
			delete(f.ranges, op.Range)
		}
	}
	return nil
}

func (f *filter) remember(ports alg.Ports) {
	if !slices.Contains(f.ports, ports) {
		f.ports = append(f.ports, ports)
	}
}

// Unused implements [alg.Pinholes]. It never fails.
func (f *filter) Unused(p alg.Pinhole) (bool, error) {
	until, ok := f.open[p]
	return ok && !f.now.After(until), nil
}

// passage is how a SYN gets through.
type passage uint8

const (
	closed  passage = iota
	through         // it has a pinhole, or got through a moment ago and comes again
	byRange         // it goes to ports that are admitted altogether
	tooMany         // so it does, but its client has as many connections as may be
)

// admit decides on a SYN that begins a connection; others are not asked about.
func (f *filter) admit(s *segment) passage {
	known := f.flows.find(s.src, s.dst)
	for _, ports := range f.ports {
		for _, mode := range [...]alg.Mode{alg.Active, alg.Passive} {
			p := alg.Pinhole{Mode: mode, Source: s.src.Addr(), SourcePorts: ports, Dest: s.dst}
			if ports.Contains(s.src.Port()) && (f.use(p, s) || f.again(p, s)) {
				return through
			}
		}
		_, named := f.ranges[alg.Range{Client: s.src.Addr(), Server: s.dst.Addr(), Ports: ports}]
		switch {
		case !named || !ports.Contains(s.dst.Port()):
		case known != nil && known.byRange && !known.over:
			return through
		case f.flows.byRange[clientOf(s.src)] >= mostByRange:
			return tooMany
		default:
			return byRange
		}
	}
	return closed
}

// use takes the pinhole away for the connection that the SYN asks for.
func (f *filter) use(p alg.Pinhole, s *segment) bool {
	if unused, _ := f.Unused(p); !unused {
		return false
	}
	delete(f.open, p)
	f.admitted[p] = admitted{s.src, s.dst, s.seq, f.now.Add(repeatedFor)}
	return true
}

// again reports whether this very SYN has used the pinhole a moment ago.
func (f *filter) again(p alg.Pinhole, s *segment) bool {
	a, ok := f.admitted[p]
	return ok && a.from == s.src && a.to == s.dst && a.seq == s.seq && !f.now.After(a.until)
}
