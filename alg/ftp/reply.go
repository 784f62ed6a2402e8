package ftp

import "bytes"

// Reply is one complete reply of the server.
type Reply struct {
	// Code is 100 to 599.
	Code int
	// Text is what follows the code on the line that completes the reply; it
	// aliases that line. Of a multi-line reply it is the text of the last line
	// alone: some clients read an announcement from the first line and some
	// from the last, so one that stands elsewhere than in the last is not
	// believed.
	Text []byte
}

// Preliminary reports 1yz: another reply to the same command will follow.
func (r Reply) Preliminary() bool { return r.Code/100 == 1 }

// Completed reports 2yz: the command was done.
func (r Reply) Completed() bool { return r.Code/100 == 2 }

// Intermediate reports 3yz: the server waits for another command.
func (r Reply) Intermediate() bool { return r.Code/100 == 3 }

// Failed reports 4yz and 5yz: the command was refused.
func (r Reply) Failed() bool { return r.Code/100 >= 4 }

// Replies tells the replies of one server apart from the text inside multi-line
// replies. The zero value is ready. It is not safe for concurrent use.
//
// A line that begins with a code and a hyphen opens a multi-line reply. Only a
// line that begins with the same code and a space closes
// it; all lines between are text, whatever they look like (RFC 959 section 4.2).
// A reply that is never closed stays open: nothing after it is believed.
type Replies struct {
	open uint16 // the code of the multi-line reply that is open; 0: none
}

// Line takes the next line of the server, without its CR LF. The bool is true if the
// line completes the reply that is returned.
//
// The error is [ErrNotReply] for a line outside a multi-line reply that is neither
// "ddd text" nor "ddd-text"; the state does not change. A line that is a code alone is
// both: clients differ in whether they read it as a reply.
func (r *Replies) Line(line []byte) (Reply, bool, error) {
	code, err := r.advance(line)
	if code == 0 {
		return Reply{}, false, err
	}
	return Reply{Code: code, Text: line[min(codeLen, len(line)):]}, true, err
}

// Open returns the code of the multi-line reply that is open, or 0.
func (r *Replies) Open() int { return int(r.open) }

// Skip is [Replies.Line] for a line that was too long to keep: prefix is its
// first four bytes or more. Such a line opens and closes multi-line replies and
// completes replies as any other, but the reply has no Text.
func (r *Replies) Skip(prefix []byte) (Reply, bool, error) {
	if len(prefix) < codeLen {
		prefix = nil // the byte that would decide is not known
	}
	code, err := r.advance(prefix)
	return Reply{Code: code}, code != 0, err
}

// advance moves past one line and returns the code of the reply that it
// completes, or 0.
func (r *Replies) advance(line []byte) (int, error) {
	code, sep := cutCode(line)
	switch {
	case r.open != 0:
		if code != int(r.open) || sep != ' ' {
			return 0, nil
		}
		r.open = 0
	case code == 0:
		return 0, ErrNotReply
	case sep == '-':
		r.open = uint16(code)
		return 0, nil
	case sep == 0:
		return code, ErrNotReply
	}
	return code, nil
}

// codeLen is the length of a code with the space or hyphen after it.
const codeLen = 4

// cutCode returns the code at the start of a reply line and the byte after it, 0
// where the line ends there. The code is 0 if the line is not a reply line.
func cutCode(line []byte) (code int, sep byte) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, 0
	}
	if len(line) > 3 {
		if sep = line[3]; sep != ' ' && sep != '-' {
			return 0, 0
		}
	}
	return int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0'), sep
}

// QuoteCloses reports whether the name that the text of a 257 reply quotes ends in it
// (RFC 959, appendix II: a quote in the name is doubled). A text without a quote has no
// name that could go on.
func QuoteCloses(text []byte) bool {
	_, name, quoted := bytes.Cut(text, []byte{'"'})
	for quoted {
		_, rest, found := bytes.Cut(name, []byte{'"'})
		if !found {
			return false
		}
		if len(rest) == 0 || rest[0] != '"' {
			return true
		}
		name = rest[1:]
	}
	return true
}

// InReply returns Replies in the middle of a multi-line reply with this code, or between
// replies for 0. ok is false for what is no code.
func InReply(code int) (r Replies, ok bool) {
	if code != 0 && (code < 100 || code > 599) {
		return Replies{}, false
	}
	return Replies{open: uint16(code)}, true
}
