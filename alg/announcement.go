package alg

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// state is how far an announcement has come.
type state uint8

const (
	none      state = iota
	announced       // PORT was seen
	accepted        // and its 200
	open            // the packet filter admits the connection, or will with this batch
	used            // it came
	closed          // nothing is admitted any more
)

func (s state) String() string {
	return [...]string{"none", "announced", "accepted", "open", "used", "closed"}[s]
}

// announcement is the one live announcement of a session.
type announcement struct {
	pinhole  Pinhole
	state    state
	inForce  bool // the packet filter has acknowledged it
	op       int  // 1 + the index of the op that opens it, until it is in force
	looked   bool // a preliminary reply had us look whether it was used
	openedAt time.Time
	closedAt time.Time // when it stopped admitting, once used
}

func (a *announcement) clear() { *a = announcement{} }

// announce acts on PORT and EPRT, and reports whether its reply matters.
func (w *Worker) announce(s *session, c ftp.Command) bool {
	w.dropAnnouncement(s, "a new announcement")
	parse := ftp.ParsePort
	if c.Verb == ftp.Eprt {
		parse = ftp.ParseEprt
	}
	at, err := parse(c.Arg)
	p := Pinhole{Mode: Active, Source: s.flow.Server.Addr(), SourcePorts: w.Policy.SourcePort, Dest: at}
	switch {
	case err != nil:
		w.refuse(s, Pinhole{}, err.Error())
		return false
	case s.epsvAll:
		w.refuse(s, p, c.Verb.String()+" after EPSV ALL")
		return false
	case !w.admits(s, p):
		return false
	}
	s.ann = announcement{pinhole: p, state: announced}
	w.tellPinhole(s, PinholeAnnounced, "")
	if w.Policy.OpenOnPort && s.proven {
		w.openPinhole(s)
	}
	return true
}

// ask acts on PASV and EPSV, which the server's reply turns into an announcement.
func (w *Worker) ask(s *session, c ftp.Command) due {
	w.dropAnnouncement(s, "a new announcement")
	if c.Verb == ftp.Pasv {
		if s.epsvAll {
			w.refuse(s, Pinhole{}, "PASV after EPSV ALL")
			return plain
		}
		return duePasv
	}
	family, err := ftp.ParseEpsvArg(c.Arg)
	v4 := s.flow.Server.Addr().Is4()
	switch {
	case err != nil:
		w.refuse(s, Pinhole{}, err.Error())
		return plain
	case family == ftp.EpsvAll:
		s.epsvAll = true
		return dueEpsvAll
	case family == ftp.EpsvIPv4 && !v4, family == ftp.EpsvIPv6 && v4:
		w.refuse(s, Pinhole{}, "EPSV for another address family")
		return plain
	}
	return dueEpsv
}

// answerActive acts on the reply to the live PORT or EPRT.
func (w *Worker) answerActive(s *session, r ftp.Reply) {
	switch {
	case !r.Completed():
		w.dropAnnouncement(s, "refused by the server")
	case s.ann.state == announced:
		s.ann.state = accepted
	}
}

// answerPassive acts on the final reply to the live PASV or EPSV: the client
// connects before it sends the transfer command.
func (w *Worker) answerPassive(s *session, means due, r ftp.Reply) {
	var at netip.AddrPort
	var err error
	switch {
	case means == duePasv && r.Code == 227:
		at, err = ftp.ParsePasv(r.Text)
	case means == dueEpsv && r.Code == 229:
		var port uint16
		port, err = ftp.ParseEpsv(r.Text)
		at = netip.AddrPortFrom(s.flow.Server.Addr(), port)
	default:
		return
	}
	if err != nil {
		w.refuse(s, Pinhole{}, err.Error())
		return
	}
	p := Pinhole{Mode: Passive, Source: s.flow.Client.Addr(), Dest: at}
	if !w.admits(s, p) {
		return
	}
	s.ann = announcement{pinhole: p, state: accepted}
	w.tellPinhole(s, PinholeAnnounced, "")
	w.openPinhole(s)
}

// transfer acts on a command that uses the live announcement.
func (w *Worker) transfer(s *session) due {
	if s.ann.state == announced || s.ann.state == accepted {
		if !s.proven {
			p := s.ann.pinhole
			s.ann.clear()
			w.refuse(s, p, "picked up in the middle: no command was answered yet")
			return plain
		}
		w.openPinhole(s)
	}
	return dueTransfer
}

