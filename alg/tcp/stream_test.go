package tcp

import (
	"bytes"
	"strings"
	"testing"
)

// pass takes bytes as they came, and has them go out as others.
func (s *Stream) pass(in, out []byte) {
	s.Take(in)
	s.Settle(len(in), out)
}

// goesOut is what goes out for a segment, with what the receiver has already.
func (s *Stream) goesOut(seq uint32, came []byte) []byte {
	at, out, same := s.Out(seq, len(came))
	if same {
		return came
	}
	return append(bytes.Clone(came[:Diff(at, seq)]), out...)
}

// upTo takes a text as it came, and acknowledges it if need be.
func (s *Stream) upTo(text string, acked bool) {
	s.pass([]byte(text), nil)
	if acked {
		s.Ack(s.next)
	}
}

func TestPlacesOfSegments(t *testing.T) {
	var s Stream
	s.Start(0xfffffffe) // wraps inside
	s.upTo("abcdef", false)
	if s.Next() != 4 || s.Unacked() != 6 {
		t.Fatalf("next %d, %d not acknowledged", s.Next(), s.Unacked())
	}
	for _, tc := range []struct {
		name  string
		seq   uint32
		bytes string
		place Place
		fresh string
	}{
		{"next", 4, "gh", Fresh, "gh"},
		{"a bare FIN at next", 4, "", Fresh, ""},
		{"beyond a gap", 5, "h", Ahead, ""},
		{"all of it again", 0xfffffffe, "abcdef", Old, ""},
		{"a part again", 0, "cd", Old, ""},
		{"again with more", 2, "efgh", Fresh, "gh"},
		{"a bare segment before", 3, "", Old, ""},
		{"other bytes", 0, "cX", Conflict, ""},
		{"other bytes with more", 2, "eXgh", Conflict, ""},
		{"before what is remembered", 0xfffffff0, "zzz", Old, ""},
		{"across what is remembered", 0xfffffffc, "zzab", Old, ""},
		{"across, and other", 0xfffffffc, "zzaX", Conflict, ""},
	} {
		fresh, place := s.Place(tc.seq, []byte(tc.bytes))
		if place != tc.place || string(fresh) != tc.fresh {
			t.Errorf("%s: %d %q, want %d %q", tc.name, place, fresh, tc.place, tc.fresh)
		}
	}
}

// What the receiver has is remembered for a line or two; what it may not have, all of it.
func TestMemoryOfAStream(t *testing.T) {
	var s Stream
	s.Start(0)
	for range 1000 {
		s.upTo(strings.Repeat("x", 1000), false)
	}
	if s.Unacked() != 1000*1000 || s.Held() < s.Unacked() {
		t.Errorf("%d bytes held of %d that were not acknowledged", s.Held(), s.Unacked())
	}
	if _, place := s.Place(0, []byte("y")); place != Conflict {
		t.Error("a rewrite of the first byte goes unnoticed, and nobody has it yet")
	}
	s.Ack(s.Next())
	if s.Unacked() != 0 {
		t.Errorf("%d bytes are not acknowledged", s.Unacked())
	}
	s.upTo("y", true)
	s.Trim()
	if s.Held() != keep {
		t.Errorf("%d bytes held after Trim", s.Held())
	}
	if _, place := s.Place(s.Next()-2, []byte("xz")); place != Conflict {
		t.Error("a rewrite of what was acknowledged goes unnoticed")
	}
	if _, place := s.Place(s.Next()-keep-1, []byte("z")); place != Old {
		t.Error("what the receiver has and nobody remembers does not pass")
	}
}

// Where memory is short, what is not remembered and nobody has does not pass again.
func TestAStreamThatForgets(t *testing.T) {
	var s Stream
	s.Start(100)
	s.upTo("USER u\r\n", true)
	s.pass([]byte("AUTH"), []byte("AUTX"))
	s.Forget()
	for _, again := range []*Stream{&s, written(t, &s)} {
		if again.Held() != 0 || again.Next() != 112 || again.Unacked() != 4 {
			t.Errorf("%d held, next %d, %d not acknowledged", again.Held(), again.Next(), again.Unacked())
		}
		for seq, want := range map[uint32]Place{100: Old, 104: Old, 105: Forgotten, 108: Forgotten, 111: Forgotten, 112: Fresh} {
			if _, place := again.Place(seq, []byte("XXXX")); place != want {
				t.Errorf("at %d: %d, want %d", seq, place, want)
			}
		}
		again.Ack(112)
		if _, place := again.Place(108, []byte("XXXX")); place != Old {
			t.Errorf("what the receiver has: %d", place)
		}
		again.upTo("abc", false)
		if _, place := again.Place(112, []byte("abX")); place != Conflict {
			t.Errorf("what came after it: %d", place)
		}
	}
}

