package ftp

// AuthScanner finds AUTH at the start of command lines, byte by byte, so that whoever
// changes the byte at which it says so turns the command into one that no server knows,
// at equal length and at the earliest moment that it can be told from others. It looks
// through what servers are known to leave out: white space before the verb, and NUL and
// Telnet commands anywhere. The zero value stands at the start of a line.
type AuthScanner struct {
	letters uint8 // of AUTH that have come; past: the line begins otherwise
	telnet  uint8 // bytes of a Telnet command that are still to come; begun: its second one
}

const (
	past  = 0xff
	begun = 0xff
)

// Next takes the next byte of the client, and reports whether it completes the word.
func (a *AuthScanner) Next(b byte) bool {
	switch {
	case b == '\n':
		*a = AuthScanner{}
		return false
	case a.telnet == begun:
		a.telnet = 0
		if b >= telnetWILL && b <= telnetDONT {
			a.telnet = 1
		}
		return false
	case a.telnet > 0:
		a.telnet--
		return false
	case b == telnetIAC:
		a.telnet = begun
		return false
	case b == 0: // to some servers a line ends there
		if a.letters == past {
			a.letters = 0
		}
		return false
	case a.letters == past || b == telnetDM && a.letters == 0:
		return false
	case a.letters == 0 && (b == ' ' || b == '\t' || b == '\r' || b == '\v' || b == '\f'):
		return false
	case b|0x20 != "auth"[a.letters]:
		a.letters = past
		return false
	}
	a.letters++
	if a.letters == 4 {
		a.letters = past
		return true
	}
	return false
}
