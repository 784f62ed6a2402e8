package dialogue

import (
	"bytes"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// phase is how far a dialogue has come.
type phase uint8

const (
	waiting phase = iota // the server has not greeted yet
	talking
	secured // AUTH was accepted: nothing can be read
	over    // not FTP, or not followed any more
)

// Dialogue is what client and server of one control connection have said and agreed. The
// zero value is one in which nothing has been said.
//
// Its methods that take a list of decisions return it with what follows appended; a list
// that is used again costs no memory.
type Dialogue struct {
	phase    phase
	loggedIn bool
	spoken   bool // a command was read
	unproven bool // taken up in its middle: no command has had its reply yet
	midway   bool // the client's first line may be the rest of one
	noMore   bool // EPSV ALL: no PORT, EPRT or PASV will come
	doubt    doubt
	replies  ftp.Replies
	due      due
	live     Announcement
	wanted   bool // a transfer command waits for the login, to open the announcement
	came     bool // the announced connection came
}

// TakenUp is a dialogue of which all that is known is that it is FTP and that the client
// is logged in: the daemon crashed in its middle. It is helped in active mode, after one
// command and its reply.
func TakenUp() Dialogue {
	return Dialogue{phase: talking, loggedIn: true, spoken: true, unproven: true, midway: true, doubt: takenUp}
}

// LoggedIn reports whether the client is logged in.
func (d *Dialogue) LoggedIn() bool { return d.loggedIn }

// Greeted reports whether the server has greeted, and the dialogue is followed.
func (d *Dialogue) Greeted() bool { return d.phase == talking }

// Followed reports whether lines still mean anything: the dialogue is neither encrypted nor
// over.
func (d *Dialogue) Followed() bool { return d.phase <= talking }

// Encrypted reports whether AUTH was accepted.
func (d *Dialogue) Encrypted() bool { return d.phase == secured }

// Resting reports whether the dialogue was taken up in its middle, so that it lives by
// somebody's having vouched for it.
func (d *Dialogue) Resting() bool { return d.settled() && d.doubt == takenUp }

// Trusted reports whether the dialogue is FTP, logged in and believed in all it says:
// one that may be taken up again though its last lines were not seen.
func (d *Dialogue) Trusted() bool {
	return d.doubt == none && d.settled()
}

// settled reports whether the client is logged in, and nothing is due that may end that.
func (d *Dialogue) settled() bool {
	return d.phase == talking && d.loggedIn && !d.due.has(user) && !d.due.has(rein) && !d.due.has(auth)
}

// Live returns the announcement that is live; its State is [None] where there is none.
func (d *Dialogue) Live() Announcement { return d.live }

// State returns "greeting", "dialogue", "encrypted" or "unhelped".
func (d *Dialogue) State() string {
	return [...]string{"greeting", "dialogue", "encrypted", "unhelped"}[d.phase]
}

// Came notes that the announced connection has come. It is admitted once: after this the
// announcement serves no other transfer.
func (d *Dialogue) Came() {
	if d.live.State == Opened {
		d.came = true
	} else {
		d.forget()
	}
}

// Withdraw ends the live announcement, whatever its state, for a reason that lies outside
// of the dialogue: its time is up, for example.
func (d *Dialogue) Withdraw(reason string, out []Decision) []Decision {
	d.due.settle()
	return d.close(reason, false, out)
}

// Suspend readies the dialogue for being taken up later: a connection that may come now
// will not be admitted then. What is announced for a transfer command to come stays.
func (d *Dialogue) Suspend() {
	if d.live.State == Opened {
		d.Withdraw("", nil)
	}
}

// Revise judges what is announced by terms that have changed: what they do not admit is
// not announced any more. What is open keeps the source ports that it was opened for.
func (d *Dialogue) Revise(t *Terms, out []Decision) []Decision {
	if d.live.State == None {
		return out
	}
	_, ok := d.admits(t, d.live)
	if !ok || d.live.State == Opened && !d.mayOpen(t) || d.live.Mode == Passive && !t.PassivePorts.Contains(d.live.At.Port()) {
		return d.Withdraw("the configuration has changed", out)
	}
	if d.live.Mode == Active && d.live.State != Opened {
		d.live.From = t.SourcePort
	}
	return out
}

// Unread notes that one end says it has bytes of the other that were never seen here. It
// may lie, so the dialogue goes on; but other bytes may have been read than will be seen.
func (d *Dialogue) Unread(out []Decision) []Decision { return d.distrust(bytesLost, out) }

// LoseClient notes that bytes of the client went by unread: a PASV may have been among
// them, or what makes a server write names that look like replies.
func (d *Dialogue) LoseClient(out []Decision) []Decision {
	if !d.spoken {
		return d.end("the client's first bytes were not read", out)
	}
	return d.lose(out)
}

// LoseServer notes that bytes of the server went by unread.
func (d *Dialogue) LoseServer(out []Decision) []Decision {
	if d.phase == waiting {
		return d.end("the greeting was not seen", out)
	}
	d.replies = ftp.Replies{}
	return d.lose(out)
}

// lose forgets what hung on bytes that were not read: the announcement, and which
// replies are due. The login stays: that bytes were not read proves nothing.
func (d *Dialogue) lose(out []Decision) []Decision {
	if !d.Followed() {
		return out
	}
	out = d.Withdraw("bytes of the dialogue were not read", out)
	out = d.distrust(bytesLost, out)
	d.due = due{}
	d.unproven = true
	return out
}

// End stops following the dialogue, for a reason that lies outside of it.
func (d *Dialogue) End(reason string, out []Decision) []Decision { return d.end(reason, out) }

// end stops following the dialogue.
func (d *Dialogue) end(reason string, out []Decision) []Decision {
	if !d.Followed() {
		return out
	}
	out = d.Withdraw(reason, out)
	d.phase = over
	return append(out, Decision{Act: Over, Reason: reason})
}

// Command acts on a line of the client, without its LF. Every line must be a command of
// FTP, known by its name: the first other one ends help. An empty line is none.
func (d *Dialogue) Command(t *Terms, l ftp.Line, out []Decision) []Decision {
	if !d.Followed() {
		return out
	}
	if len(l.Text) == 0 || len(l.Text) == 1 && l.Text[0] == '\r' {
		return d.push(empty, optional, out)
	}
	c, err := ftp.ParseCommand(l.Text)
	switch {
	case err != nil:
		return d.end(err.Error(), out)
	case c.Verb == ftp.Other && !t.knows(c.Word):
		return d.end("a line that begins with no command of FTP", out)
	case ftp.HasTelnet(l.Text) && (c.Verb != ftp.Abor || ftp.HasTelnet(c.Arg)):
		return d.end("a Telnet command in a line", out)
	}
	d.spoken = true
	if d.midway {
		d.midway = false
		return d.first(c, out)
	}
	if why := unread(l, c); why != "" {
		return d.unread(t, c, why, l.Urgent, out)
	}
	k, flags, out := d.command(t, c, out)
	return d.push(k, flags, out)
}

// first acts on the first line of a dialogue that was taken up in its middle. The line may
// be a part of one, so that it is FTP is all that is taken from it.
func (d *Dialogue) first(c ftp.Command, out []Decision) []Decision {
	switch c.Verb {
	case ftp.User, ftp.Pass, ftp.Acct, ftp.Rein, ftp.Auth, ftp.Adat:
		return d.end("taken up in the middle of a login", out)
	}
	return d.push(plain, 0, out)
}

// unread says why a command is not acted on, or nothing.
func unread(l ftp.Line, c ftp.Command) string {
	switch {
	case l.Long:
		return "in a line longer than is read"
	case l.Urgent && c.Verb != ftp.Abor:
		return "in a line with urgent data in it" // the receiver takes that byte out
	case bytes.IndexByte(l.Text, 0) >= 0:
		return "in a line with a NUL in it" // an end of the line to some, a line feed to others
	}
	return ""
}

// unread takes from a command that is not acted on what it may take away, and gives
// nothing for it.
func (d *Dialogue) unread(t *Terms, c ftp.Command, why string, urgent bool, out []Decision) []Decision {
	out = d.names(t, c, out)
	if urgent {
		out = d.distrust(urgentData, out)
	}
	if c.Verb.Announces() {
		out = d.Withdraw("a new announcement", out)
		out = append(out, Decision{Act: Refused, Reason: c.Verb.String() + " " + why})
	}
	switch c.Verb {
	case ftp.Abor, ftp.User, ftp.Rein, ftp.Quit:
		out = d.Withdraw(c.Verb.String(), out)
	}
	if c.Verb == ftp.Mlst {
		return d.push(mlst, 0, out)
	}
	return d.push(plain, 0, out)
}

// command acts on a whole command, and says what its reply will mean.
func (d *Dialogue) command(t *Terms, c ftp.Command, out []Decision) (k kind, flags uint8, _ []Decision) {
	out = d.names(t, c, out)
	switch c.Verb {
	case ftp.User:
		return user, 0, d.Withdraw("a new USER", out)
	case ftp.Pass, ftp.Acct:
		return login, 0, out
	case ftp.Rein:
		return rein, 0, d.Withdraw("REIN", out)
	case ftp.Quit:
		if d.due.ahead() { // sent in one go with it: it comes to its end (RFC 959, section 4.1.1)
			return quit, 0, out
		}
		return plain, 0, d.Withdraw("QUIT", out)
	case ftp.Abor: // some servers have one reply for both, some have none
		if d.live.State == Opened || d.wanted { // else there is nothing to abort
			out = d.Withdraw("ABOR", out)
		}
		return abor, optional, out
	case ftp.Auth:
		return auth, 0, out
	case ftp.Adat:
		return adat, 0, out
	case ftp.Port, ftp.Eprt:
		k, out = d.announce(t, c, out)
		return k, 0, out
	case ftp.Pasv, ftp.Epsv:
		return d.ask(t, c, out)
	case ftp.Lprt, ftp.Lpsv, ftp.Cpsv:
		out = d.Withdraw("a new announcement", out)
		return plain, 0, append(out, Decision{Act: Refused, Reason: c.Verb.String() + " is not helped"})
	case ftp.Noop, ftp.Stat:
		k = noop
		if c.Verb == ftp.Stat {
			k = stat
		}
		if d.due.beside() {
			flags = optional // some servers answer all that is said beside a transfer at once
		}
		return k, flags, out
	case ftp.Mlst:
		return mlst, 0, out
	case ftp.Site, ftp.Other:
		if ftp.Announces(c.Arg) {
			out = append(out, Decision{Act: Refused, Reason: "an announcement inside another command"})
		}
		return plain, 0, out
	}
	if c.Verb.Transfer() {
		return transfer, 0, d.transfer(t, out)
	}
	return plain, 0, out
}

func (d *Dialogue) push(k kind, flags uint8, out []Decision) []Decision {
	if !d.due.push(k, flags) {
		return d.end("too many commands without a reply", out)
	}
	return out
}

// knows reports whether a verb that is not in the table is FTP by the rules.
func (r *Rules) knows(word []byte) bool {
	for _, v := range r.Verbs {
		if bytes.EqualFold([]byte(v), word) {
			return true
		}
	}
	return false
}
