package tcp

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestPlacesOfSegments(t *testing.T) {
	var s Stream
	s.Start(0xfffffffe) // wraps inside
	s.Take([]byte("abcdef"))
	if s.Next() != 4 {
		t.Fatalf("next %d", s.Next())
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

func TestMemoryOfAStream(t *testing.T) {
	var s Stream
	s.Start(0)
	for range 1000 {
		s.Take(bytes.Repeat([]byte{'x'}, 1000))
	}
	if s.Held() > 2*Remember {
		t.Errorf("%d bytes held of what was not acknowledged", s.Held())
	}
	s.Trim()
	if s.Held() != keep {
		t.Errorf("%d bytes held after Trim", s.Held())
	}
	if !s.Ack(s.Next()) || s.Ack(s.Next()+1) {
		t.Error("acknowledgements")
	}
	s.Take([]byte("y"))
	if _, place := s.Place(s.Next()-2, []byte("xz")); place != Conflict {
		t.Error("a rewrite of what was acknowledged goes unnoticed")
	}
}

func TestEdits(t *testing.T) {
	var s Stream
	s.Start(100)
	s.Take([]byte("AUTH TLS"))
	if !s.Edit(103, 'X') {
		t.Fatal("refused")
	}
	b := []byte("TH T")
	if _, place := s.Place(102, b); place != Old || !s.Apply(102, b) || string(b) != "TX T" {
		t.Errorf("went out as %q", b)
	}
	if _, place := s.Place(100, []byte("AUTX TLS")); place != Old {
		t.Error("what went out is a conflict when it comes by again")
	}
	if _, place := s.Place(100, []byte("AUXH TLS")); place != Conflict {
		t.Error("another change is none")
	}
	if b = []byte(" TLS"); s.Apply(104, b) || string(b) != " TLS" {
		t.Errorf("went out as %q", b)
	}
	s.Ack(104)
	if b = []byte("H"); s.Apply(103, b) {
		t.Error("still changed after its acknowledgement")
	}
	for i := range uint32(maxEdits) {
		if !s.Edit(104+i, 'X') {
			t.Fatalf("refused after %d", i)
		}
	}
	if s.Edit(1000, 'X') {
		t.Error("without bound")
	}
}

// A stream agrees with the plainest model there is: a map from places to bytes.
func TestStreamAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint32().Draw(t, "start")
		text := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "text")
		var s Stream
		s.Start(start)
		passed := 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			from := rapid.IntRange(0, len(text)-1).Draw(t, "from")
			to := rapid.IntRange(from, len(text)).Draw(t, "to")
			b := bytes.Clone(text[from:to])
			changed := len(b) > 0 && rapid.Bool().Draw(t, "change")
			at := 0
			if changed {
				at = rapid.IntRange(0, len(b)-1).Draw(t, "at")
				b[at] ^= 1
			}
			fresh, place := s.Place(start+uint32(from), b)
			want := Fresh
			switch {
			case from > passed:
				want = Ahead
			case changed && from+at < passed && from+at >= passed-keep:
				want = Conflict
			case changed:
				continue // not remembered, or new
			case to <= passed && from < passed:
				want = Old
			}
			if place != want {
				t.Fatalf("[%d:%d] of %d passed: place %d, want %d", from, to, passed, place, want)
			}
			if place == Fresh {
				if !bytes.Equal(fresh, text[passed:max(to, passed)]) {
					t.Fatalf("fresh %q", fresh)
				}
				s.Take(fresh)
				passed += len(fresh)
				if rapid.Bool().Draw(t, "ack") {
					s.Ack(s.Next())
				}
			}
		}
	})
}
