package dialogue

import (
	"net/netip"
	"slices"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// announce acts on PORT and EPRT: the client says where it waits.
func (d *Dialogue) announce(t *Terms, c ftp.Command, out []Decision) (kind, []Decision) {
	out = d.Withdraw("a new announcement", out)
	parse := ftp.ParsePort
	if c.Verb == ftp.Eprt {
		parse = ftp.ParseEprt
	}
	at, err := parse(c.Arg)
	a := Announcement{Mode: Active, At: at, From: t.SourcePort}
	switch {
	case err != nil:
		return plain, append(out, Decision{Act: Refused, Reason: err.Error()})
	case d.noMore:
		return plain, append(out, refuse(a, c.Verb.String()+" after EPSV ALL"))
	case at.Addr() != t.Client:
		refusal := refuse(a, "a foreign address")
		refusal.Violation = true
		return plain, append(out, refusal)
	}
	if refusal, ok := d.admits(t, a); !ok {
		return plain, append(out, refusal)
	}
	d.live, d.live.State = a, Offered
	out = append(out, Decision{Act: Announced, Announcement: d.live})
	if t.OpenOnPort && !d.unproven {
		out = d.want(t, out)
	}
	return active, out
}

// ask acts on PASV and EPSV, which the server's reply turns into an announcement. What is
// refused here may be answered all the same, and that means nothing then.
func (d *Dialogue) ask(t *Terms, c ftp.Command, out []Decision) (k kind, flags uint8, _ []Decision) {
	out = d.Withdraw("a new announcement", out)
	if c.Verb == ftp.Pasv {
		if d.noMore {
			return passive, stale, append(out, Decision{Act: Refused, Reason: "PASV after EPSV ALL"})
		}
		return passive, 0, out
	}
	family, err := ftp.ParseEpsvArg(c.Arg)
	switch {
	case err != nil:
		return extended, stale, append(out, Decision{Act: Refused, Reason: err.Error()})
	case family == ftp.EpsvAll:
		d.noMore = true
		return epsvAll, 0, out
	case family == ftp.EpsvIPv4 && !t.Server.Is4(), family == ftp.EpsvIPv6 && t.Server.Is4():
		return extended, stale, append(out, Decision{Act: Refused, Reason: "EPSV for another address family"})
	}
	return extended, 0, out
}

// answered acts on the reply to the live PASV or EPSV. The client connects before it
// sends the transfer command, so the announcement is open at once.
func (d *Dialogue) answered(t *Terms, r ftp.Reply, out []Decision) []Decision {
	var at netip.AddrPort
	var err error
	switch r.Code {
	case 227:
		at, err = ftp.ParsePasv(r.Text)
	case 229:
		var port uint16
		port, err = ftp.ParseEpsv(r.Text)
		at = netip.AddrPortFrom(t.Server, port)
	default:
		return out
	}
	if err != nil {
		return append(out, Decision{Act: Refused, Reason: err.Error()})
	}
	// Clients connect to the server itself, whatever address the 227 names.
	var note string
	if at.Addr() != t.Server {
		note = "the 227 names another address: it is helped towards the server's own"
		at = netip.AddrPortFrom(t.Server, at.Port())
	}
	a := Announcement{Mode: Passive, At: at}
	if d.doubt != none {
		return append(out, refuse(a, "passive replies are not believed any more: "+d.doubt.String()))
	}
	if refusal, ok := d.admits(t, a); !ok {
		return append(out, refusal)
	}
	if !t.PassivePorts.Contains(at.Port()) {
		return append(out, refuse(a, "a port outside the server's passive_ports"))
	}
	d.live, d.live.State = a, Accepted
	out = append(out, Decision{Act: Announced, Announcement: d.live, Reason: note})
	return d.want(t, out)
}

// transfer acts on a command that uses the live announcement.
func (d *Dialogue) transfer(t *Terms, out []Decision) []Decision {
	if d.live.State != Offered && d.live.State != Accepted {
		return out
	}
	if d.unproven {
		a := d.live
		d.forget()
		return append(out, refuse(a, "taken up in its middle: no command was answered yet"))
	}
	return d.want(t, out)
}

// want opens the live announcement, or has it wait for the login that is under way.
func (d *Dialogue) want(t *Terms, out []Decision) []Decision {
	switch {
	case d.mayOpen(t):
		d.live.State, d.wanted = Opened, false
		return append(out, Decision{Act: Open, Announcement: d.live})
	case d.lettingIn():
		d.wanted = true
		return out
	}
	a := d.live
	d.forget()
	return append(out, refuse(a, nobody))
}

const nobody = "nobody is logged in"

// mayOpen reports whether the server has greeted, and the login, where one is needed, is
// there and stays.
func (d *Dialogue) mayOpen(t *Terms) bool {
	return d.phase == talking && (!t.RequireLogin || d.loggedIn && !d.due.has(user) && !d.due.has(rein))
}

// lettingIn reports whether a reply is due that may let the client in.
func (d *Dialogue) lettingIn() bool { return d.phase == waiting || d.due.has(user) || d.due.has(login) }

// admits checks an announcement against the rules, and says why it fails them.
func (d *Dialogue) admits(t *Terms, a Announcement) (refusal Decision, ok bool) {
	switch port := a.At.Port(); {
	case !slices.Contains(t.Modes, a.Mode):
		return refuse(a, a.Mode.String()+" mode is not allowed"), false
	case port < t.MinPort:
		refusal = refuse(a, "a port below the lowest allowed")
		refusal.Violation = true
		return refusal, false
	case slices.Contains(t.DenyPorts, port):
		refusal = refuse(a, "a denied port")
		refusal.Violation = true
		return refusal, false
	case !d.mayOpen(t) && !d.lettingIn():
		return refuse(a, nobody), false
	}
	return Decision{}, true
}

func refuse(a Announcement, reason string) Decision {
	return Decision{Act: Refused, Reason: reason, Announcement: a}
}

// close closes the live announcement. Where it is to stand it waits, closed, for the
// next transfer command.
func (d *Dialogue) close(reason string, stands bool, out []Decision) []Decision {
	a := d.live
	if a.State == None {
		return out
	}
	stands = stands && !d.came
	d.forget()
	if stands {
		d.live, d.live.State = a, Accepted
	}
	return append(out, Decision{Act: Close, Reason: reason, Announcement: a, Standing: stands})
}

func (d *Dialogue) forget() { d.live, d.wanted, d.came = Announcement{}, false, false }
