package tcp

import (
	"bytes"
	"slices"
)

// Diff returns how far a lies after b in sequence space: negative if before, right
// across the wrap at 2^32 (RFC 9293, section 3.4).
func Diff(a, b uint32) int32 { return int32(a - b) }

// Place says where a segment falls in a Stream.
type Place uint8

const (
	// Fresh: it brings the next bytes, perhaps after some that passed before.
	Fresh Place = iota
	// Old: all of it passed before, with these bytes as far as is remembered.
	Old
	// Ahead: bytes before it have not been seen yet.
	Ahead
	// Conflict: it differs from what passed at that place.
	Conflict
	// Forgotten: it brings bytes again that the receiver may not have yet, and they are
	// not remembered well enough to be compared.
	Forgotten
)

// Stream is one direction of a connection as its receiver will read it. It is not
// the buffer of a receiver: bytes are taken once, when they pass, and only so many
// are remembered as are needed to tell a retransmission from a rewrite.
//
// Arriving segments are placed by the numbers of the sender. What goes out in their
// stead is up to the caller, who notes each byte he changed with [Stream.Edit], so
// that a retransmission goes out the same.
//
// The zero value knows no sequence numbers: call [Stream.Start] first.
type Stream struct {
	next  uint32 // of the byte that is read next
	acked uint32 // everything before has reached the receiver, as far as was seen
	past  []byte // the bytes before next, as they arrived
	edits []edit
}

type edit struct {
	seq uint32
	b   byte
}

const (
	// keep is how many bytes are remembered although the receiver has them: a line
	// or two, so that a late rewrite of an announcement is still recognised.
	keep = 128
	// Remember is how many bytes are remembered at most.
	Remember = 16 << 10
	// maxEdits bounds the changed bytes that the receiver has not acknowledged.
	maxEdits = 64
)

// Start begins the stream, anew if need be, at a sequence number.
func (s *Stream) Start(seq uint32) { *s = Stream{next: seq, acked: seq} }

// Next returns the sequence number of the byte that is read next.
func (s *Stream) Next() uint32 { return s.next }

// Held returns the bytes of memory that the stream holds.
func (s *Stream) Held() int { return cap(s.past) }

// Place finds a segment's place, and of a Fresh one the bytes that are new (none
// for a bare FIN). It changes nothing: see [Stream.Take].
func (s *Stream) Place(seq uint32, payload []byte) ([]byte, Place) {
	ahead := Diff(seq, s.next)
	if ahead > 0 {
		return nil, Ahead
	}
	old := len(payload)
	if back := -int64(ahead); back < int64(old) {
		old = int(back)
	}
	if !s.same(int(ahead), payload[:old]) {
		return nil, Conflict
	}
	if s.forgot(seq, seq+uint32(old)) {
		return nil, Forgotten
	}
	if old == len(payload) && ahead < 0 {
		return nil, Old
	}
	return payload[old:], Fresh
}

// same reports whether bytes that begin at offset at (negative) from next equal
// those that passed there, as far as they are remembered.
func (s *Stream) same(at int, b []byte) bool {
	i := len(s.past) + at
	if i < 0 {
		if -i >= len(b) {
			return true
		}
		b, i = b[-i:], 0
	}
	past := s.past[i : i+len(b)]
	if bytes.Equal(past, b) {
		return true
	}
	// On one host a packet may pass twice: the second time as it went out the first.
	from := s.next - uint32(len(s.past)-i)
	for i := range b {
		if b[i] != past[i] && !slices.Contains(s.edits, edit{from + uint32(i), b[i]}) {
			return false
		}
	}
	return true
}

// forgot reports whether some of the bytes from seq up to end are neither remembered
// nor acknowledged.
func (s *Stream) forgot(seq, end uint32) bool {
	known := s.next - uint32(len(s.past))
	if Diff(end, known) > 0 {
		end = known
	}
	if Diff(seq, s.acked) < 0 {
		seq = s.acked
	}
	return Diff(end, seq) > 0
}

// Take notes that bytes passed: those that Place returned. A FIN takes a number as a
// byte does, and is noted as one.
func (s *Stream) Take(b []byte) {
	s.next += uint32(len(b))
	if len(b) >= Remember {
		s.past = append(s.past[:0], b[len(b)-Remember:]...)
		return
	}
	if drop := len(s.past) - max(s.unacked(), keep); drop > 0 {
		s.forget(drop)
	}
	if drop := len(s.past) + len(b) - Remember; drop > 0 {
		s.forget(drop)
	}
	if need := len(s.past) + len(b); need > cap(s.past) {
		// Exact growth: a hundred thousand idle sessions keep what they hold.
		s.past = append(make([]byte, 0, need), s.past...)
	}
	s.past = append(s.past, b...)
}

// Skip moves to another number, over bytes that passed unseen. Nothing before it is
// remembered, or asked about again.
func (s *Stream) Skip(to uint32) {
	s.next, s.acked, s.past = to, to, nil
}

// Ack notes that the receiver has everything before seq. It reports false for a
// number beyond what has passed: the receiver has bytes that were never seen here.
func (s *Stream) Ack(seq uint32) bool {
	if Diff(seq, s.next) > 0 {
		return false
	}
	if Diff(seq, s.acked) > 0 {
		s.acked = seq
		for len(s.edits) > 0 && Diff(s.edits[0].seq, seq) < 0 {
			s.edits = s.edits[1:]
		}
		if len(s.edits) == 0 {
			s.edits = nil
		}
	}
	return true
}

// Trim gives back memory beyond the few bytes that are always remembered.
func (s *Stream) Trim() {
	if len(s.past) > keep {
		s.past = append(make([]byte, 0, keep), s.past[len(s.past)-keep:]...)
	}
}

func (s *Stream) unacked() int {
	return int(max(Diff(s.next, s.acked), 0))
}

func (s *Stream) forget(n int) {
	s.past = s.past[:copy(s.past, s.past[min(n, len(s.past)):])]
}

// Edit notes that the byte at seq goes out as b. It reports false when too many
// such bytes wait for their acknowledgement: then the segment must not pass.
func (s *Stream) Edit(seq uint32, b byte) bool {
	if len(s.edits) == maxEdits {
		return false
	}
	s.edits = append(s.edits, edit{seq, b})
	return true
}

// Apply changes a segment's bytes as they were changed when they first passed, and
// reports whether it changed any. b begins at seq and is written to.
func (s *Stream) Apply(seq uint32, b []byte) bool {
	changed := false
	for _, e := range s.edits {
		if at := Diff(e.seq, seq); at >= 0 && int(at) < len(b) {
			b[at] = e.b
			changed = true
		}
	}
	return changed
}

// At returns the byte that passed at seq, if it is remembered.
func (s *Stream) At(seq uint32) (byte, bool) {
	i := len(s.past) + int(Diff(seq, s.next))
	if i < 0 || i >= len(s.past) {
		return 0, false
	}
	return s.past[i], true
}
