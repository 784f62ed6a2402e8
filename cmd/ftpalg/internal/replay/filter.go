package replay

import (
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg"
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

// admit reports whether a new connection has a pinhole, which is used then.
func (f *filter) admit(from, to netip.AddrPort) bool {
	for _, p := range []alg.Pinhole{
		{Mode: alg.Active, Source: from.Addr(), SourcePorts: alg.Ports{First: from.Port(), Last: from.Port()}, Dest: to},
		{Mode: alg.Active, Source: from.Addr(), Dest: to},
		{Mode: alg.Passive, Source: from.Addr(), Dest: to},
	} {
		if unused, _ := f.Unused(p); unused {
			delete(f.open, p)
			return true
		}
	}
	return false
}
