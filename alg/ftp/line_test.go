package ftp_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// lines cuts a stream that comes in these pieces, and writes down each line: its text,
// "~" before it where it is the beginning of a longer one, "!" where it has urgent data
// in it. What is left is written after "...".
func lines(s *ftp.Splitter, end ftp.End, pieces ...string) []string {
	var out []string
	for _, piece := range pieces {
		for b := []byte(piece); ; {
			l, n, ok := s.Next(b, end)
			b = b[n:]
			if !ok {
				if len(b) > 0 {
					out = append(out, fmt.Sprintf("bytes that were not taken: %q", b))
				}
				break
			}
			text := string(l.Text)
			if l.Long {
				text = "~" + text
			}
			if l.Urgent {
				text = "!" + text
			}
			out = append(out, text)
		}
	}
	return out
}

func TestAClientsLineEndsWithLF(t *testing.T) {
	for _, tc := range []struct {
		pieces []string
		want   []string
	}{
		{[]string{"NOOP\r\nPASV\r\n"}, []string{"NOOP\r", "PASV\r"}}, // the CR is the grammar's
		{[]string{"NOOP\nPASV\n"}, []string{"NOOP", "PASV"}},
		{[]string{"NO", "OP", "\r", "\n", "PA", "SV\n", "x"}, []string{"NOOP\r", "PASV"}},
		{[]string{"\n\r\n", "\n"}, []string{"", "\r", ""}},
		{[]string{"NOOP\rPASV\n"}, []string{"NOOP\rPASV"}},
		{[]string{"NOOP"}, nil},
		{[]string{"", "", "NOOP", "", "\n", ""}, []string{"NOOP"}},
	} {
		if got := lines(new(ftp.Splitter), ftp.LF, tc.pieces...); !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, want %q", tc.pieces, got, tc.want)
		}
	}
}

func TestAServersLineEndsWithCRLFAlone(t *testing.T) {
	for _, tc := range []struct {
		pieces []string
		want   []string
	}{
		{[]string{"220 a\r\n227 b\r\n"}, []string{"220 a", "227 b"}},
		{[]string{"550 a\n227 b: No such file\r\n"}, []string{"550 a\n227 b: No such file"}},
		{[]string{"550 a\r227 b\r\n"}, []string{"550 a\r227 b"}},
		{[]string{"550 a\n\r227 b\r\n"}, []string{"550 a\n\r227 b"}},
		{[]string{"220 a\r", "\n227 b\r", "\n"}, []string{"220 a", "227 b"}},
		{[]string{"220 a\r", "b\n", "\r\n"}, []string{"220 a\rb\n"}},
		{[]string{"220 a\r\r\n"}, []string{"220 a\r"}},
		{[]string{"\r\n", "\r", "\n"}, []string{"", ""}},
		{[]string{"\n\r\n"}, []string{"\n"}},
		{[]string{"220 a\n"}, nil},
	} {
		if got := lines(new(ftp.Splitter), ftp.CRLF, tc.pieces...); !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, want %q", tc.pieces, got, tc.want)
		}
	}
}

// Of a line that is too long to keep its beginning is known: the verb, or the code.
func TestALongLine(t *testing.T) {
	fill := strings.Repeat("x", ftp.MaxLine)
	for _, end := range []ftp.End{ftp.LF, ftp.CRLF} {
		for name, pieces := range map[string][]string{
			"whole":             {"257 " + fill + "\r\n226 y\r\n"},
			"in halves":         {"257 " + fill, fill + "\r\n226 y\r\n"},
			"before its end":    {"257 " + fill + "\r", "\n226 y\r\n"},
			"after its code":    {"257 ", fill + "\r\n", "226 y\r\n"},
			"a byte at a time":  strings.Split("257 "+fill+"\r\n226 y\r\n", ""),
			"longer than twice": {"257 " + fill + fill, fill, fill + "\r\n", "226 y\r\n"},
		} {
			want := []string{"~257 xxxxxxxxxxxx", "226 y"}
			if end == ftp.LF {
				want[1] += "\r"
			}
			var s ftp.Splitter
			if got := lines(&s, end, pieces...); !slices.Equal(got, want) {
				t.Errorf("%s, end %d: %q", name, end, got)
			}
			if s.Held() != 0 {
				t.Errorf("%s, end %d: %d bytes are held", name, end, s.Held())
			}
		}
	}
}

