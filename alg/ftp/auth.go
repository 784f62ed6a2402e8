package ftp

// AuthScanner finds AUTH at the start of command lines, byte by byte, so that whoever
// changes the byte at which it says so turns the command into one that no server knows,
// at equal length and at the earliest moment that it can be told from others. It looks
// through what servers are known to leave out: white space before the verb, and NUL and
// Telnet commands anywhere. Where servers differ in what a byte is, it follows both: a CR
// or NUL ends the line to some, and a line feed may be the option of a Telnet command. The
// zero value stands at the start of a line.
type AuthScanner struct {
	lines, options reading // a line feed in a Telnet command is an end, or an option
}

// reading is one way to read the bytes.
type reading struct {
	letters uint8 // of AUTH that have come; past: the line begins otherwise
	telnet  uint8 // bytes of a Telnet command that are still to come; begun: its second one
}

const (
	past  = 0xff
	begun = 0xff
)

// Next takes the next byte of the client, and reports whether it completes the word.
func (a *AuthScanner) Next(b byte) bool {
	one, other := a.lines.next(b, true), a.options.next(b, false)
	return one || other
}

func (r *reading) next(b byte, ends bool) bool {
	switch {
	case b == '\n' && (ends || r.telnet == 0):
		*r = reading{}
		return false
	case r.telnet == begun:
		r.telnet = 0
		if b >= telnetWILL && b <= telnetDONT {
			r.telnet = 1
		}
		return false
	case r.telnet > 0:
		r.telnet--
		return false
	case b == telnetIAC:
		r.telnet = begun
		return false
	case b == 0 || b == '\r':
		if r.letters == past {
			r.letters = 0
		}
		return false
	case r.letters == past || b == telnetDM && r.letters == 0:
		return false
	case r.letters == 0 && (b == ' ' || b == '\t' || b == '\v' || b == '\f'):
		return false
	case b|0x20 != "auth"[r.letters]:
		r.letters = past
		return false
	}
	r.letters++
	if r.letters == 4 {
		r.letters = past
		return true
	}
	return false
}
