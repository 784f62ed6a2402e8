package story

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// titles of transfers, by their commands.
var titles = map[string]string{"RETR": "Download of", "STOR": "Upload of", "LIST": "Listing of the directory"}

// tellTransfers tells what became of each announcement.
func (t *teller) tellTransfers(events []lab.Event) error {
	for _, s := range []*session{t.first, t.second} {
		for i, p := range s.packets {
			at, ok := p.announcement()
			if !ok || p.again {
				continue
			}
			hole, ok := pinhole(events, at)
			if !ok {
				return fmt.Errorf("ftpalg tells of no pinhole to %v", at)
			}
			if used := t.admitted(&hole); used != nil {
				hole.UsedAt = used.atGateway()
				s.annotatePacket(used, "lets it in: the pinhole is used, and gone")
			}
			t.Transfers = append(t.Transfers, Transfer{Title: s.title(i), Messages: t.messages(s, p, at), Pinhole: hole})
		}
	}
	return nil
}

// admitted returns the packet that has used the pinhole up, or nil.
func (t *teller) admitted(h *Pinhole) *packet {
	for _, p := range t.packets {
		if p.to == h.Destination && p.from.Addr() == h.Source && !p.dropped() {
			return p
		}
	}
	return nil
}

// title names the transfer that the i-th packet announces.
func (s *session) title(i int) string {
	for _, p := range s.packets[i:] {
		for _, line := range p.lines() {
			verb, name, _ := strings.Cut(line, " ")
			if title := titles[verb]; title != "" && p.to.Port() == 21 {
				return strings.TrimSpace(title + " " + name)
			}
		}
	}
	return "Transfer"
}

// messages returns what came to the gateway: of the control connection, the lines from
// the announcement to the last reply; of the data connection, every packet.
func (t *teller) messages(s *session, announcement *packet, at netip.AddrPort) []Message {
	var out []Message
	begun, done := false, false
	for _, p := range t.packets {
		begun = begun || p == announcement
		ours := p.from == s.client || p.to == s.client
		switch {
		case p.tcp == nil || !begun:
		case p.from == at || p.to == at:
			out = append(out, t.message(p, p.dataText()))
		case ours && len(p.payload()) > 0 && !done:
			out = append(out, t.message(p, strings.Join(p.lines(), " | ")))
			done = strings.HasPrefix(string(p.payload()), "226")
		}
	}
	slices.SortStableFunc(out, func(a, b Message) int { return a.Time.Compare(b.Time) })
	return out
}

func (t *teller) message(p *packet, text string) Message {
	if p.again {
		text += ", again"
	}
	m := Message{Time: p.atGateway(), Data: !p.control(), Text: text, Dropped: p.dropped()}
	switch name := t.host(p.from.Addr()); name {
	case "client":
		m.FromClient = true
	case "server":
	default:
		m.Sender = name
	}
	return m
}

// host names the host of an address.
func (s *Story) host(a netip.Addr) string {
	for _, h := range s.Hosts {
		if h.IPv4 == a {
			return h.Name
		}
	}
	return "unknown"
}

// dataText describes a packet to or from an announced address. One that is dropped may
// come from anywhere, and so names its sender.
func (p *packet) dataText() string {
	switch {
	case p.dropped():
		return fmt.Sprintf("%s %v -> %v", flags(p.tcp), p.from, p.to)
	case len(p.payload()) > 0:
		return fmt.Sprintf("%d bytes of data", len(p.payload()))
	case p.tcp.SYN:
		return fmt.Sprintf("%s %d -> %d", flags(p.tcp), p.from.Port(), p.to.Port())
	}
	return fmt.Sprintf("%s Seq=%d Ack=%d", flags(p.tcp), p.seq, p.ack)
}

// pinhole returns what the daemon's events tell of the pinhole to an address.
func pinhole(events []lab.Event, at netip.AddrPort) (h Pinhole, closed bool) {
	for _, e := range events {
		if netip.AddrPortFrom(e.Address, e.Port) != at {
			continue
		}
		switch e.Event {
		case "pinhole.used":
			h.FoundAt = e.Time
		case "pinhole.closed":
			h.Source, h.SourcePort, h.Destination = e.Source, e.SourcePort, at
			h.OpenedAt, h.ClosedAt, h.Reason = e.OpenedAt, e.Time, e.Reason
			return h, true
		}
	}
	return h, false
}
