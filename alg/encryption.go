package alg

import (
	"net/netip"
	"time"
)

// encryption is what is known of a dialogue after its AUTH was accepted, of a server to
// whose ports connections are then admitted. A login is not seen there: what bounds it is
// the server's own list of ports, and the kernel's count of connections per client.
type encryption struct {
	wanted  bool
	records [2]uint8 // bytes of a TLS record's header that each side has sent
	admits  bool
	id      uint32 // connection tracking's number of the control connection; 0: not known
	anew    timer
}

const (
	// admittedFor is how long a range stays admitted without another word.
	admittedFor = 60 * time.Second
	// admittedAnew is how often it is admitted anew while the control connection lives.
	admittedAnew = 20 * time.Second
)

// proving reports whether both sides have still to show that they speak TLS.
func (e *encryption) proving() bool { return e.wanted && !e.admits }

// secured lets go of a session whose dialogue is encrypted from here on. The packet
// filter diverts it no more, but for its end.
func (w *Worker) secured(s *session) {
	if w.Policy.DenyTLS { // the server accepted what was no AUTH any more
		w.tell(w.event(s, NotFTP, "a 234 to a command that no server knows"))
		w.giveUp(s, "not followed any more")
		return
	}
	if s.rules.FTPSPorts.Any() {
		w.tell(w.event(s, AuthTLS, "AUTH was accepted: the dialogue is encrypted, and its data connections cannot be helped, unless the server has ftps_ports"))
		w.change(s, Op{Kind: OpRelease, Flow: s.flow})
		w.giveUp(s, "encrypted")
		return
	}
	w.tell(w.event(s, AuthTLS, "AUTH was accepted: connections to the server's ftps_ports are admitted while the control connection lives"))
	s.encryption.wanted = true
}

// header is how many bytes of a record show that it is one of TLS.
const header = 3

// prove reads the first bytes of both sides after AUTH: they have to be TLS records
// (RFC 8446, section 5.1), a handshake or an alert, of version 3.x.
func (w *Worker) prove(s *session, d side, b []byte) {
	e := &s.encryption
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
			w.tell(w.event(s, NotFTP, "AUTH was accepted, but what follows is not TLS"))
			e.wanted = false
			w.giveUp(s, "not followed any more")
			return
		}
		e.records[d]++
	}
	if e.records[fromClient] < header || e.records[fromServer] < header {
		return
	}
	e.admits = true
	w.change(s, Op{Kind: OpRelease, Flow: s.flow})
	w.admit(s, true)
	if w.Flows != nil {
		if id, ok, err := w.Flows.ID(s.flow); err == nil && ok {
			e.id = id
		}
	}
}

// rangeOf is what is admitted for an encrypted session.
func (s *session) rangeOf() Range {
	return Range{Client: s.flow.Client.Addr(), Server: s.flow.Server.Addr(), Ports: s.rules.FTPSPorts}
}

func (w *Worker) admit(s *session, first bool) {
	r := s.rangeOf()
	if first {
		w.ranges[r]++
	}
	w.admitted.set(&s.encryption.anew, w.now.UnixNano())
	w.change(s, Op{Kind: OpAdmit, Range: r, Timeout: admittedFor})
}

// admitAnew goes on admitting, if connection tracking still has the control connection:
// its end may not have been seen.
func (w *Worker) admitAnew(s *session) {
	if e := &s.encryption; w.Flows != nil && e.id != 0 {
		if id, ok, err := w.Flows.ID(s.flow); err == nil && (!ok || id != e.id) {
			w.forget(s, "the control connection is gone")
			return
		}
	}
	w.idle.set(&s.life, w.now.UnixNano())
	w.admit(s, false)
}

// revoke ends what an encrypted session had admitted. What was admitted carries on.
func (w *Worker) revoke(s *session) {
	if !s.encryption.admits {
		return
	}
	s.encryption.admits = false
	r := s.rangeOf()
	if w.ranges[r]--; w.ranges[r] > 0 {
		return
	}
	delete(w.ranges, r)
	w.change(s, Op{Kind: OpRevoke, Range: r})
}

// Encrypted takes note of a connection to a port of a Range: one that was admitted, or
// one that was refused because its client had too many. It tells of those of this
// worker's sessions.
func (w *Worker) Encrypted(now time.Time, from, to netip.AddrPort, admitted bool) {
	r := Range{Client: from.Addr(), Server: to.Addr(), Ports: w.Policy.RulesFor(to.Addr()).FTPSPorts}
	if w.ranges[r] == 0 {
		return
	}
	e := Event{
		Time: now, Kind: FTPSAdmitted, Client: from, Server: to,
		Reason: "the server's ftps_ports", Pinhole: Pinhole{Mode: Passive, Source: r.Client, Dest: to},
	}
	if !admitted {
		e.Kind, e.Reason = FTPSRefused, "the client has too many connections to the server's ftps_ports"
	}
	w.Sink(e)
}
