package dialogue

import (
	"fmt"
	"net/netip"
)

// Act is what is to be done, or told, because of a line.
type Act uint8

const (
	// Began: the greeting has come, or a dialogue that was taken up has gone on as FTP does.
	Began Act = iota
	// Announced: one end says where it waits for the data connection.
	Announced
	// Open: the announced connection may come from now on.
	Open
	// Underway: the transfer is under way, so its connection has come or will not.
	Underway
	// Close: the announced connection may not come any more. One that has come carries on.
	Close
	// Refused: an announcement, or what asks for one, is not acted on.
	Refused
	// Doubted: 227 and 229 are not believed any more in this dialogue.
	Doubted
	// Secured: what follows is encrypted.
	Secured
	// Over: this is no FTP, or cannot be followed. Nothing is decided any more.
	Over
)

// String says the act in a word or two, as in "open" and "under way".
func (a Act) String() string {
	names := [...]string{
		"began", "announced", "open", "under way", "close", "refused", "doubted", "secured", "over",
	}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("act %d", uint8(a))
}

// Decision is one thing that follows from a line.
type Decision struct {
	Act          Act
	Reason       string       // in plain words; a constant text, whatever the line was
	Announcement Announcement // of Announced, Open, Close and, where known, Refused
	Violation    bool         // of Refused: no honest client or server says this
	TLS          bool         // of Secured: by AUTH and its 234
	// Standing is of Close: the announcement holds for the next transfer command, unless its
	// connection has come (RFC 959, section 5.4: a refused transfer leaves it as it was).
	Standing bool
}

// Announcement is a data connection that one end has announced: in active mode from the
// server to the client, in passive mode the other way round.
type Announcement struct {
	Mode  Mode
	At    netip.AddrPort // who waits, at the address where the other end connects
	From  Ports          // source ports of the end that connects
	State State
}

// String returns "active 10.1.4.4:46197 from 20" or "passive 10.2.5.5:50000", and nothing
// for an announcement that is none.
func (a Announcement) String() string {
	switch {
	case !a.At.IsValid():
		return ""
	case a.Mode == Passive && a.From.Any():
		return fmt.Sprintf("%v %v", a.Mode, a.At)
	}
	return fmt.Sprintf("%v %v from %v", a.Mode, a.At, a.From)
}

// String says the decision in a line, as in "close passive 10.2.5.5:50000: time".
func (d Decision) String() string {
	s := d.Act.String()
	if a := d.Announcement.String(); a != "" {
		s += " " + a
	}
	if d.Standing {
		s += ", standing"
	}
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	if d.Violation {
		s += " (violation)"
	}
	return s
}

// State is how far an announcement has come.
type State uint8

const (
	// None: nothing is announced.
	None State = iota
	// Offered: PORT was seen.
	Offered
	// Accepted: the server has agreed.
	Accepted
	// Opened: its connection may come.
	Opened
)

// Terms are what a dialogue is judged by. They are the same for all of its lines.
type Terms struct {
	Client, Server netip.Addr // the ends of the control connection, never IPv4-mapped
	*Rules
}
