package alg

import (
	"slices"
	"time"
)

// change is a change to the packet filter that a session wants.
type change struct {
	Op
	session *session
	until   time.Time // of one that failed: then it is over by its own time-out
}

// retry names a change that is tried again, once however often it was wanted.
type retry struct {
	kind    OpKind
	pinhole Pinhole
}

// pending is an event that waits for the end of the batch, or a pinhole that is looked at
// after it.
type pending struct {
	Event
	untold bool     // it is counted only
	look   *session // not nil: find out whether its pinhole was used, tell if so
}

func (s *session) change(op Op) {
	s.w.changes = append(s.w.changes, change{Op: op, session: s})
}

// commit makes the batch's changes and settles what became of them. Where the
// transaction fails each change is tried by itself: one session's must not cost
// another's.
//
// What was used and is closed goes along, as a transaction costs more than what is in it.
// Where there is none it goes by itself, later: nothing waits for that.
func (w *Worker) commit() {
	if len(w.changes) == 0 {
		return
	}
	w.closeUsed()
	w.ops = w.ops[:0]
	for _, c := range w.changes {
		w.ops = append(w.ops, c.Op)
	}
	err := w.Pinholes.Commit(w.ops)
	for i, c := range w.changes {
		one := err
		if err != nil && len(w.ops) > 1 {
			one = w.Pinholes.Commit(w.ops[i : i+1])
		}
		switch {
		case one == nil:
			w.committed(c)
		case c.until.IsZero(): // one that was tried before is told no more
			w.failed(c, one)
		default:
			w.again[retry{c.Kind, c.Pinhole}] = c
		}
	}
	clear(w.changes)
	w.changes = w.changes[:0]
}

// committed notes that the packet filter has made a change.
func (w *Worker) committed(c change) {
	a := c.session.announced
	if c.Kind == OpClose {
		w.letGo(c.Pinhole)
	}
	if c.Kind == OpOpen && a.stage == open && a.pinhole == c.Pinhole {
		a.inForce = true
		if !c.until.IsZero() {
			c.session.chat(c.session.pinholeEvent(PinholeOpen, "at last"))
		}
	}
}

// failed takes back what was to be told because of a change, tells the failure instead,
// and has the change tried again.
func (w *Worker) failed(c change, err error) {
	w.stats.Failures++
	e := c.session.event(Failure, "the packet filter refused a change")
	e.Pinhole, e.Err = c.Pinhole, err
	if c.Kind == OpOpen {
		w.pending = slices.DeleteFunc(w.pending, func(p pending) bool {
			return (p.Kind == PinholeOpen || p.Kind == PinholeClosed && !p.OpenedAt.IsZero()) &&
				p.Session == c.session.id && p.Pinhole == c.Pinhole
		})
	}
	c.session.chat(e)
	switch c.Kind {
	case OpOpen, OpClose:
		c.until = w.now.Add(c.Timeout) // a Revise may have given others less
		w.again[retry{c.Kind, c.Pinhole}] = c
	case OpAdmit, OpRevoke, OpRelease, OpWatch: // the next refreshment, the time-out, and nobody's loss
	}
}

// tryAgain wants again what failed, while it still makes sense.
func (w *Worker) tryAgain() {
	for _, c := range w.again {
		a := c.session.announced
		opens := c.Kind == OpOpen
		switch {
		case !w.now.Before(c.until):
			if !opens {
				w.letGo(c.Pinhole)
			}
		case opens && a.stage == open && a.pinhole == c.Pinhole && !a.inForce,
			!opens && w.pinholes[c.Pinhole] == 0:
			w.changes = append(w.changes, c)
		}
	}
	clear(w.again)
}

// closeUsed has what was used taken away, before anything takes its place.
func (w *Worker) closeUsed() {
	w.changes = slices.Insert(w.changes, 0, slices.DeleteFunc(w.after, func(c change) bool {
		return w.pinholes[c.Pinhole] > 0 // it was announced anew
	})...)
	clear(w.after)
	w.after = w.after[:0]
}

// Settle tells the sink what happened, in order, and does what nothing waits for: finding
// out about pinholes, closing those that were used, vouching. It is called after the
// verdicts of a Result were given.
func (w *Worker) Settle(now time.Time) {
	if !w.now.IsZero() {
		w.now = now
	}
	for i := range w.pending {
		switch p := &w.pending[i]; {
		case p.look != nil:
			p.look.look()
		case p.untold:
			w.count(&p.Event)
		default:
			w.send(&p.Event)
		}
		w.pending[i] = pending{}
	}
	w.pending = w.pending[:0]
	w.closeUsed()
	w.commit()
	for _, s := range w.trusted {
		s.vouchNow()
	}
	clear(w.trusted)
	w.trusted = w.trusted[:0]
}

// look finds out whether a session's pinhole was used, and tells.
func (s *session) look() {
	if s.gone {
		return
	}
	if news, err := s.askUse(s.w.now); err == nil && news {
		e := s.pinholeEvent(PinholeUsed, "")
		s.w.send(&e)
	}
}
