package ftp

import "bytes"

// The length of a verb, in bytes. RFC 959 has 3 and 4; XSHA256 and the like are longer.
const (
	minVerb = 3
	maxVerb = 12
)

// Command is one command line.
type Command struct {
	Verb Verb
	Word []byte // the verb as it was written; it aliases the line
	Arg  []byte // what follows the one space after the verb, unmodified; it aliases the line
}

// ParseCommand reads one command line (RFC 959 section 5.3). The line comes
// without its LF; one CR at its end belongs to the terminator and is ignored.
//
// A command is a verb of ASCII letters in either case (and digits, after the
// first letter), and then the end of the line or one space and the argument.
// Telnet commands before the verb are skipped. The argument may hold any byte.
// A verb that is not in the table is Other: whether it is FTP is not told by its shape.
//
// The error is [ErrNotCommand] for every other line. Of a line that was cut short, only
// the verb of the result means anything.
func ParseCommand(line []byte) (Command, error) {
	line = skipTelnet(trimCR(line))
	verb, n := cutVerb(line)
	switch {
	case n < minVerb || n > maxVerb || n < len(line) && line[n] != ' ':
		return Command{}, ErrNotCommand
	case n == len(line):
		return Command{Verb: verb, Word: line}, nil
	}
	return Command{Verb: verb, Word: line[:n], Arg: line[n+1:]}, nil
}

// HasTelnet reports whether a Telnet command stands anywhere in the line. Servers take
// them out at different moments, so they do not agree on what such a line says.
func HasTelnet(line []byte) bool { return bytes.IndexByte(line, telnetIAC) >= 0 }

// Announces reports whether an argument begins with a verb that announces a data
// port or asks for one, as in SITE PORT 10,0,0,1,4,1. Servers exist that obey
// such lines; a firewall reports them and opens nothing.
func Announces(arg []byte) bool {
	verb, _ := cutVerb(bytes.TrimLeft(arg, " "))
	return verb.Announces()
}

// cutVerb finds the word of letters and digits at the start of b. n is its
// length, 0 where b does not begin with a letter.
func cutVerb(b []byte) (v Verb, n int) {
	var upper [maxVerb]byte
	for n < len(b) && (isLetter(b[n]) || n > 0 && isDigit(b[n])) {
		if n < maxVerb {
			upper[n] = b[n]
			if b[n] >= 'a' {
				upper[n] -= 'a' - 'A'
			}
		}
		n++
	}
	if n > maxVerb {
		return Other, n
	}
	return verbs[string(upper[:n])], n
}

// The bytes of the Telnet protocol (RFC 854).
const (
	telnetSE   = 240 // the first of the commands without an option
	telnetDM   = 242
	telnetSB   = 250
	telnetWILL = 251 // WILL, WONT, DO, DONT: one option byte follows
	telnetDONT = 254
	telnetIAC  = 255
)

// skipTelnet removes Telnet commands from the start of a line: clients send
// IAC IP, IAC DM before ABOR (RFC 959 section 4.1.3). DM may stand alone, since a
// client sends the IAC before it as urgent data. A subnegotiation has no place
// here and is left.
func skipTelnet(line []byte) []byte {
	for {
		n := 0
		switch {
		case len(line) >= 1 && line[0] == telnetDM:
			n = 1
		case len(line) < 2 || line[0] != telnetIAC || line[1] < telnetSE || line[1] == telnetSB:
			return line
		case line[1] < telnetWILL || line[1] > telnetDONT:
			n = 2
		case len(line) >= 3:
			n = 3
		default:
			return line
		}
		line = line[n:]
	}
}

// trimCR removes one CR from the end of a line.
func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
