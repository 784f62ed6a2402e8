package ftp

import "bytes"

const (
	// MaxLine is how many bytes of a line are kept, a CR at its end among them. Commands
	// and replies of real programs are far shorter; PATH_MAX is as long.
	MaxLine = 4 << 10
	// beginning is what is kept of a longer line: its verb, or its code.
	beginning = 16
)

// End is how the lines of one side end.
type End uint8

const (
	// LF ends the client's lines: servers read them so, whether a CR comes before it or not.
	LF End = iota
	// CRLF ends the server's: a bare CR or LF in one is text. Servers write names of
	// files raw, and such a name must not end a line that clients would read on.
	CRLF
)

// Line is one line without what ended it.
type Line struct {
	Text   []byte // it aliases the stream, or the splitter until its next call
	Long   bool   // Text is the beginning of a line that is longer than is kept
	Urgent bool   // it has urgent data in it: who knows what its receiver reads
}

// Splitter cuts the bytes of one side into lines. The zero value stands at the start of
// a line. It is not safe for concurrent use.
type Splitter struct {
	text []byte // of the line that is in the middle of, with a CR at its end if that came last
	cr   bool   // the last byte was a CR
	long bool
	lost bool // its begin was not seen: it is none
	urg  bool
}

// Next takes bytes up to the end of a line, and returns the line and how many it took.
// ok is false where the bytes ended before the line did: then all were taken.
func (s *Splitter) Next(b []byte, end End) (l Line, n int, ok bool) {
	at := s.find(b, end)
	if at < 0 {
		s.gather(b)
		return Line{}, len(b), false
	}
	body := b[:at]
	if len(s.text) > 0 || s.long || s.lost || at > MaxLine {
		s.gather(body)
		body = s.text
	}
	if end == CRLF && !s.long && !s.lost {
		body = body[:len(body)-1] // the CR
	}
	l = Line{Text: body, Long: s.long, Urgent: s.urg}
	lost := s.lost
	*s = Splitter{}
	if !lost {
		return l, at + 1, true
	}
	// What is left of a line that began unseen is no line.
	s.urg = l.Urgent
	l, n, ok = s.Next(b[at+1:], end)
	return l, at + 1 + n, ok
}

// find returns the index of the LF that ends the line, or -1.
func (s *Splitter) find(b []byte, end End) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1
		}
		i += from
		if end == LF || i > 0 && b[i-1] == '\r' || i == 0 && s.cr {
			return i
		}
		from = i + 1
	}
}

func (s *Splitter) gather(b []byte) {
	if len(b) > 0 {
		s.cr = b[len(b)-1] == '\r'
	}
	switch {
	case s.lost || s.long:
	case len(s.text)+len(b) > MaxLine:
		s.long = true
		s.text = append(s.text, b[:min(len(b), beginning)]...)
		s.text = bytes.Clone(s.text[:min(len(s.text), beginning)])
	default:
		s.text = append(s.text, b...)
	}
}

// Urgent notes that urgent data belongs to the line that the next bytes go on.
func (s *Splitter) Urgent() { s.urg = true }

// Lose notes that bytes went by unseen: the line that the next ones go on is none.
func (s *Splitter) Lose() { *s = Splitter{lost: true} }

// Shorten gives back the memory of a line that does not end: it will count as long.
func (s *Splitter) Shorten() {
	if len(s.text) > beginning {
		s.text, s.long = bytes.Clone(s.text[:beginning]), true
	}
}

// Begun returns what there is of the line that the splitter is in the middle of. ok is
// false where that is not all of it.
func (s *Splitter) Begun() (text []byte, ok bool) { return s.text, !s.long && !s.lost }

// Held returns the bytes of memory that the splitter holds.
func (s *Splitter) Held() int { return cap(s.text) }

// AppendBinary appends the splitter as bytes, for UnmarshalBinary. It never fails.
func (s *Splitter) AppendBinary(b []byte) ([]byte, error) {
	var flags byte
	for i, f := range []bool{s.cr, s.long, s.lost, s.urg} {
		if f {
			flags |= 1 << i
		}
	}
	return append(append(b, flags), s.text...), nil
}

// UnmarshalBinary reads what AppendBinary wrote. Its error is [ErrEncoding]; the splitter
// is not changed then.
func (s *Splitter) UnmarshalBinary(b []byte) error {
	if len(b) < 1 || len(b) > 1+MaxLine || b[0] > 15 {
		return ErrEncoding
	}
	n := Splitter{cr: b[0]&1 != 0, long: b[0]&2 != 0, lost: b[0]&4 != 0, urg: b[0]&8 != 0}
	var ok bool
	switch b = b[1:]; {
	case n.lost:
		ok = !n.long && len(b) == 0
	case n.long:
		ok = len(b) == beginning
	default:
		ok = n.cr == bytes.HasSuffix(b, []byte{'\r'})
	}
	if !ok {
		return ErrEncoding
	}
	n.text = bytes.Clone(b)
	*s = n
	return nil
}
