package tcp

import (
	"bytes"
	"testing"
)

// receiver is the far end of a stream, the plainest that there is.
type receiver struct {
	start uint32
	read  []byte       // in order; what it has acknowledged
	ahead map[int]byte // by place, what it holds beyond
}

// take takes a segment. The first byte that comes for a place is the one that counts.
func (r *receiver) take(seq uint32, b []byte) {
	for i, c := range b {
		at := int(Diff(seq, r.start)) + i
		if _, has := r.ahead[at]; at >= len(r.read) && !has {
			r.ahead[at] = c
		}
	}
	for {
		c, has := r.ahead[len(r.read)]
		if !has {
			return
		}
		delete(r.ahead, len(r.read))
		r.read = append(r.read, c)
	}
}

func (r *receiver) ack() uint32 { return r.start + uint32(len(r.read)) }

// deck deals out the bytes of a fuzz input, and zeros when they are gone.
type deck []byte

func (d *deck) next() int {
	if len(*d) == 0 {
		return 0
	}
	c := (*d)[0]
	*d = (*d)[1:]
	return int(c)
}

// A sender sends a text in any pieces, in any order, again and otherwise; a gateway
// passes what its stream has no objection to, and changes some of it; some of that is
// lost on its way to the receiver. What the gateway read is what came for each place at
// first, and the receiver reads what went out for it then, nothing else.
func FuzzStream(f *testing.F) {
	f.Add(uint32(0), []byte("USER a\r\nAUTH TLS\r\nPORT 1,2,3,4,5,6\r\n"), []byte{0, 8, 0, 0, 9, 1, 8, 20, 2, 0, 60, 8})
	f.Add(uint32(0xfffffff0), bytes.Repeat([]byte("NOOP\r\nABOR\r\n"), 40),
		[]byte{0, 200, 8, 1, 100, 8, 0, 255, 0, 200, 255, 2, 10, 20, 64, 0, 255, 15, 3, 3})
	f.Add(uint32(1<<31-4), []byte("x"), []byte{})
	f.Add(uint32(7), bytes.Repeat([]byte("NOOP\r\n"), 200), // nothing is acknowledged, and the first comes again
		[]byte{0, 0, 250, 24, 0, 0, 250, 28, 5, 0, 0, 250, 24, 255, 0, 200, 25, 3, 255, 0, 200, 16})
	f.Fuzz(func(t *testing.T, start uint32, text []byte, script []byte) {
		if len(text) > 4096 {
			return
		}
		var s Stream
		s.Start(start)
		r := receiver{start: start, ahead: map[int]byte{}}
		var came, went []byte // for each place, at first
		for d := deck(script); len(d) > 0; {
			// A piece of the text, near what has passed.
			from := min(max(len(came)-d.next()+d.next()/4, 0), len(text))
			to := min(from+d.next(), len(text))
			how := d.next()
			seq, b := start+uint32(from), bytes.Clone(text[from:to])
			if how&1 != 0 && len(b) > 0 { // with another byte in it
				b[d.next()%len(b)] ^= 1
			}
			if how&2 != 0 { // as it went out at first: on one host it comes by again
				copy(b, went[min(from, len(went)):min(to, len(went))])
			}
			fresh, place := s.Place(seq, b)
			if want := s.placed(from, to, b, came, went); place != want {
				t.Fatalf("[%d:%d] of %d passed, %d acknowledged: %d, want %d", from, to, len(came), len(r.read), place, want)
			}
			if place == Fresh || place == Old {
				if want := b[min(max(len(came)-from, 0), len(b)):]; !bytes.Equal(fresh, want) {
					t.Fatalf("[%d:%d] of %d passed: fresh is %q, not %q", from, to, len(came), fresh, want)
				}
				if len(fresh) > 0 {
					arrived, most := bytes.Clone(fresh), max(s.Unacked(), keep)+len(fresh)
					if how&4 != 0 {
						fresh[d.next()%len(fresh)] ^= 0x20
						s.pass(arrived, fresh)
					} else {
						s.pass(arrived, nil)
					}
					if len(s.past) > most {
						t.Fatalf("%d bytes are remembered, of %d", len(s.past), most)
					}
					came, went = append(came, arrived...), append(went, fresh...)
				}
				if how&8 == 0 { // or it is lost behind the gateway
					r.take(seq, s.goesOut(seq, b))
				}
			}
			if how&16 == 0 {
				s.Ack(r.ack())
			}
			if how&32 != 0 {
				s.Trim()
			}
			if how&64 != 0 {
				s = *written(t, &s)
			}
			if s.Next() != start+uint32(len(came)) || len(s.past) < s.Unacked() {
				t.Fatalf("next %d after %d, %d remembered, %d not acknowledged", s.Next()-start, len(came), len(s.past), s.Unacked())
			}
			if !bytes.Equal(r.read, went[:len(r.read)]) {
				t.Fatalf("the receiver reads %q, and %q went out", r.read, went)
			}
			for at, c := range r.ahead {
				if c != went[at] {
					t.Fatalf("the receiver holds %q at %d, and %q went out", c, at, went[at])
				}
			}
		}
	})
}

// placed says what the place of a piece has to be. What was acknowledged may be forgotten
// down to the last few bytes, and then any byte may come for it.
func (s *Stream) placed(from, to int, b, came, went []byte) Place {
	if from > len(came) {
		return Ahead
	}
	known := len(came) - len(s.past)
	for at := max(from, known); at < min(to, len(came)); at++ {
		if c := b[at-from]; c != came[at] && c != went[at] {
			return Conflict
		}
	}
	if to <= len(came) && from < len(came) {
		return Old
	}
	return Fresh
}

// What a stream is read from may be anything. What is accepted works, and is what would
// be written of it.
func FuzzStreamBinary(f *testing.F) {
	var s Stream
	add := func() {
		b, _ := s.AppendBinary(nil)
		f.Add(b, s.Next(), []byte("abc"))
	}
	add()
	s.Start(0xfffffff0)
	s.pass([]byte("AUTH TLS\r\n"), []byte("AUTX TLS\r\n"))
	add()
	s.Ack(0xfffffff4)
	s.Finish()
	add()
	f.Add([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint32(0), []byte("x")) // not acknowledged what is not remembered
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0}, uint32(0), []byte("x")) // acknowledged what has not come
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, uint32(0), []byte("x"))
	f.Add([]byte{}, uint32(0), []byte{})
	f.Fuzz(func(t *testing.T, b []byte, seq uint32, payload []byte) {
		var s Stream
		s.Start(1)
		if err := s.UnmarshalBinary(b); err != nil {
			if s.Next() != 1 || s.Held() != 0 {
				t.Fatalf("%q is refused, and has an effect: %+v", b, s)
			}
			return
		}
		if again, _ := s.AppendBinary(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q becomes %q", b, again)
		}
		if diff := Diff(s.next, s.acked); diff < 0 || diff > window {
			t.Fatalf("%q: up to %d was acknowledged, and next is %d", b, s.acked, s.next)
		}
		if _, place := s.Place(seq, payload); place == Forgotten && s.Unacked() <= len(s.past) {
			t.Fatalf("%q at %d is forgotten", payload, seq)
		}
		s.Out(seq, len(payload))
		s.At(seq)
		s.Ack(seq)
		s.Expire(seq)
		s.Gone(seq)
		s.pass(payload, nil)
		s.pass(payload, payload)
		s.Trim()
		s.Finish()
		if s.Unacked() <= window {
			written(t, &s)
		}
	})
}
