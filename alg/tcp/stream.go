package tcp

import (
	"bytes"
	"encoding/binary"
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

const (
	// keep is how many bytes are remembered although the receiver has them: a line
	// or two, so that a late rewrite of an announcement is still recognised.
	keep = 64
	// window is how far from the next byte a number may be that belongs to the connection.
	window = 1 << 20
)

// Stream is one direction of a connection as its receiver will read it. It is not
// the buffer of a receiver: bytes are taken once, when they pass, and only so many
// are remembered as are needed to tell a retransmission from a rewrite.
//
// Arriving segments are placed by the numbers and bytes of the sender. What goes out
// instead of them is remembered beside them, so that a retransmission goes out the same:
// see [Stream.Settle] and [Stream.Out]. All numbers are the sender's.
//
// The zero value knows no sequence numbers: call [Stream.Start] first.
type Stream struct {
	next     uint32 // of the byte that is read next
	acked    uint32 // everything before has reached the receiver, as far as was seen
	past     []byte // the bytes before next, as they arrived
	sent     []byte // the same as they go out, but for those that are open; nil: no byte of them was changed
	open     uint32 // the last bytes before next: how they go out is not settled
	left     uint32 // everything before has gone out
	finished bool   // FIN has come

	adj    Adjustment // in force
	wanted Adjustment // has to be in force before what is settled goes out
	last   uint32     // the end of the line that made adj
	edited uint32     // and of the last one that made wanted

	// What says that bytes went by unseen, beyond next.
	claimed uint32 // up to here the receiver says it has bytes; 0: it does not
	stale   uint32 // a segment that waited in vain began here
	expired uint8  // how often
}

// Start begins the stream, anew if need be, at a sequence number.
func (s *Stream) Start(seq uint32) {
	*s = Stream{next: seq, acked: seq, left: seq, last: seq, edited: seq}
}

// Next returns the sequence number of the byte that is read next.
func (s *Stream) Next() uint32 { return s.next }

// Finished reports whether the sender has said that it sends nothing more.
func (s *Stream) Finished() bool { return s.finished }

// Held returns the bytes of memory that the stream holds.
func (s *Stream) Held() int { return cap(s.past) + cap(s.sent) }

// Unacked returns how many of the bytes that passed the receiver may not have.
func (s *Stream) Unacked() int { return int(max(Diff(s.next, s.acked), 0)) }

// Near reports whether a number is in any window that the stream may have.
func (s *Stream) Near(seq uint32) bool {
	diff := Diff(seq, s.next)
	return -window <= diff && diff <= window
}

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
	if len(s.sent) != len(s.past) || bytes.Equal(past, b) {
		return bytes.Equal(past, b)
	}
	// On one host a packet may pass twice: the second time as it went out the first.
	sent := s.sent[i : i+len(b)]
	for i := range b {
		if b[i] != past[i] && b[i] != sent[i] {
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

// Take notes that bytes arrived: those that Place returned. How they go out is still to be
// settled. All that the receiver has not acknowledged is remembered, so the caller bounds
// what is taken. A FIN takes a number as a byte does: see [Stream.Finish].
func (s *Stream) Take(in []byte) {
	s.forget(len(s.past) - max(s.Unacked(), keep))
	s.next += uint32(len(in))
	s.open += uint32(len(in))
	s.expired, s.claimed = 0, 0
	s.past = grow(s.past, in)
}

// grow appends. Short memories grow to the byte: a hundred thousand idle connections
// keep what they hold.
func grow(b, more []byte) []byte {
	const short = 512
	if need := len(b) + len(more); need > cap(b) && need <= short {
		b = append(make([]byte, 0, need), b...)
	}
	return append(b, more...)
}

// Finish notes the sender's FIN.
func (s *Stream) Finish() {
	s.Take([]byte{0})
	s.Settle(int(s.open), nil)
	s.finished = true
}

// Skip moves to another number, over bytes that passed unseen. Nothing before it is
// remembered, or asked about again.
func (s *Stream) Skip(to uint32) {
	*s = Stream{next: to, acked: to, left: to, finished: s.finished, adj: s.adj, wanted: s.adj, last: to, edited: to}
}

// Ack notes that the receiver says, in its own numbers, what it has. It may have bytes that
// were never seen here: with a queue that passes what it cannot hold, packets go by. Or it
// lies: see [Stream.Gone]. It reports whether it says so for the first time.
func (s *Stream) Ack(ack uint32) (beyond bool) {
	switch seq := s.adj.In(ack); {
	case Diff(seq, s.next) > 0:
		if s.Near(seq) && !s.finished {
			beyond = s.claimed == 0
			s.claimed = seq
		}
	case Diff(seq, s.Passed()) > 0: // what waits here it has not got
		s.acked = s.Passed()
	case Diff(seq, s.acked) > 0:
		s.acked = seq
	}
	return beyond
}

// Gone reports whether the bytes before seq, which were not seen, will not come any more:
// the receiver says it has them and the sender goes on from there, or what follows them
// was sent again, and they were not. (Once proves nothing: RFC 8985, section 7.)
func (s *Stream) Gone(seq uint32) bool {
	return s.Claimed(seq) || s.expired > 1 && s.stale == seq
}

// Claimed reports whether the receiver says that it has the bytes before seq.
func (s *Stream) Claimed(seq uint32) bool { return s.claimed != 0 && Diff(seq, s.claimed) <= 0 }

// Expire notes that a segment at seq waited in vain for what belongs before it.
func (s *Stream) Expire(seq uint32) {
	switch {
	case s.expired > 0 && seq == s.stale:
		s.expired++
	case s.expired == 0 || Diff(seq, s.stale) < 0:
		s.expired, s.stale = 1, seq
	}
}

// Forget gives back all memory of what passed. What the receiver has not acknowledged is
// Forgotten when it comes again.
func (s *Stream) Forget() {
	if s.open == 0 && s.Settled() {
		s.past, s.sent = nil, nil
	}
}

// Trim gives back memory of bytes that the receiver has, but for the few that are always
// remembered.
func (s *Stream) Trim() {
	want := max(s.Unacked(), keep)
	if len(s.past) <= want && cap(s.past) <= want {
		return
	}
	s.forget(len(s.past) - want)
	s.past = bytes.Clone(s.past)
	s.sent = bytes.Clone(s.sent)
}

func (s *Stream) forget(n int) {
	if n = min(n, len(s.past)); n <= 0 {
		return
	}
	first := s.first()
	if s.shrunk(first + uint32(n)) {
		n = max(int(Diff(s.adj.Pos, first)), 0)
	}
	if s.sent != nil {
		s.sent = s.sent[:copy(s.sent, s.sent[s.adj.Out(first+uint32(n))-s.adj.Out(first):])]
	}
	s.past = s.past[:copy(s.past, s.past[n:])]
	if s.sent != nil && bytes.Equal(s.sent, s.past[:len(s.past)-int(s.open)]) {
		s.sent = nil
	}
}

// first is the number of the first byte that is remembered.
func (s *Stream) first() uint32 { return s.next - uint32(len(s.past)) }

// At returns the byte that arrived at seq, if it is remembered.
func (s *Stream) At(seq uint32) (byte, bool) {
	i := len(s.past) + int(Diff(seq, s.next))
	if i < 0 || i >= len(s.past) {
		return 0, false
	}
	return s.past[i], true
}

// AppendBinary appends the stream as bytes, for UnmarshalBinary: its numbers, and what
// the receiver may not have. Nothing of it is open. It never fails.
func (s *Stream) AppendBinary(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, s.next)
	b = binary.BigEndian.AppendUint32(b, s.acked)
	b = append(b, 0)
	if s.finished {
		b[len(b)-1] |= 1
	}
	if s.sent != nil {
		b[len(b)-1] |= 2
	}
	adj := s.adj
	if s.arrived() && Diff(s.first(), adj.Pos) > 0 { // the line that made it is history
		adj.Before, adj.Pos = adj.After, s.first()
	}
	for _, n := range []uint32{adj.Pos, uint32(adj.Before), uint32(adj.After), s.last, uint32(len(s.past))} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = append(b, s.past...)
	return append(b, s.sent...), nil
}

// UnmarshalBinary reads what AppendBinary wrote. Its error is [ErrEncoding]; the stream is
// not changed then.
func (s *Stream) UnmarshalBinary(b []byte) error {
	const head = 29
	if len(b) < head || b[8] > 3 {
		return ErrEncoding
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	adj := Adjustment{Pos: word(9), Before: int32(word(13)), After: int32(word(17))}
	n := uint64(word(25))
	if uint64(len(b)-head) < n {
		return ErrEncoding
	}
	past, sent := b[head:head+n], b[head+n:]
	if unacked := Diff(word(0), word(4)); unacked < 0 || unacked > window {
		return ErrEncoding
	}
	r := Stream{next: word(0), acked: word(4), left: word(0), finished: b[8]&1 != 0, past: bytes.Clone(past), adj: adj, wanted: adj, last: word(21), edited: word(21)}
	switch changed := b[8]&2 != 0; {
	case changed:
		r.sent = append([]byte{}, sent...)
	case len(sent) > 0:
		return ErrEncoding
	default:
		sent = past
	}
	since, lines := Diff(r.next, adj.Pos), Diff(r.last, adj.Pos)
	if adj.Before != adj.After && (since <= 0 || since > 2*window || lines <= 0 || lines > window) || r.shrunk(r.first()) || adj.Out(r.next)-adj.Out(r.first()) != uint32(len(sent)) {
		return ErrEncoding
	}
	if again, _ := r.AppendBinary(nil); !bytes.Equal(again, b) { // it says in other words what is history
		return ErrEncoding
	}
	*s = r
	return nil
}
