package alg

import (
	"time"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// decide does what follows from a line, or from an event of the session.
func (s *session) decide(decisions []dialogue.Decision) {
	for i := range decisions {
		switch d := &decisions[i]; d.Act {
		case dialogue.Began:
			s.stand()
			s.begun(d.Reason)
		case dialogue.Announced:
			p, ok := s.outsideOf(s.pinholeOf(d.Announcement))
			if !ok {
				s.refuse(&dialogue.Decision{Announcement: d.Announcement, Reason: "no port of the translated address is free to stand for it"})
				s.decide(s.talk.Withdraw("", nil))
				return // and it is not open
			}
			s.announce(p, d.Reason)
		case dialogue.Open:
			s.openPinhole()
		case dialogue.Underway:
			if s.announced.stage == open && !s.announced.looked {
				s.announced.looked = true
				s.w.pending = append(s.w.pending, pending{look: s})
			}
		case dialogue.Close:
			s.closePinhole(d.Reason, d.Standing)
		case dialogue.Refused:
			s.refuse(d)
		case dialogue.Doubted:
			s.w.tell(s.event(PassiveOff, d.Reason))
		case dialogue.Secured:
			s.stand()
			s.secured(d.TLS)
		case dialogue.Over:
			s.stand()
			if s.started || s.client.odd.Add(1) <= maxOdd {
				s.w.tell(s.event(NotFTP, d.Reason))
			}
			s.giveUp("not followed any more")
		}
	}
}

// refuse tells that an announcement is not acted on. One that no honest end makes can
// end the connection.
func (s *session) refuse(d *dialogue.Decision) {
	e := s.event(PinholeRefused, d.Reason)
	if d.Announcement.At.IsValid() {
		e.Pinhole = s.pinholeOf(d.Announcement)
	}
	s.chat(e)
	if d.Violation && s.w.Policy.Reset {
		s.condemn("an announcement of " + d.Reason)
	}
}

// pinholeOf returns the pinhole for an announcement.
func (s *session) pinholeOf(a dialogue.Announcement) Pinhole {
	p := Pinhole{Mode: a.Mode, Source: s.flow.Server.Addr(), SourcePorts: a.From, Dest: a.At}
	if a.Mode == Passive {
		p.Source = s.flow.Client.Addr()
	}
	return p
}

// announce notes that one end says where it waits.
func (s *session) announce(p Pinhole, note string) {
	if s.w.nearby[s.near()] == s {
		delete(s.w.nearby, s.near())
	}
	s.anew(p)
	s.w.nearby[s.near()] = s
	s.chat(s.pinholeEvent(PinholeAnnounced, note))
}

// openPinhole has the announced connection admitted with the end of this batch.
func (s *session) openPinhole() {
	a := s.announced
	if a.stage != open {
		s.w.pinholes[a.pinhole]++
		s.w.standFor(a.pinhole)
	}
	a.stage, a.openedAt, a.stopped, a.inForce, a.looked = open, s.w.now, false, false, false
	a.timeout = s.w.Policy.Timeout
	s.w.opened.set(&a.until, s.w.clock())
	s.change(Op{Kind: OpOpen, Pinhole: a.pinhole, Timeout: a.timeout})
	s.chat(s.pinholeEvent(PinholeOpen, ""))
}

// closePinhole sees to it that nothing is admitted any more. A connection that came
// through before carries on: it lives in conntrack, not in the pinhole. Where the
// announcement is to stand for another transfer command, that its connection came ends it.
func (s *session) closePinhole(reason string, stands bool) {
	a := s.announced
	if !a.known || a.stage == closed {
		return
	}
	wasOpen, cameNow := a.stage == open || a.stage == used, false
	if wasOpen {
		cameNow = s.noteUse()
		a.stop(s.w.now)
		s.shut(cameNow)
	}
	s.chat(s.pinholeEvent(PinholeClosed, reason))
	switch {
	case stands && cameNow:
		s.talk.Came()
		a.stage = closed
		s.leaveOutside()
	case stands:
		s.anew(a.pinhole)
	default:
		a.stage = closed
		s.leaveOutside()
	}
}

// shut takes away what admits the session's connection, unless another session has
// announced the same one. Where it was used, nothing waits for that.
func (s *session) shut(wasUsed bool) {
	s.announced.until.stop()
	p := s.announced.pinhole
	if s.w.pinholes[p]--; s.w.pinholes[p] > 0 {
		return
	}
	delete(s.w.pinholes, p)
	c := change{Op: Op{Kind: OpClose, Pinhole: p, Timeout: s.announced.timeout}, session: s}
	if wasUsed {
		s.w.after = append(s.w.after, c)
	} else {
		s.w.changes = append(s.w.changes, c)
	}
}

// noteUse reports whether the live pinhole was used, and tells if that is news.
func (s *session) noteUse() bool {
	news, err := s.askUse(s.w.now)
	if err != nil {
		e := s.pinholeEvent(Failure, "it is not known whether the pinhole was used")
		e.Err = err
		s.w.tell(e)
	}
	if news {
		s.w.tell(s.pinholeEvent(PinholeUsed, ""))
	}
	return s.announced.stage == used
}

// askUse asks the packet filter about a live pinhole that is open and in force, and
// reports whether it has turned out to be used.
func (s *session) askUse(now time.Time) (news bool, err error) {
	a := s.announced
	if a.stage != open || !a.inForce {
		return false, nil
	}
	unused, err := s.w.Pinholes.Unused(a.pinhole)
	if err != nil || unused || now.Sub(a.openedAt) >= a.timeout {
		return false, err // one that is gone after its time was not used for all that is known
	}
	a.stop(now)
	a.stage, s.chatter = used, chatter{}
	a.until.stop()
	if s.pinholeOf(s.talk.Live()) == a.pinhole.untranslated() { // and not the next announcement already
		s.talk.Came()
	}
	return true, nil
}

func (s *session) pinholeEvent(k Kind, reason string) Event {
	a := s.announced
	e := s.event(k, reason)
	e.Pinhole, e.OpenedAt, e.Used = a.pinhole, a.openedAt, a.stage == used
	if a.stopped {
		e.Open = a.lasted
	}
	return e
}