// admits checks a pinhole against the policy, and refuses it where it fails.
func (w *Worker) admits(s *session, p Pinhole) bool {
	own := s.flow.Client.Addr()
	if p.Mode == Passive {
		own = s.flow.Server.Addr()
	}
	switch port := p.Dest.Port(); {
	case !slices.Contains(w.Policy.Modes, p.Mode):
		w.refuse(s, p, p.Mode.String()+" mode is not allowed")
	case p.Dest.Addr() != own:
		w.refuse(s, p, "a foreign address")
		w.violate(s, "an announcement of a foreign address")
	case port < w.Policy.MinPort:
		w.refuse(s, p, "a port below the lowest allowed")
		w.violate(s, "an announcement of a port below the lowest allowed")
	case slices.Contains(w.Policy.DenyPorts, port):
		w.refuse(s, p, "a denied port")
		w.violate(s, "an announcement of a denied port")
	case w.Policy.RequireLogin && (s.login == loggedOut || s.queue.has(dueLogin, dueRein)):
		w.refuse(s, p, "nobody is logged in")
	default:
		return true
	}
	return false
}

func (w *Worker) refuse(s *session, p Pinhole, reason string) {
	if !w.mayTell(s) {
		return
	}
	e := w.event(s, PinholeRefused, reason)
	e.Pinhole = p
	w.tell(e)
}

// mayTell bounds what an attacker could have told as often as he likes: refusals and
// conflicts between two connections that were admitted.
func (w *Worker) mayTell(s *session) bool {
	const many = 64
	s.refused = min(s.refused+1, many+2)
	if s.refused == many+1 {
		w.tell(w.event(s, Overload, "too many refusals: no more are told until a connection is admitted"))
	}
	return s.refused <= many
}

// openPinhole has the live announcement admitted with the end of this batch.
func (w *Worker) openPinhole(s *session) {
	s.ann.state, s.ann.openedAt = open, w.now
	w.open.set(&s.hole, w.now.UnixNano())
	w.do(s, Op{Kind: OpOpen, Pinhole: s.ann.pinhole, Timeout: w.Policy.Timeout})
	w.tellPinhole(s, PinholeOpen, "")
	s.ann.op = len(w.ops)
	w.pending[len(w.pending)-1].op = s.ann.op
}

// committed notes that the packet filter has made a change.
func (s *session) committed(op Op) {
	if op.Kind == OpOpen && s.ann.state == open && s.ann.pinhole == op.Pinhole {
		s.ann.inForce, s.ann.op = true, 0
	}
}

// look finds out whether the live pinhole was used, and tells.
func (w *Worker) look(s *session, now time.Time) {
	if news, err := w.askUse(s, now); err == nil && news {
		e := w.pinholeEvent(s, PinholeUsed, "")
		e.Time = now
		w.Sink(e)
	}
}

// askUse asks the packet filter about a live pinhole that is open and in force, and
// reports whether it has turned out to be used.
func (w *Worker) askUse(s *session, now time.Time) (news bool, err error) {
	a := &s.ann
	if a.state != open || !a.inForce {
		return false, nil
	}
	unused, err := w.Pinholes.Unused(a.pinhole)
	if err != nil || unused {
		return false, err
	}
	a.state, a.closedAt, s.refused = used, now, 0
	s.hole.stop()
	return true, nil
}

// dropAnnouncement ends the live announcement, whatever its state.
func (w *Worker) dropAnnouncement(s *session, reason string) {
	s.queue.settle(dueActive, duePasv, dueEpsv, dueTransfer)
	w.closePinhole(s, reason)
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
		w.tellPinhole(s, PinholeUsed, "")
	}
	return s.ann.state == used
}

// closePinhole sees to it that nothing is admitted any more. A connection that came
// through before carries on: it lives in conntrack, not in the pinhole.
func (w *Worker) closePinhole(s *session, reason string) {
	a := &s.ann
	if a.state == none || a.state == closed {
		return
	}
	if a.state == open && !w.noteUse(s) {
		a.closedAt = w.now
		w.do(s, Op{Kind: OpClose, Pinhole: a.pinhole})
	}
	w.tellPinhole(s, PinholeClosed, reason)
	w.pending[len(w.pending)-1].op = a.op
	s.hole.stop()
	a.state = closed
}

func (w *Worker) tellPinhole(s *session, k Kind, reason string) { w.tell(w.pinholeEvent(s, k, reason)) }

func (w *Worker) pinholeEvent(s *session, k Kind, reason string) Event {
	e := w.event(s, k, reason)
	e.Pinhole, e.OpenedAt, e.Used = s.ann.pinhole, s.ann.openedAt, s.ann.state == used
	if !s.ann.closedAt.IsZero() {
		e.Open = s.ann.closedAt.Sub(s.ann.openedAt)
	}
	return e
}