// A short memory grows to the byte.
func TestMemoryOfAnIdleStream(t *testing.T) {
	var s Stream
	s.Start(0)
	for _, line := range []string{"USER anonymous\r\n", "PASS a@b\r\n", "TYPE I\r\n"} {
		s.upTo(line, true)
	}
	if want := len("USER anonymous\r\nPASS a@b\r\nTYPE I\r\n"); s.Held() != want {
		t.Errorf("%d bytes held, want %d", s.Held(), want)
	}
	for range 100 {
		s.upTo("NOOP\r\n", true)
	}
	if s.Held() > 2*keep {
		t.Errorf("%d bytes held", s.Held())
	}
}

func TestAStreamThatStandsElsewhere(t *testing.T) {
	var s Stream
	s.Start(1000)
	s.upTo("PORT 1", false)
	s.Skip(2000)
	if s.Next() != 2000 || s.Held() != 0 || s.Unacked() != 0 {
		t.Errorf("next %d, %d held, %d not acknowledged", s.Next(), s.Held(), s.Unacked())
	}
	if fresh, place := s.Place(2000, []byte("NOOP")); place != Fresh || string(fresh) != "NOOP" {
		t.Errorf("what follows is %d %q", place, fresh)
	}
	if !s.Near(2000+window) || !s.Near(s.Next()-window) || s.Near(2001+window) || s.Near(1<<31+2000) {
		t.Error("which numbers are near")
	}
	if _, ok := s.At(1999); ok {
		t.Error("a byte is remembered that was not seen")
	}
}

func TestTheByteAtAPlace(t *testing.T) {
	var s Stream
	s.Start(0xffffffff)
	s.pass([]byte("abc"), []byte("aXc"))
	for seq, want := range map[uint32]byte{0xffffffff: 'a', 0: 'b', 1: 'c'} {
		if b, ok := s.At(seq); !ok || b != want {
			t.Errorf("at %d arrived %q, %v", seq, b, ok)
		}
	}
	for _, seq := range []uint32{0xfffffffe, 2, 1 << 31} {
		if b, ok := s.At(seq); ok {
			t.Errorf("at %d arrived %q", seq, b)
		}
	}
}

func TestFIN(t *testing.T) {
	var s Stream
	s.Start(7)
	s.upTo("QUIT\r\n", true)
	if s.Finished() {
		t.Fatal("finished before the FIN")
	}
	s.Finish()
	if !s.Finished() || s.Next() != 7+6+1 {
		t.Errorf("finished %v, next %d: a FIN takes a number", s.Finished(), s.Next())
	}
	if _, place := s.Place(13, nil); place != Old {
		t.Errorf("the FIN again: %d", place)
	}
	s.Skip(100)
	if !s.Finished() {
		t.Error("forgot that the sender has finished")
	}
	s.Ack(101)
	if s.Gone(101) {
		t.Error("bytes after the FIN")
	}
}

// What went out instead of what came goes out again, however it is sent again.
func TestAChangeIsRestored(t *testing.T) {
	var s Stream
	s.Start(100)
	s.upTo("NOOP\r\n", false)
	s.pass([]byte("AUTH TLS"), []byte("AUTX TLS"))
	s.upTo("\r\nNOOP", false)
	for _, tc := range []struct {
		seq        uint32
		came, went string
	}{
		{106, "AUTH TLS", "AUTX TLS"},
		{109, "H", "X"},
		{108, "TH T", "TX T"},
		{100, "NOOP\r\nAUTH TLS\r\nNOOP", "NOOP\r\nAUTX TLS\r\nNOOP"},
		{114, "\r\nNOOPAUTH", "\r\nNOOP"}, // the last is new
		{109, "H TLS\r\nNOOPAUTH", "X TLS\r\nNOOP"},
		{106, "AUT", "AUT"},
		{110, " TLS", " TLS"},
		{106, "AUTX TLS", "AUTX TLS"}, // on one host a packet may pass twice
		{90, "0123456789NOOP\r\nAUTH", "0123456789NOOP\r\nAUTX"},
		{90, "0123", "0123"},
		{120, "AUTH", ""},
		{1000, "H", ""},
		{106, "", ""},
	} {
		b := []byte(tc.came)
		if _, place := s.Place(tc.seq, b); place == Conflict {
			t.Errorf("%q at %d is a conflict", tc.came, tc.seq)
		}
		if Diff(tc.seq+uint32(len(b)), s.Next()) > 0 {
			b = b[:max(Diff(s.Next(), tc.seq), 0)] // what is new is settled when it is taken
		}
		if went := string(s.goesOut(tc.seq, b)); went != tc.went {
			t.Errorf("%q at %d goes out as %q", b, tc.seq, went)
		}
	}
	if _, place := s.Place(106, []byte("AUYH TLS")); place != Conflict {
		t.Error("another change is none")
	}
	s.Ack(s.Next())
	s.upTo(strings.Repeat("x", keep), true)
	s.upTo("y", true)
	if s.sent != nil {
		t.Errorf("a change that nobody needs any more is remembered: %q", s.sent)
	}
}

