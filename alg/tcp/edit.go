package tcp

import "bytes"

// Settle has the first n of the bytes that are open go out as these: nil, as they came. The
// first that are of another number ask for an adjustment, and so does all that follows.
func (s *Stream) Settle(n int, out []byte) {
	at := len(s.past) - int(s.open)
	in := s.past[at : at+n]
	if out == nil {
		out = in
	}
	if len(out) != n {
		if s.wanted == s.adj {
			s.wanted = Adjustment{Pos: s.next - s.open, Before: s.adj.After, After: s.adj.After}
		}
		s.wanted.After += int32(len(out) - n)
	}
	if s.sent == nil && !bytes.Equal(in, out) {
		s.sent = append(make([]byte, 0, at+len(out)), s.past[:at]...)
	}
	if s.sent != nil {
		s.sent = grow(s.sent, out)
	}
	s.open -= uint32(n)
	if !s.Settled() {
		s.edited = s.next - s.open
	}
}

// Stuck reports whether there are bytes that arrived and may not go out yet.
func (s *Stream) Stuck() bool { return s.open > 0 || !s.Settled() }

// Sent reports whether an acknowledgement of the receiver is of what was seen.
func (s *Stream) Sent(ack uint32) bool { return Diff(s.adj.In(ack), s.next) <= 0 }

// InForce returns the adjustment that is in force.
func (s *Stream) InForce() Adjustment { return s.adj }

// Open returns how many bytes there are of which it is not settled how they go out.
func (s *Stream) Open() int { return int(s.open) }

// Settled reports whether all that is settled may go out: the adjustment that it wants is
// in force.
func (s *Stream) Settled() bool { return s.wanted == s.adj }

// Adjustment returns the adjustment that has to be in force before more goes out. ready is
// false as long as the receiver has not acknowledged the line that made the last one.
func (s *Stream) Adjustment() (a Adjustment, ready bool) {
	return s.wanted, s.adj.Before == s.adj.After || s.arrived()
}

// arrived reports whether the receiver has acknowledged the line that made the adjustment
// in force.
func (s *Stream) arrived() bool { return Diff(s.acked, s.last) >= 0 }

// Adjust notes that the adjustment that was wanted is in force.
func (s *Stream) Adjust() {
	s.forget(int(Diff(s.acked, s.first())))
	s.adj, s.last = s.wanted, s.edited
}

// Abandon has all go out as it came that is not settled, or waits for an adjustment.
func (s *Stream) Abandon() {
	switch from := s.wanted.Pos; {
	case !s.Settled():
		s.sent = append(s.sent[:s.adj.Out(from)-s.adj.Out(s.first())], s.past[Diff(from, s.first()):]...)
		s.wanted = s.adj
	case s.sent != nil:
		s.sent = append(s.sent, s.past[len(s.past)-int(s.open):]...)
	}
	s.open = 0
	if bytes.Equal(s.sent, s.past) {
		s.sent = nil
	}
}

// Edited reports whether the length of a line was changed, or has still to be.
func (s *Stream) Edited() bool { return s.adj != (Adjustment{}) || !s.Settled() }

// Unsure reports whether the receiver may not have a line yet whose length was changed.
func (s *Stream) Unsure() bool { return !s.Settled() || s.adj.Before != s.adj.After && !s.arrived() }

// Passed returns the number of the first byte that may not go out yet.
func (s *Stream) Passed() uint32 {
	if settled := s.next - s.open; s.Settled() || Diff(s.wanted.Pos, settled) >= 0 {
		return settled
	}
	return s.wanted.Pos
}

// Leave notes that a segment goes out, which ends before a number of the sender's.
func (s *Stream) Leave(end uint32) {
	if Diff(end, s.left) > 0 {
		s.left = end
	}
}

// Left returns the number of the first byte that has not gone out.
func (s *Stream) Left() uint32 { return s.left }

// Reaches reports whether a segment has bytes that may not go out yet.
func (s *Stream) Reaches(seq uint32, n int) bool { return Diff(seq+uint32(n), s.Passed()) > 0 }

// Out returns what goes out for n bytes of the sender at seq, and the number, of the
// sender's, from which on: what the receiver has is left out. same is true where they go out
// as they came.
func (s *Stream) Out(seq uint32, n int) (at uint32, out []byte, same bool) {
	end, spans := seq+uint32(n), s.adj.Before != s.adj.After && Diff(seq, s.adj.Pos) <= 0
	switch old := Diff(end, s.acked) <= 0; {
	case n == 0, !spans && (old || s.sent == nil):
		return seq, nil, true
	case old: // the receiver has it, and answers a segment without bytes before the next
		return end - 1, nil, false
	}
	for _, number := range []uint32{s.acked, s.first()} {
		if Diff(seq, number) < 0 {
			seq = number
		}
	}
	if Diff(end, s.Passed()) > 0 { // it is not asked for, nor is what is forgotten
		end = s.Passed()
	}
	if Diff(seq, end) > 0 {
		return end - 1, nil, false
	}
	to := end
	if s.shrunk(seq) {
		seq = s.adj.Pos
	}
	if s.shrunk(to) {
		to = s.adj.Pos
	}
	first, sent := s.adj.Out(s.first()), s.sent
	if sent == nil {
		sent = s.past
	}
	return seq, sent[s.adj.Out(seq)-first : s.adj.Out(to)-first], false
}

// shrunk reports whether a number is one of a line that has become shorter, so that the
// receiver's number for it is one of the bytes before the line.
func (s *Stream) shrunk(seq uint32) bool {
	d := Diff(seq, s.adj.Pos)
	return d > 0 && d+s.adj.After-s.adj.Before < 0
}

// Agrees reports whether a stream has the adjustment that the kernel has. It reports false too
// where it is known that the line did not arrive that made it. Either way it has the
// kernel's from then on: a connection that is ended has its numbers from it.
func (s *Stream) Agrees(a Adjustment) bool {
	const mayBeUnderWay = 1 << 15
	agrees := true
	switch d := Diff(s.next, a.Pos); {
	case s.adj != (Adjustment{}):
		agrees = a.After == s.adj.After && (a.Before == a.After || s.adj.Before == s.adj.After || a == s.adj)
		if !agrees {
			s.adj = a
		}
	case a.Before == a.After || d > mayBeUnderWay:
		if a.After != 0 {
			s.adj = Adjustment{Pos: s.next, Before: a.After, After: a.After}
		}
	case d <= 0:
		agrees, s.adj = false, a
	default: // it may have to be sent again, and nobody knows how
		s.adj, s.last, s.acked = a, s.next, a.Pos
	}
	s.wanted = s.adj
	return agrees
}
