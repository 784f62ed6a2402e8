package demo

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Story is what happened.
type Story struct {
	Sessions []Session
	Pinholes []Pinhole
}

// Session is one control connection, with the data connections of its transfers.
type Session struct {
	Title          string
	Client, Server netip.AddrPort
	Rows           []Row

	begin, end time.Time
}

// Row is one thing on the wire, and what the ALG did when it had seen it.
type Row struct {
	Time  time.Time
	After time.Duration // since the session's first packet
	Who   string        // "client", "server", or "data" for a data connection
	Text  string
	ALG   []string
}

// Pinhole is one opening of the firewall.
type Pinhole struct {
	Command  string         // that opened it
	From, To netip.AddrPort // of the connection that it admits
	Used     bool
	UsedIn   time.Duration // from its opening to the connection's first packet, as captured
	Lifetime time.Duration // from its opening to when the daemon knew it gone
	Reason   string        // why it was closed
}

// tell puts packets and events together.
func tell(conns []lab.Connection, events []lab.Event) *Story {
	s := &Story{}
	for _, c := range conns {
		if c.To.Port() == 21 && len(s.Sessions) < len(lab.Reference) {
			s.Sessions = append(s.Sessions, newSession(lab.Reference[len(s.Sessions)].Title, c))
		}
	}
	for _, c := range conns {
		if i := s.sessionOf(c); i >= 0 {
			s.Sessions[i].Rows = append(s.Sessions[i].Rows, dataRows(c)...)
		}
	}
	for i := range s.Sessions {
		s.Sessions[i].order()
		s.Sessions[i].annotate(events)
	}
	for _, e := range events {
		if e.Event == "pinhole.closed" {
			s.Pinholes = append(s.Pinholes, s.pinhole(e, conns))
		}
	}
	return s
}

func newSession(title string, c lab.Connection) Session {
	s := Session{
		Title: title, Client: c.From, Server: c.To,
		begin: c.Segments[0].Time, end: c.Segments[len(c.Segments)-1].Time,
	}
	s.Rows = append(s.Rows, Row{Time: s.begin, Who: "client", Text: "SYN to port 21"})
	for _, l := range c.Lines() {
		who := "server"
		if l.Client {
			who = "client"
		}
		s.Rows = append(s.Rows, Row{Time: l.Time, Who: who, Text: l.Text})
	}
	return s
}

// sessionOf returns the session during which a data connection was opened, or -1.
func (s *Story) sessionOf(c lab.Connection) int {
	if c.To.Port() == 21 {
		return -1
	}
	at := c.Segments[0].Time
	return slices.IndexFunc(s.Sessions, func(s Session) bool { return at.After(s.begin) && at.Before(s.end) })
}

// dataRows returns what a data connection looked like: its beginning, the first of its
// payload, and how each end closed it.
func dataRows(c lab.Connection) []Row {
	rows := []Row{{Time: c.Segments[0].Time, Who: "data", Text: fmt.Sprintf("SYN %v to %v", c.From, c.To)}}
	for _, initiator := range []bool{true, false} {
		who := "client"
		if initiator {
			who = "server"
		}
		var sum int
		var first time.Time
		for _, s := range c.Segments {
			if s.Initiator != initiator {
				continue
			}
			if len(s.Payload) > 0 && sum == 0 {
				first = s.Time
			}
			sum += len(s.Payload)
			if s.FIN || s.RST {
				rows = append(rows, Row{Time: s.Time, Who: "data", Text: "the " + who + " closes"})
			}
		}
		if sum > 0 {
			rows = append(rows, Row{Time: first, Who: "data", Text: fmt.Sprintf("%d bytes from the %s", sum, who)})
		}
	}
	return rows
}

func (s *Session) order() {
	slices.SortStableFunc(s.Rows, func(a, b Row) int { return a.Time.Compare(b.Time) })
	for i := range s.Rows {
		s.Rows[i].After = s.Rows[i].Time.Sub(s.Rows[0].Time)
	}
}

// annotate writes each event beside the last thing on the wire before it, which is
// what the ALG had seen.
func (s *Session) annotate(events []lab.Event) {
	for _, e := range events {
		if e.Client != s.Client || e.Server != s.Server {
			continue
		}
		row := &s.Rows[s.rowBefore(e.Time)]
		row.ALG = append(row.ALG, describe(e))
	}
}

// rowBefore returns the last row of what was captured before t where it entered the
// gateway, on the control connection: data connections do not pass the ALG.
func (s *Session) rowBefore(t time.Time) int {
	found := 0
	for i, r := range s.Rows {
		if r.Who != "data" && !r.Time.After(t) {
			found = i
		}
	}
	return found
}

func (s *Story) pinhole(e lab.Event, conns []lab.Connection) Pinhole {
	p := Pinhole{
		From: netip.AddrPortFrom(e.Source, e.SourcePort), To: netip.AddrPortFrom(e.Address, e.Port),
		Used: e.Used, Lifetime: e.Lifetime, Reason: e.Reason,
	}
	for _, session := range s.Sessions {
		if session.Client == e.Client {
			p.Command = session.Rows[session.rowBefore(e.OpenedAt)].Text
		}
	}
	for _, c := range conns {
		if c.To == p.To && c.From.Addr() == p.From.Addr() {
			p.UsedIn = c.Segments[0].Time.Sub(e.OpenedAt)
		}
	}
	return p
}

// describe says in a few words what the ALG did.
func describe(e lab.Event) string {
	from, to := netip.AddrPortFrom(e.Source, e.SourcePort), netip.AddrPortFrom(e.Address, e.Port)
	switch e.Event {
	case "session.start":
		return "follows this dialogue"
	case "session.end":
		return "forgets this dialogue"
	case "pinhole.announced":
		return fmt.Sprintf("notes: %v wants to be reached", to)
	case "pinhole.open":
		return fmt.Sprintf("opens: %v to %v, once", from, to)
	case "pinhole.used":
		return "sees that the kernel admitted the connection, and no more"
	case "pinhole.closed":
		return fmt.Sprintf("closes: %s", e.Reason)
	case "pinhole.refused", "violation":
		return fmt.Sprintf("refuses: %s", e.Reason)
	}
	if e.Reason == "" {
		return e.Event
	}
	return e.Event + ": " + e.Reason
}