// Whether a line is long does not depend on how it came.
func TestTheLongestLine(t *testing.T) {
	for _, end := range []ftp.End{ftp.LF, ftp.CRLF} {
		for n := ftp.MaxLine - 3; n <= ftp.MaxLine+3; n++ {
			stream := strings.Repeat("x", n) + "\r\n"
			whole := lines(new(ftp.Splitter), end, stream)
			for at := n - 2; at <= len(stream); at++ {
				if got := lines(new(ftp.Splitter), end, stream[:at], stream[at:]); !slices.Equal(got, whole) {
					t.Errorf("%d bytes, end %d: a line of %d in one piece, and cut at %d of %d",
						n, end, len(whole[0]), at, len(got[0]))
				}
			}
		}
	}
}

func TestALineThatDoesNotEndIsBounded(t *testing.T) {
	var s ftp.Splitter
	for range 1000 {
		lines(&s, ftp.CRLF, strings.Repeat("x", 999))
		if s.Held() > 2*ftp.MaxLine {
			t.Fatalf("%d bytes are held", s.Held())
		}
	}
	if s.Held() > 64 {
		t.Errorf("%d bytes are held of a line that is not kept", s.Held())
	}
}

func TestAShortenedLineCountsAsLong(t *testing.T) {
	var s ftp.Splitter
	lines(&s, ftp.LF, "RETR "+strings.Repeat("x", 1000))
	s.Shorten()
	if s.Held() > 64 {
		t.Errorf("%d bytes are held", s.Held())
	}
	if got, want := lines(&s, ftp.LF, "yyy\nNOOP\n"), []string{"~RETR xxxxxxxxxxx", "NOOP"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	lines(&s, ftp.LF, "PORT 1,2")
	s.Shorten() // nothing is gained
	if got, want := lines(&s, ftp.LF, ",3,4,5,6\n"), []string{"PORT 1,2,3,4,5,6"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAfterALossTheRestOfALineIsNone(t *testing.T) {
	for _, tc := range []struct {
		end    ftp.End
		before string
		after  []string
		want   []string
	}{
		{ftp.LF, "", []string{"227 x\n", "NOOP\n"}, []string{"NOOP"}},
		{ftp.LF, "PORT 1,2", []string{",3,4,5,6\nNOOP\nPASV\n"}, []string{"NOOP", "PASV"}},
		{ftp.LF, "PORT 1,2", []string{",3,4", ",5,6", "\n", "NOOP\n"}, []string{"NOOP"}},
		{ftp.CRLF, "211-x\r\n22", []string{"7 x\r\n226 y\r\n"}, []string{"226 y"}},
		{ftp.CRLF, "", []string{"7 x\r", "\n", "226 y\r\n"}, []string{"226 y"}},
		{ftp.CRLF, "220 x\r", []string{"\n227 x\r\n226 y\r\n"}, []string{"226 y"}}, // whose LF is it?
	} {
		var s ftp.Splitter
		lines(&s, tc.end, tc.before)
		s.Lose()
		if got := lines(&s, tc.end, tc.after...); !slices.Equal(got, tc.want) {
			t.Errorf("after %q: %q gives %q, want %q", tc.before, tc.after, got, tc.want)
		}
	}
}

// Urgent data is noted at the line that it belongs to, whatever piece brings the end.
func TestUrgentDataInALine(t *testing.T) {
	var s ftp.Splitter
	lines(&s, ftp.LF, "NOOP\nAB")
	s.Urgent()
	if got, want := lines(&s, ftp.LF, "O", "R\n", "PASV\n"), []string{"!ABOR", "PASV"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s.Lose()
	s.Urgent() // it may belong to the line after the one that is lost
	if got, want := lines(&s, ftp.LF, "x\nABOR\nPASV\n"), []string{"!ABOR", "PASV"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhatThereIsOfALine(t *testing.T) {
	var s ftp.Splitter
	if text, ok := s.Begun(); !ok || len(text) > 0 {
		t.Errorf("%q, %v at the start of a line", text, ok)
	}
	lines(&s, ftp.LF, "NOOP\r\nPA", "SV")
	if text, ok := s.Begun(); !ok || string(text) != "PASV" {
		t.Errorf("%q, %v in the middle of one", text, ok)
	}
	s.Lose()
	if _, ok := s.Begun(); ok {
		t.Error("all of a line whose begin was not seen")
	}
	lines(&s, ftp.LF, "\n"+strings.Repeat("x", 5000))
	if _, ok := s.Begun(); ok {
		t.Error("all of a line that is not kept")
	}
}

func TestALineInOnePieceIsNotCopied(t *testing.T) {
	var s ftp.Splitter
	b := []byte("NOOP\r\nPASV\r\n")
	for _, end := range []ftp.End{ftp.LF, ftp.CRLF} {
		if l, _, _ := s.Next(b, end); &l.Text[0] != &b[0] {
			t.Error("the line is a copy")
		}
		if n := testing.AllocsPerRun(100, func() { s.Next(b, end) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// Whatever the pieces in which a stream comes, and whether the splitter is written down
// and read back between them, the lines are those that a search for the end finds.
func FuzzSplitter(f *testing.F) {
	for _, seed := range []struct {
		stream, cuts string
	}{
		{"220 a\r\n227 b\r\n", "\x05"},
		{"NOOP\nPASV\r\n", "\x01\x02\x03"},
		{"\r\r\n\n\r\n", "\x01\x01\x01\x01"},
		{"a\rb\nc\r\n", ""},
		{strings.Repeat("x", ftp.MaxLine) + "\r\nNOOP\r\n", "\xff\xff"},
		{"", ""},
		{strings.Repeat("x", ftp.MaxLine-1) + "\r\n\r\n", "\xff\x0f\xff\x01"},
	} {
		f.Add([]byte(seed.stream), []byte(seed.cuts), true)
		f.Add([]byte(seed.stream), []byte(seed.cuts), false)
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte, client bool) {
		end, sep := ftp.CRLF, "\r\n"
		if client {
			end, sep = ftp.LF, "\n"
		}
		want := strings.Split(string(stream), sep)
		for i, text := range want {
			if len(text)+len(sep)-1 > ftp.MaxLine {
				want[i] = "~" + text[:16]
			}
		}
		want = want[:len(want)-1] // what does not end is no line

		var s ftp.Splitter
		var got []string
		for rest := string(stream); len(rest) > 0; {
			n := len(rest)
			if len(cuts) > 0 { // of one byte up to a long line and more
				n, cuts = min(n, 1+int(cuts[0])*int(cuts[0])), cuts[1:]
			}
			got = append(got, lines(&s, end, rest[:n])...)
			rest = rest[n:]
			if s.Held() > 3*ftp.MaxLine {
				t.Fatalf("%d bytes are held", s.Held())
			}
			again := reread(t, &s)
			s = *again
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%.200q: %.200q, want %.200q", stream, got, want)
		}
	})
}

// reread writes a splitter down and reads it back.
func reread(t *testing.T, s *ftp.Splitter) *ftp.Splitter {
	t.Helper()
	b, err := s.AppendBinary([]byte("before"))
	if err != nil || !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("written down: %q, %v", b, err)
	}
	var again ftp.Splitter
	if err := again.UnmarshalBinary(b[len("before"):]); err != nil {
		t.Fatalf("reading %q: %v", b, err)
	}
	if b2, _ := again.AppendBinary([]byte("before")); !bytes.Equal(b, b2) {
		t.Fatalf("%q becomes %q", b, b2)
	}
	return &again
}

// What a splitter is read from may be anything. What is accepted works, and is what
// would be written of it.
func FuzzSplitterBinary(f *testing.F) {
	var s ftp.Splitter
	add := func() {
		b, _ := s.AppendBinary(nil)
		f.Add(b, []byte("x\r\ny\r\n"))
		f.Add(b, []byte("\n"))
	}
	add()
	lines(&s, ftp.CRLF, "220 x\r")
	s.Urgent()
	add()
	lines(&s, ftp.CRLF, strings.Repeat("x", ftp.MaxLine))
	add()
	s.Lose()
	add()
	for flags := range 16 {
		f.Add([]byte{byte(flags)}, []byte("\n"))
		f.Add([]byte{byte(flags), 'x'}, []byte("\n"))
		f.Add([]byte{byte(flags), '\r'}, []byte("\n"))
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, b, stream []byte) {
		var s ftp.Splitter
		if err := s.UnmarshalBinary(b); err != nil {
			if got := lines(&s, ftp.LF, "x\n"); !slices.Equal(got, []string{"x"}) {
				t.Fatalf("%q is refused, and has an effect: %q", b, got)
			}
			return
		}
		if again, _ := s.AppendBinary(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q becomes %q", b, again)
		}
		other := *reread(t, &s)
		for _, end := range []ftp.End{ftp.LF, ftp.CRLF} {
			one, two := s, other
			if x, y := lines(&one, end, string(stream)), lines(&two, end, string(stream)); !slices.Equal(x, y) {
				t.Fatalf("%q, %q: %q and %q", b, stream, x, y)
			}
		}
	})
}
