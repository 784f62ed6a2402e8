package alg

import (
	"time"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// decide does what follows from a line, or from an event of the session.
func (w *Worker) decide(s *session, decisions []dialogue.Decision) {
	for i := range decisions {
		switch d := &decisions[i]; d.Act {
		case dialogue.Began:
			w.begun(s, d.Reason)
		case dialogue.Announced:
			w.announce(s, w.pinholeOf(s, d.Announcement), d.Reason)
		case dialogue.Open:
			w.openPinhole(s)
		case dialogue.Underway:
			if s.announced.stage == open && !s.announced.looked {
				s.announced.looked = true
				w.pending = append(w.pending, pending{look: s})
			}
		case dialogue.Close:
			w.closePinhole(s, d.Reason, d.Standing)
		case dialogue.Refused:
			w.refuse(s, d)
		case dialogue.Doubted:
			w.tell(w.event(s, PassiveOff, d.Reason))
		case dialogue.Secured:
			w.secured(s)
		case dialogue.Over:
			w.tell(w.event(s, NotFTP, d.Reason))
			w.giveUp(s, "not followed any more")
		}
	}
}

// refuse tells that an announcement is not acted on. One that no honest end makes can
// end the connection.
func (w *Worker) refuse(s *session, d *dialogue.Decision) {
	e := w.event(s, PinholeRefused, d.Reason)
	if d.Announcement.At.IsValid() {
		e.Pinhole = w.pinholeOf(s, d.Announcement)
	}
	w.chat(s, e)
	if d.Violation && w.Policy.Reset {
		w.condemn(s, "an announcement of "+d.Reason)
	}
}

// pinholeOf returns the pinhole for an announcement.
func (w *Worker) pinholeOf(s *session, a dialogue.Announcement) Pinhole {
	p := Pinhole{Mode: a.Mode, Source: s.flow.Server.Addr(), SourcePorts: a.From, Dest: a.At}
	if a.Mode == Passive {
		p.Source = s.flow.Client.Addr()
	}
	return p
}

// announce notes that one end says where it waits.
func (w *Worker) announce(s *session, p Pinhole, note string) {
	if w.nearby[s.near()] == s {
		delete(w.nearby, s.near())
	}
	s.announced = announced{pinhole: p, known: true}
	w.nearby[s.near()] = s
	w.chat(s, w.pinholeEvent(s, PinholeAnnounced, note))
}

// openPinhole has the announced connection admitted with the end of this batch.
func (w *Worker) openPinhole(s *session) {
	a := &s.announced
	if a.stage != open {
		w.pinholes[a.pinhole]++
	}
	a.stage, a.openedAt, a.closedAt, a.inForce, a.looked = open, w.now, time.Time{}, false, false
	w.opened.set(&s.open, w.now.UnixNano())
	w.change(s, Op{Kind: OpOpen, Pinhole: a.pinhole, Timeout: w.Policy.Timeout})
	w.chat(s, w.pinholeEvent(s, PinholeOpen, ""))
}

// closePinhole sees to it that nothing is admitted any more. A connection that came
// through before carries on: it lives in conntrack, not in the pinhole. Where the
// announcement is to stand for another transfer command, that its connection came ends it.
func (w *Worker) closePinhole(s *session, reason string, stands bool) {
	a := &s.announced
	if !a.known || a.stage == closed {
		return
	}
	wasOpen, cameNow := a.stage == open || a.stage == used, false
	if wasOpen {
		cameNow = w.noteUse(s)
		if a.closedAt.IsZero() {
			a.closedAt = w.now
		}
		w.shut(s, cameNow)
	}
	w.chat(s, w.pinholeEvent(s, PinholeClosed, reason))
	switch {
	case stands && cameNow:
		s.talk.Came()
		a.stage = closed
	case stands:
		*a = announced{pinhole: a.pinhole, known: true}
	default:
		a.stage = closed
	}
}

// shut takes away what admits the session's connection, unless another session has
// announced the same one. Where it was used, nothing waits for that.
func (w *Worker) shut(s *session, wasUsed bool) {
	s.open.stop()
	p := s.announced.pinhole
	if w.pinholes[p]--; w.pinholes[p] > 0 {
		return
	}
	delete(w.pinholes, p)
	c := change{Op: Op{Kind: OpClose, Pinhole: p}, session: s}
	if wasUsed {
		w.after = append(w.after, c)
	} else {
		w.changes = append(w.changes, c)
	}
}

// noteUse reports whether the live pinhole was used, and tells if that is news.
func (w *Worker) noteUse(s *session) bool {
	news, err := w.askUse(s, w.now)
	if err != nil {
		e := w.pinholeEvent(s, Failure, "it is not known whether the pinhole was used")
		e.Err = err
		w.tell(e)
	}
	if news {
		w.tell(w.pinholeEvent(s, PinholeUsed, ""))
	}
	return s.announced.stage == used
}

// askUse asks the packet filter about a live pinhole that is open and in force, and
// reports whether it has turned out to be used.
func (w *Worker) askUse(s *session, now time.Time) (news bool, err error) {
	a := &s.announced
	if a.stage != open || !a.inForce {
		return false, nil
	}
	unused, err := w.Pinholes.Unused(a.pinhole)
	if err != nil || unused {
		return false, err
	}
	a.stage, a.closedAt, s.chatter = used, now, chatter{}
	s.open.stop()
	if w.pinholeOf(s, s.talk.Live()) == a.pinhole { // and not the next announcement already
		s.talk.Came()
	}
	return true, nil
}

func (w *Worker) pinholeEvent(s *session, k Kind, reason string) Event {
	a := &s.announced
	e := w.event(s, k, reason)
	e.Pinhole, e.OpenedAt, e.Used = a.pinhole, a.openedAt, a.stage == used
	if !a.closedAt.IsZero() {
		e.Open = a.closedAt.Sub(a.openedAt)
	}
	return e
}
