package dialogue

import "github.com/ftpalg/ftpalg/alg/ftp"

// Reply acts on a line of the server, without its CR LF, and on the reply where the line
// completes one. A multi-line reply is complete with the line of the same code and a space
// (RFC 959, section 4.2); whatever stands before is text.
func (d *Dialogue) Reply(t *Terms, l ftp.Line, out []Decision) []Decision {
	if !d.Followed() {
		return out
	}
	out = d.quote(l, out)
	var r ftp.Reply
	var whole bool
	var err error
	if l.Long {
		r, whole, err = d.replies.Skip(l.Text)
	} else {
		r, whole, err = d.replies.Line(l.Text)
	}
	if d.phase == waiting {
		return d.greet(t, r, whole, out)
	}
	if err != nil {
		out = d.distrust(noReply, out)
	}
	switch {
	case !whole:
		return out
	case r.Code == 421: // may come at any time: the server closes (RFC 959, section 5.4)
		return d.Withdraw("the server closes the session", out)
	case r.Preliminary():
		if d.due.begin(r.Code) && d.live.State == Opened {
			out = append(out, Decision{Act: Underway, Announcement: d.live})
		}
		return out
	}
	return d.final(t, r, out)
}

// greet waits for the greeting: 220, or 120 and then 220. Text before it is skipped, as
// clients do.
func (d *Dialogue) greet(t *Terms, r ftp.Reply, whole bool, out []Decision) []Decision {
	switch {
	case !whole || r.Preliminary():
		return out
	case r.Code == 220:
		d.phase = talking
		out = append(out, Decision{Act: Began})
		if d.wanted {
			out = d.want(t, out)
		}
		return out
	case r.Failed(): // busy, or not for this client: the server closes
		return out
	}
	return d.end("the server's first reply is no greeting", out)
}

// final acts on a reply that ends what a command began.
func (d *Dialogue) final(t *Terms, r ftp.Reply, out []Decision) []Decision {
	announces := r.Code == 227 || r.Code == 229
	if announces && d.due.has(mlst) { // it may be a part of what MLST is answered
		out = d.listed(t, r.Code, out)
	}
	k, isStale, asked := d.due.answer(r.Code)
	switch {
	case r.Code == 234 && k != auth:
		return d.end("a 234 that nobody asked for", out)
	case announces && (k != passive || r.Code != 227) && (k != extended || r.Code != 229):
		out = append(out, Decision{Act: Refused, Reason: "an announcement that was not asked for"})
		out = d.distrust(unasked, out)
		k = plain // and it answers nothing
	case !asked:
		return d.distrust(surplus, out)
	}
	if !asked {
		return out
	}
	if d.unproven {
		d.unproven = false
		out = append(out, Decision{Act: Began, Reason: "taken up in its middle"})
	}
	if isStale {
		return out
	}
	switch k {
	case user, login:
		out = d.letIn(t, r, out)
	case rein:
		if r.Completed() {
			d.loggedIn, d.noMore = false, false
			out = d.Withdraw("REIN", out)
		}
	case epsvAll:
		d.noMore = r.Completed()
	case auth:
		if r.Code == 234 {
			out = d.secure(true, out)
		}
	case adat:
		if r.Code == 235 {
			out = d.secure(false, out)
		}
	case active:
		switch {
		case !r.Completed():
			out = d.Withdraw("refused by the server", out)
		case d.live.State == Offered:
			d.live.State = Accepted
		}
	case passive, extended:
		out = d.answered(t, r, out)
	case mlst:
		out = d.listed(t, r.Code, out)
	case transfer:
		out = d.transferred(r, out)
	case quit:
		if r.Completed() {
			out = d.Withdraw("QUIT", out)
		}
	}
	return out
}

// letIn acts on the reply to a login command. Any 2yz lets the client in (RFC 959,
// section 5.4: 230, and 202 where the command is superfluous).
func (d *Dialogue) letIn(t *Terms, r ftp.Reply, out []Decision) []Decision {
	switch {
	case r.Completed():
		d.loggedIn = true
	case r.Intermediate():
		d.loggedIn = false
	}
	if d.wanted {
		out = d.want(t, out)
	}
	return out
}

// transferred acts on the end of a transfer, or on its refusal.
func (d *Dialogue) transferred(r ftp.Reply, out []Decision) []Decision {
	if r.Completed() {
		return d.close("transfer complete", false, out)
	}
	if d.live.State == Opened && !d.came && d.due.uses() {
		return out // the next transfer command is there already
	}
	return d.close("transfer refused or broken off", true, out)
}

// secure lets go of a dialogue that is encrypted from here on.
func (d *Dialogue) secure(tls bool, out []Decision) []Decision {
	out = d.Withdraw("AUTH was accepted", out)
	d.phase = secured
	return append(out, Decision{Act: Secured, TLS: tls})
}
