package dialogue

import "github.com/ftpalg/ftpalg/alg/ftp"

// doubt is why 227 and 229 are not believed. Servers write names of files and
// directories as they are, and these can hold a line end and a 227: what looks like an
// answer to PASV may be the work of whoever made a directory.
type doubt uint8

const (
	none doubt = iota
	statNames
	mlstNames
	openQuote
	noReply
	surplus
	unasked
	bytesLost
	urgentData
	takenUp
)

// String says why, for an operator.
func (w doubt) String() string {
	return [...]string{
		none:       "",
		statNames:  "STAT with an argument has names of files in its reply",
		mlstNames:  "MLST has a name of a file in its reply, and the server has no passive_ports",
		openQuote:  "the name in a 257 does not end on its line",
		noReply:    "a line of the server is no reply",
		surplus:    "a reply to no command",
		unasked:    "a 227 or 229 that was not asked for",
		bytesLost:  "bytes of the dialogue were not read",
		urgentData: "a command with urgent data in it, of which servers take out a byte",
		takenUp:    "the dialogue was taken up after a crash",
	}[w]
}

// distrust ends belief in 227 and 229 for the rest of the dialogue. Active mode goes on:
// what the client says of itself no name of a file can say.
func (d *Dialogue) distrust(why doubt, out []Decision) []Decision {
	if d.doubt != none || !d.Followed() {
		return out
	}
	d.doubt = why
	if d.live.State != None && d.live.Mode == Passive {
		out = d.Withdraw("passive replies are not believed any more: "+why.String(), out)
	}
	return append(out, Decision{Act: Doubted, Reason: why.String()})
}

// names ends belief for STAT with an argument, whose reply has names of files in it, and
// for MLST where a passive announcement is live: see listed.
func (d *Dialogue) names(t *Terms, c ftp.Command, out []Decision) []Decision {
	switch {
	case c.Verb == ftp.Stat && len(c.Arg) > 0:
		return d.distrust(statNames, out)
	case c.Verb == ftp.Mlst && d.live.Mode == Passive && d.live.State != None && t.PassivePorts.Any():
		return d.distrust(mlstNames, out)
	}
	return out
}

// listed ends belief for the reply to MLST, which has a name in it unless the server does
// not know the command. Real clients send it before each transfer (ncftp), so here the
// operator has a choice: with passive_ports no 227 can lead to anything but the ports on
// which the server waits for data.
func (d *Dialogue) listed(t *Terms, code int, out []Decision) []Decision {
	if code == 500 || code == 502 || !t.PassivePorts.Any() {
		return out
	}
	return d.distrust(mlstNames, out)
}

// quote ends belief where the name in a 257 goes on after the end of its line.
func (d *Dialogue) quote(l ftp.Line, out []Decision) []Decision {
	const code = "257"
	if open := d.replies.Open(); open != 0 && open != 257 || len(l.Text) < len(code) || string(l.Text[:len(code)]) != code {
		return out
	}
	if l.Long || !ftp.QuoteCloses(l.Text) {
		return d.distrust(openQuote, out)
	}
	return out
}
