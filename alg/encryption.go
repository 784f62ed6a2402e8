package alg

import (
	"net/netip"
	"time"
)

// encryption is what is known of a dialogue after its AUTH was accepted, of a server to
// whose ports connections are then admitted. A login is not seen there: what bounds it is
// the server's own list of ports, and the kernel's count of connections per client.
type encryption struct {
	records [2]uint8 // bytes of a TLS record's header that each side has sent
	admits  bool
	id      uint32 // connection tracking's number of the control connection; 0: not known
	anew    timer
}

const (
	// admittedFor is how long a range stays admitted without another word.
	admittedFor = 15 * time.Second
	// admittedAnew is how often it is admitted anew while the control connection lives.
	admittedAnew = 5 * time.Second
)

// proving reports whether both sides have still to show that they speak TLS.
func (e *encryption) proving() bool { return e != nil && !e.admits }

// secured lets go of a session whose dialogue is encrypted from here on. The packet
// filter diverts it no more, but for its end.
func (s *session) secured(tls bool) {
	if s.w.Policy.DenyTLS { // the server accepted what was no AUTH any more
		s.w.tell(s.event(NotFTP, "a 234 to a command that no server knows"))
		s.giveUp("not followed any more")
		return
	}
	if s.rules.FTPSPorts == (Ports{}) || !tls { // none are named, or it is not TLS
		s.w.tell(s.event(AuthTLS, "AUTH was accepted: the dialogue is encrypted, and its data connections cannot be helped, unless the server has ftps_ports"+s.ownAddress()))
		s.change(Op{Kind: OpRelease, Flow: s.flow})
		s.giveUp("encrypted")
		return
	}
	s.w.tell(s.event(AuthTLS, "AUTH was accepted: connections to the server's ftps_ports are admitted while the control connection lives"+s.ownAddress()))
	s.encryption = &encryption{anew: timer{session: s}}
}

// ownAddress says what an encrypted dialogue needs beyond that whose server is behind a
// translation: nobody can rewrite what it announces.
func (s *session) ownAddress() string {
	if s.nat == nil || s.nat.Server.Addr() == s.flow.Server.Addr() {
		return ""
	}
	return "; as it is translated, the server itself has to announce its outside address (masquerade address), and the gateway has to forward these ports to it"
}

// header is how many bytes of a record show that it is one of TLS.
const header = 3

// prove reads the first bytes of both sides after AUTH: they have to be TLS records
// (RFC 8446, section 5.1), a handshake or an alert, of version 3.x.
func (s *session) prove(d side, b []byte) {
	e := s.encryption
	if !e.proving() || !s.talk.Encrypted() {
		return
	}
	for _, c := range b[:min(len(b), header-int(e.records[d]))] {
		ok := true
		switch e.records[d] {
		case 0:
			ok = c == 22 || c == 21 && d == fromServer
		case 1:
			ok = c == 3
		case 2:
			ok = c <= 4
		}
		if !ok {
			s.w.tell(s.event(NotFTP, "AUTH was accepted, but what follows is not TLS"))
			s.encryption = nil
			s.giveUp("not followed any more")
			return
		}
		e.records[d]++
	}
	if e.records[fromClient] < header || e.records[fromServer] < header {
		return
	}
	e.admits = true
	s.change(Op{Kind: OpRelease, Flow: s.flow})
	s.admit(true)
	if s.w.Flows != nil {
		if id, ok, err := s.w.Flows.ID(s.flow); err == nil && ok {
			e.id = id
		}
	}
}

// rangeOf is what is admitted for an encrypted session.
func (s *session) rangeOf() Range {
	return Range{Client: s.flow.Client.Addr(), Server: s.flow.Server.Addr(), Ports: s.rules.FTPSPorts}
}

func (s *session) admit(first bool) {
	r := s.rangeOf()
	if first {
		s.w.ranges[r]++
	}
	s.w.admitted.set(&s.encryption.anew, s.w.clock())
	s.change(Op{Kind: OpAdmit, Range: r, Timeout: admittedFor})
}

// admitAnew goes on admitting, if connection tracking still has the control connection:
// its end may not have been seen.
func (s *session) admitAnew() {
	if e := s.encryption; s.w.Flows != nil {
		id, ok, err := s.w.Flows.ID(s.flow)
		if err == nil && (!ok || e.id != 0 && id != e.id) {
			s.forget("the control connection is gone")
			return
		}
		if err == nil {
			e.id = id
		}
	}
	s.w.idle.set(&s.life, s.w.clock())
	s.admit(false)
}

// revoke ends what an encrypted session had admitted. What was admitted carries on.
func (s *session) revoke() {
	if s.encryption == nil || !s.encryption.admits {
		return
	}
	s.encryption.admits = false
	r := s.rangeOf()
	if s.w.ranges[r]--; s.w.ranges[r] > 0 {
		return
	}
	delete(s.w.ranges, r)
	s.change(Op{Kind: OpRevoke, Range: r})
}

// Encrypted is the event of a connection to a port of a Range: one that was admitted, or
// one that was refused because its client had too many.
func Encrypted(now time.Time, from, to netip.AddrPort, admitted bool) Event {
	e := Event{
		Time: now, Kind: FTPSAdmitted, Client: from, Server: to,
		Reason: "the server's ftps_ports", Pinhole: Pinhole{Mode: Passive, Source: from.Addr(), Dest: to},
	}
	if !admitted {
		e.Kind, e.Reason = FTPSRefused, "the client has too many connections to the server's ftps_ports"
	}
	return e
}