// That bytes will not come any more is believed of both ends, or of time, and of neither
// end alone.
func TestBytesThatAreGone(t *testing.T) {
	begin := func() *Stream {
		var s Stream
		s.Start(100)
		return &s
	}

	s := begin()
	if s.Gone(110) {
		t.Error("gone, and nobody said so")
	}
	if !s.Ack(110) || s.Ack(111) || s.Ack(100) {
		t.Error("that the receiver has bytes which were not seen is told once")
	}
	s.Ack(110)
	if !s.Gone(110) || !s.Gone(105) || s.Gone(111) {
		t.Error("the receiver has bytes up to 110")
	}
	s.upTo("x", false)
	if s.Gone(110) {
		t.Error("they come after all, and the receiver is believed")
	}
	if s.Ack(101+window+1) || s.Gone(110) {
		t.Error("a number from elsewhere is believed")
	}

	s = begin()
	s.Expire(110)
	if s.Gone(110) {
		t.Error("gone after one segment waited in vain")
	}
	s.Expire(120)
	if s.Gone(110) || s.Gone(120) {
		t.Error("two different segments waited in vain")
	}
	s.Expire(110)
	if !s.Gone(110) || s.Gone(120) {
		t.Error("what follows the gap was sent twice, and the gap was not")
	}
	s = begin()
	s.Expire(120)
	s.Expire(110) // the first after the gap counts
	s.Expire(120)
	if s.Gone(110) || s.Gone(120) {
		t.Error("two different segments waited in vain")
	}
	s.Expire(110)
	s.upTo("x", false)
	if s.Gone(110) {
		t.Error("gone, and the sender goes on before it")
	}
}

func TestAStreamIsWrittenDown(t *testing.T) {
	streams := map[string]func(s *Stream){
		"new":                 func(*Stream) {},
		"read":                func(s *Stream) { s.upTo("abc", true) },
		"not acknowledged":    func(s *Stream) { s.upTo("abc", false) },
		"changed":             func(s *Stream) { s.pass([]byte("AUTH"), []byte("AUTX")) },
		"changed before":      func(s *Stream) { s.pass([]byte("AUTH"), []byte("AUTX")); s.upTo("abc", false) },
		"changed after":       func(s *Stream) { s.upTo("abc", false); s.pass([]byte("AUTH"), []byte("AUTX")) },
		"changed to the same": func(s *Stream) { s.pass([]byte("AUTH"), []byte("AUTH")) },
		"finished":            func(s *Stream) { s.upTo("abc", false); s.Finish() },
		"skipped":             func(s *Stream) { s.upTo("abc", false); s.Skip(1 << 20) },
		"changed nothing":     func(s *Stream) { s.pass([]byte{}, []byte{}) },
		"long":                func(s *Stream) { s.upTo(strings.Repeat("x", 10000), false) },
	}
	for name, do := range streams {
		var s Stream
		s.Start(0xfffffff0)
		do(&s)
		again := written(t, &s)
		if again.Next() != s.Next() || again.Unacked() != s.Unacked() || again.Finished() != s.Finished() {
			t.Errorf("%s: %+v becomes %+v", name, s, again)
		}
		for seq := s.Next() - 12; seq != s.Next()+12; seq++ {
			for _, payload := range []string{"a", "x", "A", "H", "X", "bc", "AUTH", "AUTX", "AUTHabc"} {
				one, two := []byte(payload), []byte(payload)
				f1, p1 := s.Place(seq, one)
				f2, p2 := again.Place(seq, two)
				if n := int(max(Diff(s.Next(), seq), 0)); n < len(one) {
					one, two = one[:n], two[:n]
				}
				one, two = s.goesOut(seq, one), again.goesOut(seq, two)
				if p1 != p2 || !bytes.Equal(f1, f2) || !bytes.Equal(one, two) {
					t.Fatalf("%s: %q at %d: %d %q %q, then %d %q %q", name, payload, seq, p1, f1, one, p2, f2, two)
				}
			}
		}
	}
}

// written writes a stream down and reads it back.
func written(t *testing.T, s *Stream) *Stream {
	t.Helper()
	b, err := s.AppendBinary([]byte("before"))
	if err != nil || !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("written down: %q, %v", b, err)
	}
	var again Stream
	if err := again.UnmarshalBinary(b[len("before"):]); err != nil {
		t.Fatalf("reading %q: %v", b, err)
	}
	if b2, _ := again.AppendBinary([]byte("before")); !bytes.Equal(b, b2) {
		t.Fatalf("%q becomes %q", b, b2)
	}
	return &again
}
