package replay

import (
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// filter stands in for the packet filter, at a moment of the capture: it admits each
// pinhole's connection once, and not after the time-out. It is for one worker.
type filter struct {
	now  time.Time
	open map[alg.Pinhole]time.Time // until when
}

var _ alg.Pinholes = (*filter)(nil)

// Commit implements [alg.Pinholes]. It never fails. That a control connection is
// released does not matter here: the engine does not read it any more.
func (f *filter) Commit(ops []alg.Op) error {
	for _, op := range ops {
		switch op.Kind {
		case alg.OpOpen:
			f.open[op.Pinhole] = f.now.Add(op.Timeout)
		case alg.OpClose:
			delete(f.open, op.Pinhole)
		}
	}
	return nil
}

// Unused implements [alg.Pinholes]. It never fails.
func (f *filter) Unused(p alg.Pinhole) (bool, error) {
	until, ok := f.open[p]
	return ok && !f.now.After(until), nil
}

// admit reports whether a segment is the first of a connection that has a pinhole,
// which is used then.
func (f *filter) admit(seg *tcp.Segment) bool {
	if seg.Flags&(tcp.FIN|tcp.SYN|tcp.RST|tcp.ACK) != tcp.SYN {
		return false
	}
	from, port := seg.Src.Addr(), seg.Src.Port()
	for _, p := range []alg.Pinhole{
		{Mode: alg.Active, Source: from, SourcePort: port, Dest: seg.Dst},
		{Mode: alg.Active, Source: from, Dest: seg.Dst},
		{Mode: alg.Passive, Source: from, Dest: seg.Dst},
	} {
		if unused, _ := f.Unused(p); unused {
			delete(f.open, p)
			return true
		}
	}
	return false
}
