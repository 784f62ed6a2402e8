package alg

// Tally counts what became of sessions and pinholes, whether it was told or, as too much
// of it came, was not. All but Sessions only grow.
type Tally struct {
	Sessions [len(States)]int64 // that are followed, by their place in States

	Started, Ended     uint64 // sessions that were greeted
	NotFTP, PassiveOff uint64 // sessions
	AuthTLS            uint64 // times that AUTH was accepted, or turned into another command
	Overload, Failures uint64 // events

	Announced, Opened, Used             [2]uint64 // pinholes, by Mode
	Closed, Refused, Missed, Violations [causes]uint64

	Open Histogram // how long pinholes admitted their connection
}

// States are the states of a session, as SessionInfo has them.
var States = [...]string{"greeting", "dialogue", "encrypted", "unhelped", "ended"}

// The places in States. nowhere is that of a session that is not there yet, or no more.
const (
	nowhere = iota - 1
	greeting
	talking
	encrypted
	unhelped
	condemned
)

// standing returns the place of a session's state in States.
func (s *session) standing() int8 {
	switch {
	case s.gone:
		return nowhere
	case s.ended():
		return condemned
	case s.talk.Encrypted():
		return encrypted
	case !s.talk.Followed():
		return unhelped
	case s.talk.Greeted():
		return talking
	}
	return greeting
}

// stand counts a session where it stands now.
func (s *session) stand() {
	if s.counted > nowhere {
		s.w.tally.Sessions[s.counted]--
	}
	if s.counted = s.standing(); s.counted > nowhere {
		s.w.tally.Sessions[s.counted]++
	}
}

// Tally returns what was counted so far.
func (w *Worker) Tally() Tally { return w.tally }

// Greeted returns how many of the sessions that are followed have been greeted, and how many
// pinholes are open. It is quick.
func (w *Worker) Greeted() (sessions, open int64) {
	return int64(w.tally.Started - w.tally.Ended), int64(w.opened.n)
}

// count counts an event.
func (w *Worker) count(e *Event) {
	t := &w.tally
	switch e.Kind {
	case SessionStart:
		t.Started++
	case SessionEnd:
		t.Ended++
	case PinholeAnnounced:
		t.Announced[e.Pinhole.Mode]++
	case PinholeOpen:
		t.Opened[e.Pinhole.Mode]++
	case PinholeUsed:
		t.Used[e.Pinhole.Mode]++
	case PinholeClosed:
		t.Closed[CauseOf(e.Reason)]++
		if !e.OpenedAt.IsZero() {
			t.Open.Observe(e.Open, 1)
		}
	case PinholeRefused:
		t.Refused[CauseOf(e.Reason)]++
	case PinholeMissed:
		t.Missed[CauseOf(e.Reason)]++
	case Violation:
		t.Violations[CauseOf(e.Reason)]++
	case PassiveOff:
		t.PassiveOff++
	case NotFTP:
		t.NotFTP++
	case AuthTLS:
		t.AuthTLS++
	case Overload:
		t.Overload++
	case Failure:
		t.Failures++
	case FTPSAdmitted, FTPSRefused: // no worker sees them
	}
}

// send counts an event and tells the sink.
func (w *Worker) send(e *Event) {
	w.count(e)
	w.Sink(*e)
}
