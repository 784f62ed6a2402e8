package alg_test

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// kernel stands in for the packet filter. Its elements go by their own time-out.
type kernel struct {
	now    *time.Time
	until  map[alg.Pinhole]time.Time
	ranges map[alg.Range]time.Time
	dnat   map[announcedAt]netip.AddrPort // of what is translated: nothing but a close takes it away
	opened []alg.Pinhole                  // all that were ever committed
	log    []alg.Op                       // all changes
	fail   func([]alg.Op) error
	err    error // of Unused
	asked  int   // calls of Unused
	lean   *bool // true: nothing is logged
	plain  bool  // how pinholes are translated is not regarded
}

var _ alg.Pinholes = (*kernel)(nil)

// announcedAt is the key of the map that translates where connections go to.
type announcedAt struct {
	source netip.Addr
	at     netip.AddrPort
}

// translates makes the changes of a transaction to that map, all of them or none.
func (k *kernel) translates(ops []alg.Op) error {
	dnat := maps.Clone(k.dnat)
	for _, op := range ops {
		key := announcedAt{op.Pinhole.Source, op.Pinhole.At}
		switch to, there := dnat[key]; {
		case !key.at.IsValid():
		case op.Kind == alg.OpClose:
			delete(dnat, key)
		case op.Kind == alg.OpOpen && there && to != op.Pinhole.Dest:
			return unix.EEXIST
		case op.Kind == alg.OpOpen && dnat == nil:
			dnat = map[announcedAt]netip.AddrPort{key: op.Pinhole.Dest}
		case op.Kind == alg.OpOpen:
			dnat[key] = op.Pinhole.Dest
		}
	}
	k.dnat = dnat
	return nil
}

func (k *kernel) Commit(ops []alg.Op) error {
	if k.fail != nil {
		if err := k.fail(ops); err != nil {
			return err
		}
	}
	if err := k.translates(ops); err != nil {
		return err
	}
	for _, op := range ops {
		op.Pinhole = k.key(op.Pinhole)
		switch op.Kind {
		case alg.OpOpen:
			k.until[op.Pinhole] = k.now.Add(op.Timeout)
			if !*k.lean {
				k.opened = append(k.opened, op.Pinhole)
			}
		case alg.OpClose:
			delete(k.until, op.Pinhole)
		case alg.OpAdmit:
			k.ranges[op.Range] = k.now.Add(op.Timeout)
		case alg.OpRevoke:
			delete(k.ranges, op.Range)
		}
		if !*k.lean {
			k.log = append(k.log, op)
		}
	}
	return nil
}

func (k *kernel) Unused(p alg.Pinhole) (bool, error) {
	k.asked++
	return k.open(k.key(p)), k.err
}

// key is what tests know a pinhole by.
func (k *kernel) key(p alg.Pinhole) alg.Pinhole {
	if k.plain {
		p.At, p.As = netip.AddrPort{}, netip.Addr{}
	}
	return p
}

// open reports whether a connection would get through the pinhole.
func (k *kernel) open(p alg.Pinhole) bool {
	until, ok := k.until[p]
	return ok && k.now.Before(until)
}

// holes returns the pinholes that are open, in no order.
func (k *kernel) holes() []alg.Pinhole {
	return slices.DeleteFunc(slices.Collect(maps.Keys(k.until)), func(p alg.Pinhole) bool { return !k.open(p) })
}

// use is a connection through a pinhole.
func (k *kernel) use(p alg.Pinhole) bool {
	was := k.open(p)
	delete(k.until, p)
	return was
}

// times counts the committed changes of a kind.
func (k *kernel) times(kind alg.OpKind) (n int) {
	for _, op := range k.log {
		if op.Kind == kind {
			n++
		}
	}
	return n
}

var errKernel = errors.New("no")

// tracking stands in for connection tracking.
type tracking struct {
	vouched map[alg.Flow]bool
	lean    *bool
}

var _ alg.Flows = (*tracking)(nil)

func (*tracking) ID(alg.Flow) (uint32, bool, error) { return 7, true, nil }

func (f *tracking) Vouch(flow alg.Flow, on bool) error {
	if !*f.lean {
		f.vouched[flow] = on
	}
	return nil
}
