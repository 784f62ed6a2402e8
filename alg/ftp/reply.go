package ftp

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
// line that begins with the same code and a space (or is that code alone) closes
// it; all lines between are text, whatever they look like (RFC 959 section 4.2).
// A reply that is never closed stays open: nothing after it is believed.
type Replies struct {
	open uint16 // the code of the multi-line reply that is open; 0: none
}

// Line takes the next line of the server, without its LF; one CR at its end
// belongs to the terminator and is ignored. The bool is true if the line
// completes the reply that is returned.
//
// The error is [ErrNotReply] for a line outside a multi-line reply that does not
// begin with a code; the state does not change.
func (r *Replies) Line(line []byte) (Reply, bool, error) {
	line = trimCR(line)
	code, err := r.advance(line)
	if code == 0 {
		return Reply{}, false, err
	}
	return Reply{Code: code, Text: line[min(codeLen, len(line)):]}, true, nil
}

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
	}
	return code, nil
}

// codeLen is the length of a code with the space or hyphen after it.
const codeLen = 4

// cutCode returns the code at the start of a reply line and the byte after it, a
// space where the line ends there. The code is 0 if the line is not a reply line.
func cutCode(line []byte) (code int, sep byte) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, 0
	}
	sep = ' '
	if len(line) > 3 {
		sep = line[3]
	}
	if sep != ' ' && sep != '-' {
		return 0, 0
	}
	return int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0'), sep
}
