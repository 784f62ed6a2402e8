package alg

import "time"

// timers is a list of things that fall due after one and the same delay, so that
// the order in which they were set is the order in which they fall due: setting,
// moving and stopping one costs the same whatever their number.
type timers struct {
	delay      time.Duration
	head, tail *timer
	n          int
}

// timer is one entry. It lies in the session it belongs to, and in one list at most.
type timer struct {
	due        int64 // by the worker's clock
	list       *timers
	prev, next *timer
	session    *session
}

// set puts the timer at the end of the list, from wherever it was.
func (l *timers) set(t *timer, now int64) {
	t.stop()
	t.due, t.list, t.prev = now+int64(l.delay), l, l.tail
	if l.tail != nil {
		l.tail.next = t
	} else {
		l.head = t
	}
	l.tail = t
	l.n++
}

// due returns the first session whose time has come, or nil.
func (l *timers) due(now int64) *session {
	if l.head == nil || l.head.due > now {
		return nil
	}
	return l.head.session
}

func (t *timer) stop() {
	l := t.list
	if l == nil {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.head = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		l.tail = t.prev
	}
	l.n--
	t.list, t.prev, t.next = nil, nil, nil
}

// shorten makes the delay another one, also for what is set, but takes nothing's time away
// that it would have with a fresh start, and gives none more: the order stays.
func (l *timers) shorten(delay time.Duration, now int64) {
	l.delay = delay
	for t := l.head; t != nil; t = t.next {
		t.due = min(t.due, now+int64(delay))
	}
}

// Rest returns how long Tick may be put off if no packet comes before.
func (w *Worker) Rest() time.Duration {
	if len(w.holding) > 0 || len(w.again) > 0 {
		return tick
	}
	rest := int64(longRest)
	for _, l := range []*timers{&w.handshaking, &w.loggingIn, &w.idle, &w.ending, &w.calm, &w.opened, &w.admitted} {
		if l.head != nil {
			rest = min(rest, l.head.due-w.clock())
		}
	}
	return max(tick, time.Duration(rest))
}

// longRest is as good as for ever.
const longRest = time.Hour
