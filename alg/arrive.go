package alg

import (
	"errors"
	"slices"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// packet sees to it that one packet gets its verdict, now or when it was held.
func (w *Worker) packet(p *Packet) {
	w.stats.Packets++
	seg, err := tcp.Parse(p.Data)
	if err != nil {
		w.stats.Unreadable++
		w.unread(p.ID, err == tcp.ErrExtensions || err == tcp.ErrTruncated)
		return
	}
	if !w.AnyChecksum && !seg.ChecksumOK() && (!w.Offload || !seg.ChecksumPartial()) {
		w.stats.Checksum++
		w.unread(p.ID, false)
		return
	}
	flow, d, ok := w.orient(&seg)
	if !ok || !w.Policy.Helps(flow.Client.Addr(), flow.Server.Addr()) {
		w.accept(p.ID, nil)
		return
	}
	s := w.sessions[flow]
	const kinds = tcp.SYN | tcp.ACK | tcp.RST | tcp.FIN
	switch {
	case seg.Flags&kinds == tcp.SYN:
		if d == fromClient {
			w.syn(s, flow, &seg, p)
		} else {
			w.accept(p.ID, nil)
		}
	case s == nil:
		w.stranger(flow, d, &seg, p)
	case !w.Policy.Loose && !s.path.has(d, p):
		w.astray(s, p.ID)
	case s.condemned:
		w.resets(s)
		w.drop(p.ID)
	case seg.Has(tcp.SYN):
		w.synAck(s, d, &seg, p.ID)
	case seg.Has(tcp.RST):
		w.rst(s, d, seg.Seq)
		w.accept(p.ID, nil)
	case !seg.Has(tcp.ACK): // no receiver reads it (RFC 9293, section 3.10.7.4)
		w.stats.Outside++
		w.unread(p.ID, false)
	default:
		w.segment(s, d, &seg, p.ID)
	}
}

// unread gives a packet that cannot be read its verdict. It passes, since no receiver
// reads it either, but for one that a receiver might, and where nothing may pass unread.
func (w *Worker) unread(id uint32, readable bool) {
	if readable || w.Policy.DenyTLS {
		w.drop(id)
		return
	}
	w.accept(id, nil)
}

// orient tells which end of a segment is the server: the one at a control port,
// and where both are, the one that a known session says, or that answers a SYN.
func (w *Worker) orient(seg *tcp.Segment) (Flow, side, bool) {
	up := Flow{Client: seg.Src, Server: seg.Dst}
	down := Flow{Client: seg.Dst, Server: seg.Src}
	goesUp := slices.Contains(w.Policy.Ports, seg.Dst.Port())
	goesDown := slices.Contains(w.Policy.Ports, seg.Src.Port())
	if goesUp && goesDown {
		_, known := w.sessions[down]
		goesUp = !known && !seg.Has(tcp.SYN|tcp.ACK)
	}
	switch {
	case goesUp:
		return up, fromClient, true
	case goesDown:
		return down, fromServer, true
	}
	return Flow{}, 0, false
}

// syn acts on a SYN of a client, which the packet filter diverts where connection
// tracking calls it new. There a session begins, and nowhere else.
func (w *Worker) syn(s *session, flow Flow, seg *tcp.Segment, p *Packet) {
	if s != nil && (s.conn.Handshake.Answered() || s.broken && s.replied) {
		w.forget(s, "replaced by a new connection")
		s = nil
	}
	if s == nil {
		if s = w.newSession(flow, pathOf(p)); s == nil {
			w.accept(p.ID, nil)
			return
		}
		w.handshaking.set(&s.life, w.now.UnixNano())
	}
	if !w.Policy.Loose && !s.path.has(fromClient, p) {
		w.astray(s, p.ID)
		return
	}
	err := s.conn.Handshake.Open(seg.Seq)
	if len(seg.Payload) > 0 {
		err = errSYNData
	}
	if err != nil {
		w.notHelped(s, err.Error())
	}
	if len(seg.Payload) > 0 && w.Policy.DenyTLS {
		w.drop(p.ID) // it is sent again without
		return
	}
	w.accept(p.ID, nil)
}

// errSYNData: a server may read it before the handshake is done (RFC 7413).
var errSYNData = errors.New("data in the SYN")

// synAck acts on the server's answer.
func (w *Worker) synAck(s *session, d side, seg *tcp.Segment, id uint32) {
	if d == fromServer && seg.Has(tcp.ACK) {
		s.replied = true
		if err := s.conn.Answer(seg.Seq, seg.Ack); err != nil {
			w.notHelped(s, err.Error())
		}
	}
	w.accept(id, nil)
}

// notHelped has a session whose numbers are not certain pass. It stays until it is
// forgotten, so that no other SYN of the same handshake begins one.
func (w *Worker) notHelped(s *session, reason string) {
	s.broken = true
	w.decide(s, s.talk.End(reason, nil))
}

// stranger acts on a packet of a flow without a session. It passes, and opens nothing.
func (w *Worker) stranger(flow Flow, d side, seg *tcp.Segment, p *Packet) {
	if s := w.known(flow, d, seg, p); s != nil {
		w.segment(s, d, seg, p.ID)
		return
	}
	w.foreign(flow, d, seg, p.ID)
}

// known takes up the session of a flow that the last daemon knew, or returns nil.
func (w *Worker) known(flow Flow, d side, seg *tcp.Segment, p *Packet) *session {
	if len(seg.Payload) == 0 || seg.Flags&(tcp.SYN|tcp.RST|tcp.ACK) != tcp.ACK {
		return nil
	}
	if w.Saved != nil {
		if v, ok := w.Saved(flow); ok {
			return w.resume(v)
		}
	}
	if w.Vouched != nil && w.Vouched(flow) {
		return w.takeUp(flow, d, seg, p)
	}
	return nil
}

// foreign gives a segment that is not read its verdict. What cannot be read must not pass
// where AUTH is denied: such a connection is ended.
func (w *Worker) foreign(flow Flow, d side, seg *tcp.Segment, id uint32) {
	if w.Policy.DenyTLS && d == fromClient && len(seg.Payload) > 0 {
		w.res.Inject = append(w.res.Inject,
			tcp.Reset(flow.Client, flow.Server, seg.Seq, seg.Ack),
			tcp.Reset(flow.Server, flow.Client, seg.Ack, seg.Seq+seg.Len()))
		w.drop(id)
		return
	}
	w.accept(id, nil)
}

// astray drops a packet that came in elsewhere than its sender is.
func (w *Worker) astray(s *session, id uint32) {
	w.stats.Astray++
	if !s.strayed {
		s.strayed = true
		w.tell(w.event(s, Violation, "a packet in the name of one end came by another way than that end's (paths)"))
	}
	w.drop(id)
}

// rst acts on a RST. Only the exact number ends a connection at once (RFC 5961,
// section 3.2), but near is near enough to admit nothing for now.
func (w *Worker) rst(s *session, d side, seq uint32) {
	switch next := s.conn.Streams[d].Next(); {
	case !s.conn.Handshake.Answered() || s.talk.Encrypted():
		w.forget(s, "RST")
	case !s.conn.Streams[d].Near(seq):
	case seq != next:
		w.decide(s, s.talk.Withdraw("RST", nil))
	default:
		w.forget(s, "RST")
	}
}

// newSession returns nil where there is no room for one more.
func (w *Worker) newSession(flow Flow, way path) *session {
	if !w.Limits.begin() {
		// Those that have not begun, or that nobody has logged in to, make room.
		for _, l := range []*timers{&w.ending, &w.handshaking, &w.loggingIn} {
			if l.head != nil {
				w.forget(l.head.session, "no room")
				break
			}
		}
		if !w.Limits.begin() {
			w.stats.Unhelped++
			return nil
		}
	}
	w.last++
	s := &session{id: w.last, flow: flow, path: way, rules: w.Policy.RulesFor(flow.Server.Addr())}
	for _, t := range s.timers() {
		t.session = s
	}
	w.sessions[flow] = s
	return s
}

func (s *session) timers() []*timer {
	return []*timer{&s.life, &s.calm, &s.open, &s.wait, &s.encryption.anew}
}

// begun tells that a dialogue has begun, and counts it for its client.
func (w *Worker) begun(s *session, reason string) {
	if s.started {
		return
	}
	if s.client = w.Limits.greet(s.flow.Client.Addr()); s.client == nil {
		w.stats.Unhelped++
		w.tell(w.event(s, Overload, "more sessions of one client than max_sessions_per_client allows"))
		s.talk.End("", nil)
		w.giveUp(s, "no room")
		return
	}
	s.started = true
	w.tell(w.event(s, SessionStart, reason))
	w.touch(s)
}

// touch notes that the session is alive.
func (w *Worker) touch(s *session) {
	now := w.now.UnixNano()
	switch {
	case s.condemned, !s.started:
	case s.talk.LoggedIn() || !w.Policy.RequireLogin:
		w.idle.set(&s.life, now)
	case s.life.list != &w.loggingIn:
		w.loggingIn.set(&s.life, now)
	}
	w.calm.set(&s.calm, now)
}

// giveUp follows a session no more: its flow passes, unhelped. Where AUTH is denied it is
// still read for that.
func (w *Worker) giveUp(s *session, reason string) {
	if w.Policy.DenyTLS || s.broken {
		w.vouch(s)
		if !s.broken {
			w.idle.set(&s.life, w.now.UnixNano())
		}
		return
	}
	w.forget(s, reason)
}

// forget ends a session and all that is known of it.
func (w *Worker) forget(s *session, reason string) {
	if s.gone {
		return
	}
	w.decide(s, s.talk.Withdraw(reason, nil))
	s.talk.End(reason, nil)
	s.gone = true
	w.vouch(s)
	w.revoke(s)
	if s.started {
		w.tell(w.event(s, SessionEnd, reason))
	}
	w.release(s, s.condemned)
	for _, t := range s.timers() {
		t.stop()
	}
	if w.nearby[s.near()] == s {
		delete(w.nearby, s.near())
	}
	delete(w.sessions, s.flow)
	w.Limits.remember(-int64(s.memory))
	w.Limits.end(s.client)
}

// condemn ends a connection: nothing of it passes any more.
func (w *Worker) condemn(s *session, reason string) {
	w.tell(w.event(s, Violation, reason))
	w.decide(s, s.talk.Withdraw(reason, nil))
	s.talk.End(reason, nil)
	s.condemned = true
	w.ending.set(&s.life, w.now.UnixNano())
	w.release(s, true)
}

// resets tells both ends that the connection is over.
func (w *Worker) resets(s *session) {
	c, v := s.flow.Client, s.flow.Server
	up, down := s.conn.Streams[fromClient].Next(), s.conn.Streams[fromServer].Next()
	w.res.Inject = append(w.res.Inject, tcp.Reset(c, v, up, down), tcp.Reset(v, c, down, up))
}
