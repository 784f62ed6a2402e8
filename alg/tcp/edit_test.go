package tcp

import (
	"bytes"
	"testing"
)

func TestAdjustment(t *testing.T) {
	a := Adjustment{Pos: 100, Before: 3, After: -2}
	for seq, want := range map[uint32]uint32{90: 93, 100: 103, 101: 99, 200: 198} {
		if got := a.Out(seq); got != want {
			t.Errorf("%d goes out as %d, not %d", seq, got, want)
		}
	}
	for ack, want := range map[uint32]uint32{93: 90, 103: 100, 104: 106, 198: 200} {
		if got := a.In(ack); got != want {
			t.Errorf("%d acknowledges %d, not %d", ack, got, want)
		}
	}
}

// A line whose length is changed goes out only when the kernel corrects what follows, and
// the next one only when the last has arrived.
func TestALineOfAnotherLengthWaits(t *testing.T) {
	var s Stream
	s.Start(0xfffffffa) // wraps inside
	s.Take([]byte("PORT 1\r\n"))
	s.Settle(5, nil)
	s.Settle(1, []byte("234"))
	s.Settle(2, nil)
	if !s.Reaches(0xfffffffa, 8) || s.Reaches(0xfffffffa, 5) {
		t.Error("the line may go out, or what stands before the change may not")
	}
	a, ready := s.Adjustment()
	if want := (Adjustment{Pos: 0xffffffff, After: 2}); a != want || !ready {
		t.Fatalf("it wants %+v (%v), not %+v", a, ready, want)
	}
	s.Adjust()
	if at, out, same := s.Out(0xfffffffa, 8); at != 0xfffffffa || string(out) != "PORT 234\r\n" || same || s.Reaches(at, 8) {
		t.Errorf("%q goes out at %d", out, at)
	}
	s.Take([]byte("PORT 5\r\n"))
	s.Settle(5, nil)
	s.Settle(1, nil)
	s.Settle(2, []byte("\n"))
	if _, ready := s.Adjustment(); ready {
		t.Error("two changes are under way at once")
	}
	s.Ack(4)
	if a, ready := s.Adjustment(); !ready || a.Before != 2 || a.After != 1 || s.Unacked() != 8 {
		t.Errorf("after the last has arrived it wants %+v (%v), with %d unacknowledged", a, ready, s.Unacked())
	}
	s.Abandon()
	if out := s.goesOut(2, []byte("PORT 5\r\n")); !s.Settled() || string(out) != "PORT 5\r\n" {
		t.Errorf("given up, it goes out as %q", out)
	}
}

// A gateway changes a text on its way, whatever pieces it comes in: what the receiver reads
// is the text with each change made, and no other.
func FuzzEdits(f *testing.F) {
	f.Add(uint32(0), []byte("PORT 1,2\r\nRETR\r\nPORT 3,4\r\nRETR\r\n"), []byte{0, 10, 5, 2, 9, 0, 0, 6, 0, 0, 10, 5, 2, 1, 0, 40, 0})
	f.Add(uint32(0xfffffff0), bytes.Repeat([]byte("PORT 10,1,4,4\r\n"), 20), []byte{0, 7, 0x81, 0, 8, 5, 3, 2, 9, 30, 0x82, 9, 0, 0, 60, 0x42})
	f.Fuzz(func(t *testing.T, start uint32, text []byte, script []byte) {
		if len(text) > 2048 {
			return
		}
		var s Stream
		s.Start(start)
		type segment struct {
			seq uint32
			b   []byte
		}
		var wire []segment
		r := receiver{start: start, ahead: map[int]byte{}}
		var went []byte // settled
		came := 0
		settle := func(n int, out []byte) {
			at := came - s.Open()
			if out == nil {
				went = append(went, text[at:at+n]...)
			} else {
				went = append(went, out...)
			}
			s.Settle(n, out)
		}
		for d := deck(script); len(d) > 0; {
			from := min(max(came-d.next()+d.next()/4, 0), len(text))
			to := min(from+d.next(), len(text))
			how := d.next()
			seq, b := start+uint32(from), text[from:to]
			fresh, place := s.Place(seq, b)
			if place == Fresh && len(fresh) > 0 {
				s.Take(fresh)
				came += len(fresh)
			}
			if how&1 == 0 { // some of it is settled as it is, then some as something else
				settle(min(d.next(), s.Open()), nil)
				if how&2 != 0 && s.Open() > 1 { // the line's end comes after what is changed
					settle(min(1+d.next()%20, s.Open()-1), bytes.Repeat([]byte{'#'}, d.next()%20))
				}
				settle(min(1+d.next(), s.Open()), nil)
			}
			if _, ready := s.Adjustment(); s.Open() == 0 && ready && !s.Settled() {
				s.Adjust()
			}
			if place <= Old && !s.Reaches(seq, len(b)) {
				at, out, same := s.Out(seq, len(b))
				if same {
					out = b
				}
				if how&4 == 0 { // or it is cut
					out = out[:min(len(out), max(d.next(), 1))]
				}
				wire = append(wire, segment{s.InForce().Out(at), bytes.Clone(out)})
			}
			for len(wire) > 0 && how&8 == 0 { // the last overtakes, or is lost
				last := wire[len(wire)-1]
				wire = wire[:len(wire)-1]
				if how&16 == 0 {
					r.take(last.seq, last.b)
				}
				how ^= d.next() & 0x18
			}
			if how&32 == 0 {
				s.Ack(r.ack())
			}
			if how&64 != 0 && !s.Stuck() {
				s = *written(t, &s)
			}
			if how&128 != 0 {
				s.Trim()
			}
			if !bytes.HasPrefix(went, r.read) {
				t.Fatalf("the receiver reads %q, and %q went out", r.read, went)
			}
		}
		// In the end all arrives.
		settle(s.Open(), nil)
		for round := 0; len(r.read) < len(went); round++ {
			if round > 2*len(text) {
				t.Fatalf("the receiver reads no more than %q of %q", r.read, went)
			}
			s.Ack(r.ack())
			if _, ready := s.Adjustment(); ready && !s.Settled() {
				s.Adjust()
			}
			n := min(s.Unacked(), 7+round)
			for n > 0 && s.Reaches(s.acked, n) {
				n--
			}
			at, out, same := s.Out(s.acked, n)
			if same {
				out = text[s.acked-start : s.acked-start+uint32(n)]
			}
			r.take(s.InForce().Out(at), out)
		}
		if !bytes.Equal(r.read, went) {
			t.Fatalf("the receiver reads %q, and %q went out", r.read, went)
		}
	})
}
