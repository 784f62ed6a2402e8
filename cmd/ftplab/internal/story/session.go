package story

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// session is one control connection, with the data connections that it announced.
type session struct {
	client  netip.AddrPort
	packets []*packet // that the client sent or received
	told    []Packet  // the same, for the story
}

// sessions finds the control connections and their packets.
func sessions(packets []*packet, events []lab.Event) []*session {
	var all []*session
	of := map[netip.AddrPort]*session{} // by the client's end, of control and data connections
	for _, p := range packets {
		if p.control() && p.tcp.SYN && !p.tcp.ACK && of[p.from] == nil {
			of[p.from] = &session{client: p.from}
			all = append(all, of[p.from])
		}
		s := of[p.from]
		if s == nil {
			s = of[p.to]
		}
		if s == nil || p.tcp == nil || p.seen[atClient].Frame == nil {
			continue
		}
		if at, ok := p.announcement(); ok {
			of[at] = s
		}
		s.packets = append(s.packets, p)
	}
	for _, s := range all {
		slices.SortStableFunc(s.packets, func(a, b *packet) int { return atClientTime(a).Compare(atClientTime(b)) })
		s.told = tabulate(s.packets, atClientTime(s.packets[0]), atClientTime)
		s.annotate(events)
	}
	return all
}

// announcement returns where a PORT command says that its client listens.
func (p *packet) announcement() (at netip.AddrPort, ok bool) {
	if !p.control() || p.to.Port() != 21 {
		return at, false
	}
	return announced(p.payload())
}

// announced returns the address of a PORT command.
func announced(line []byte) (at netip.AddrPort, ok bool) {
	var a [4]byte
	var port [2]byte
	_, err := fmt.Sscanf(string(line), "PORT %d,%d,%d,%d,%d,%d", &a[0], &a[1], &a[2], &a[3], &port[0], &port[1])
	return netip.AddrPortFrom(netip.AddrFrom4(a), uint16(port[0])<<8|uint16(port[1])), err == nil
}

// find returns the index of the first packet from the i-th on whose Info begins like this.
func (s *session) find(i int, text string) (int, error) {
	for ; i < len(s.told); i++ {
		if strings.HasPrefix(s.told[i].Info, text) {
			return i, nil
		}
	}
	return len(s.told), fmt.Errorf("the captured dialogue of %v lacks %q", s.client, text)
}

// part returns the packets from the first whose Info begins with one text up to the
// next whose Info begins with the other. Empty texts are the beginning and the end.
func (s *session) part(from, to string) ([]Packet, error) {
	i, err := s.find(0, from)
	if err != nil || to == "" {
		return s.told[i:], err
	}
	j, err := s.find(i, to)
	return s.told[i:j:j], err
}

// annotate writes each event beside the last packet that the ALG had seen before.
func (s *session) annotate(events []lab.Event) {
	for _, e := range events {
		if e.Client != s.client {
			continue
		}
		found := 0
		for i, p := range s.packets {
			if t := p.atGateway(); p.control() && p.diverted() && !t.IsZero() && !t.After(e.Time) {
				found = i
			}
		}
		s.told[found].ALG = append(s.told[found].ALG, describe(e))
	}
}

// annotatePacket writes what was done with a packet beside it.
func (s *session) annotatePacket(p *packet, did string) {
	if i := slices.Index(s.packets, p); i >= 0 {
		s.told[i].ALG = append(s.told[i].ALG, did)
	}
}

// diverted reports whether a packet of a control connection is one that the divert
// rules give to the ALG: not a mere acknowledgement.
func (p *packet) diverted() bool {
	return len(p.payload()) > 0 || p.tcp.FIN || p.tcp.RST || p.tcp.SYN
}

// describe says in a few words what the ALG did.
func describe(e lab.Event) string {
	to := netip.AddrPortFrom(e.Address, e.Port)
	switch e.Event {
	case "session.start":
		return "follows this dialogue"
	case "session.end":
		return "forgets this dialogue"
	case "pinhole.announced":
		return fmt.Sprintf("notes: %v wants to be reached", to)
	case "pinhole.open":
		return fmt.Sprintf("opens: %s to %v, once", from(e.Source, e.SourcePort), to)
	case "pinhole.used":
		return "finds the pinhole used"
	case "pinhole.closed":
		return fmt.Sprintf("closes: %s", e.Reason)
	case "pinhole.refused", "violation":
		return fmt.Sprintf("refuses: %s", e.Reason)
	case "pinhole.missed":
		return fmt.Sprintf("sees a near miss: %s", e.Reason)
	case "session.passive_off":
		return fmt.Sprintf("believes no 227 and no 229 any more: %s", e.Reason)
	}
	if e.Reason == "" {
		return e.Event
	}
	return e.Event + ": " + e.Reason
}
