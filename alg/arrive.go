package alg

import (
	"errors"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// packet sees to it that one packet gets its verdict, now or when it was held.
func (w *Worker) packet(p *Packet) {
	w.stats.Packets++
	seg, err := tcp.Parse(p.Data)
	if err != nil {
		w.stats.Unreadable++
		w.unread(p.ID, errors.Is(err, tcp.ErrExtensions) || errors.Is(err, tcp.ErrTruncated))
		return
	}
	if !w.AnyChecksum && !seg.ChecksumOK() && (!w.Offload || !seg.ChecksumPartial()) {
		w.stats.Checksum++
		w.unread(p.ID, false)
		return
	}
	flow, d, ok := w.orient(&seg)
	if !ok {
		w.accept(p.ID, nil)
		return
	}
	s := w.sessions[keyOf(flow)]
	if s == nil {
		if !w.helps(flow) {
			w.accept(p.ID, nil)
			return
		}
		s = w.known(flow, d, &seg, p)
	}
	if s != nil && p.Translated && s.nat == nil && w.Translations != nil && !s.condemned {
		s.translate()
	}
	const kinds = tcp.SYN | tcp.ACK | tcp.RST | tcp.FIN
	switch {
	case seg.Flags&kinds == tcp.SYN:
		if d == fromClient {
			w.syn(s, flow, &seg, p)
		} else {
			w.accept(p.ID, nil)
		}
	case s == nil:
		w.strange(flow, d, &seg, p)
	case s.condemned && seg.Has(tcp.RST): // one of ours, which passes here on a single host
		w.accept(p.ID, nil)
	case !w.Policy.Loose && !s.path.has(d, p) && seg.Has(tcp.RST) && (p.In == 0 || p.In == loopback):
		w.accept(p.ID, nil) // this host's own, to one of the ends
	case !w.Policy.Loose && !s.path.has(d, p):
		s.astray(p.ID)
	case s.condemned:
		s.resetsAt(d, &seg)
		w.drop(p.ID)
	case seg.Has(tcp.SYN):
		s.synAck(d, &seg, p.ID)
	case seg.Has(tcp.RST):
		s.rst(d, seg.Seq)
		w.accept(p.ID, nil)
	case !seg.Has(tcp.ACK): // no receiver reads it (RFC 9293, section 3.10.7.4)
		w.stats.Outside++
		w.unread(p.ID, false)
	default:
		s.segment(d, &seg, p.ID)
	}
}

func (w *Worker) helps(f Flow) bool { return w.Policy.Helps(f.Client.Addr(), f.Server.Addr()) }

// unread gives a packet that cannot be read its verdict. It passes, since no receiver
// reads it either, but for one that a receiver might, and where nothing may pass unread.
func (w *Worker) unread(id uint64, readable bool) {
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
		_, known := w.sessions[keyOf(down)]
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
		s.forget("replaced by a new connection")
		s = nil
	}
	if s == nil {
		if w.helps(flow) { // if not, the session that it replaces was from before a Revise
			s = w.newSession(flow, pathOf(p))
		}
		if s == nil {
			w.accept(p.ID, nil)
			return
		}
		w.handshaking.set(&s.life, w.clock())
	}
	if !w.Policy.Loose && !s.path.has(fromClient, p) {
		s.astray(p.ID)
		return
	}
	s.conn.MSS[fromClient] = seg.MSS()
	err := s.conn.Handshake.Open(seg.Seq)
	if len(seg.Payload) > 0 {
		err = errSYNData
	}
	if err != nil {
		s.notHelped(err.Error())
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
func (s *session) synAck(d side, seg *tcp.Segment, id uint64) {
	s.conn.MSS[d] = seg.MSS()
	if d == fromServer && seg.Has(tcp.ACK) {
		s.replied = true
		if err := s.conn.Answer(seg.Seq, seg.Ack); err != nil {
			s.notHelped(err.Error())
		}
	}
	s.w.accept(id, nil)
}

// notHelped has a session whose numbers are not certain pass. It stays until it is
// forgotten, so that no other SYN of the same handshake begins one.
func (s *session) notHelped(reason string) {
	s.broken = true
	s.decide(s.talk.End(reason, nil))
}

// known takes up the session of a flow that the last daemon knew, or returns nil. A packet
// that begins or ends a connection shows that it is not that flow any more, or soon will
// not be: what was known of it is forgotten.
func (w *Worker) known(flow Flow, d side, seg *tcp.Segment, p *Packet) *session {
	ends := seg.Flags&(tcp.SYN|tcp.RST|tcp.FIN) != 0
	if !ends && (len(seg.Payload) == 0 || !seg.Has(tcp.ACK)) {
		return nil
	}
	if w.Saved != nil {
		if v, ok := w.Saved(flow); ok && !ends {
			return w.resume(v)
		}
	}
	if w.Vouched != nil && w.Vouched(flow) && !ends && !w.Policy.DenyTLS {
		return w.takeUp(flow, d, seg, p)
	}
	return nil
}

// stranger is how a connection without a session is translated, as far as is known.
type stranger struct {
	seen  *Translation
	a     [2]Adjustment
	until int64
}

const (
	maxStrangers = 1024
	strangerFor  = 10 * time.Second
)

// strange gives a segment of a connection without a session its verdict. How one is
// translated changes no more, but the question may take a search of all that is tracked.
func (w *Worker) strange(flow Flow, d side, seg *tcp.Segment, p *Packet) {
	if !p.Translated || len(seg.Payload) == 0 || w.Translations == nil {
		w.foreign(flow, nil, [2]Adjustment{}, d, seg, p.ID)
		return
	}
	v, ok := w.strangers[keyOf(flow)]
	if !ok || w.clock() >= v.until {
		v = stranger{until: w.clock() + int64(strangerFor)}
		if t, a, ok, err := w.Translations.Prepare(flow, false); ok && err == nil {
			v.seen, v.a = &t, a
		}
		if len(w.strangers) >= maxStrangers {
			clear(w.strangers)
		}
		w.strangers[keyOf(flow)] = v
	}
	w.foreign(flow, v.seen, v.a, d, seg, p.ID)
}

// foreign gives a segment that is not read its verdict. What cannot be read must not pass
// where AUTH is denied, nor where a line of it was changed that may not have arrived, as it
// cannot be sent again as it was: such a connection is ended.
func (w *Worker) foreign(flow Flow, t *Translation, a [2]Adjustment, d side, seg *tcp.Segment, id uint64) {
	changed := a[d].Before != a[d].After && tcp.Diff(seg.Seq, a[d].Pos) <= 0
	if len(seg.Payload) == 0 || !changed && (!w.Policy.DenyTLS || d == fromServer) {
		w.accept(id, nil)
		return
	}
	var next [2]uint32
	next[d], next[d.Other()] = seg.Seq, a[d.Other()].In(seg.Ack)
	w.reset(flow, t, next, a)
	w.drop(id)
}

// foreign is the same for a segment of a session.
func (s *session) foreign(d side, seg *tcp.Segment, id uint64) {
	t, a := s.translation()
	s.w.foreign(s.flow, t, a, d, seg, id)
}

// astray drops a packet that came in elsewhere than its sender is.
func (s *session) astray(id uint64) {
	s.w.stats.Astray++
	if !s.strayed {
		s.strayed = true
		s.w.tell(s.event(Violation, "a packet in the name of one end came by another way than that end's (paths)"))
	}
	s.w.drop(id)
}

// rst acts on a RST. Only the exact number ends a connection at once (RFC 5961,
// section 3.2), but near is near enough to admit nothing for now.
func (s *session) rst(d side, seq uint32) {
	switch next := s.conn.Streams[d].Next(); {
	case !s.conn.Handshake.Answered() || s.talk.Encrypted():
		s.forget("RST")
	case !s.conn.Streams[d].Near(seq):
	case seq != next:
		s.decide(s.talk.Withdraw("RST", nil))
	default:
		s.forget("RST")
	}
}

// newSession returns nil where there is no room for one more.
func (w *Worker) newSession(flow Flow, way path) *session {
	delete(w.strangers, keyOf(flow))
	c := w.Limits.begin(flow.Client.Addr())
	if c == nil {
		// Those that have not begun, or that nobody has logged in to, make room.
		for _, l := range []*timers{&w.ending, &w.handshaking, &w.loggingIn} {
			if l.head != nil {
				l.head.session.forget("no room")
				break
			}
		}
		if c = w.Limits.begin(flow.Client.Addr()); c == nil {
			w.stats.Unhelped++
			return nil
		}
	}
	s := &session{w: w, id: w.next, flow: flow, path: way, client: c, rules: w.Policy.RulesFor(flow.Server.Addr()), announced: &nothing, counted: nowhere}
	w.next += uint64(max(w.Workers, 1))
	s.life.session, s.calm.session = s, s
	s.stand()
	w.sessions[keyOf(flow)] = s
	s.at = int32(len(w.listed))
	w.listed = append(w.listed, s)
	return s
}

func (s *session) timers() []*timer {
	all := []*timer{&s.life, &s.calm, &s.announced.until}
	if s.encryption != nil {
		all = append(all, &s.encryption.anew)
	}
	return all
}

// begun tells that a dialogue has begun, and counts it for its client.
func (s *session) begun(reason string) {
	if s.started {
		return
	}
	if s.greeted = s.greeted || s.w.Limits.greet(s.client); !s.greeted {
		s.w.stats.Unhelped++
		s.w.tell(s.event(Overload, "more sessions of one client than max_sessions_per_client allows"))
		s.talk.End("", nil)
		s.stand()
		s.giveUp("no room")
		return
	}
	s.started = true
	s.w.tell(s.event(SessionStart, reason))
	s.touch()
}

// touch notes that the session is alive.
func (s *session) touch() {
	now := s.w.clock()
	switch {
	case s.condemned, s.broken, s.life.list == &s.w.ending, !s.started:
	case !s.talk.Followed() && !s.talk.Encrypted():
		s.w.loggingIn.set(&s.life, now)
	case s.talk.LoggedIn() || !s.w.Policy.RequireLogin:
		s.w.idle.set(&s.life, now)
	case s.life.list != &s.w.loggingIn:
		s.w.loggingIn.set(&s.life, now)
	}
	s.w.calm.set(&s.calm, now)
}

// giveUp follows a session no more: its flow passes, unhelped. Where AUTH is denied it is
// still read for that.
func (s *session) giveUp(reason string) {
	switch {
	case s.broken: // until no other SYN of the same handshake can come
		s.vouch()
		s.w.handshaking.set(&s.life, s.w.clock())
		return
	case s.edited() && !s.condemned && !s.w.Policy.DenyTLS: // until what was changed has arrived
		s.vouch()
		s.w.ending.set(&s.life, s.w.clock())
		return
	case s.w.Policy.DenyTLS:
		s.greeted = s.greeted || s.w.Limits.greet(s.client)
		if s.greeted {
			s.vouch()
			s.w.loggingIn.set(&s.life, s.w.clock()) // it makes room for others
			return
		}
	}
	s.forget(reason)
}

// forget ends a session and all that is known of it.
func (s *session) forget(reason string) {
	if s.gone {
		return
	}
	s.decide(s.talk.Withdraw(reason, nil))
	s.talk.End(reason, nil)
	s.gone = true
	s.stand()
	s.vouch()
	s.revoke()
	s.over(reason)
	s.leaveOutside()
	s.release(s.condemned)
	for _, t := range s.timers() {
		t.stop()
	}
	if s.w.nearby[s.near()] == s {
		delete(s.w.nearby, s.near())
	}
	delete(s.w.sessions, keyOf(s.flow))
	s.w.unlist(s)
	s.w.Limits.remember(s.client, -int64(s.memory))
	s.w.Limits.end(s.client)
}

// condemn ends a connection: nothing of it passes any more.
func (s *session) condemn(reason string) {
	s.w.tell(s.event(Violation, reason))
	s.decide(s.talk.Withdraw(reason, nil))
	s.talk.End(reason, nil)
	s.condemned = true
	s.stand()
	s.revoke()
	s.w.ending.set(&s.life, s.w.clock())
	s.release(true)
}

// resets tells both ends that the connection is over.
func (s *session) resets() { s.resetsAt(fromClient, nil) }

// resetsAt is the same where a side has just said what it expects.
func (s *session) resetsAt(d side, seg *tcp.Segment) {
	t, a := s.translation()
	next := [2]uint32{s.conn.Streams[fromClient].Left(), s.conn.Streams[fromServer].Left()}
	if seg != nil && seg.Has(tcp.ACK) {
		next[d.Other()] = a[d.Other()].In(seg.Ack)
	}
	s.w.reset(s.flow, t, next, a)
}

// translation returns how the session is translated, if it is, and its adjustments.
func (s *session) translation() (t *Translation, a [2]Adjustment) {
	if s.nat != nil {
		t = &s.nat.Translation
	}
	for d := range a {
		a[d] = s.conn.Streams[d].InForce()
	}
	return t, a
}

// reset tells both ends that a connection is over. Nobody translates what is told: it is
// said in the names, and with the numbers, that each end knows.
func (w *Worker) reset(f Flow, t *Translation, next [2]uint32, a [2]Adjustment) {
	seen := Translation(f)
	if t != nil {
		seen = *t
	}
	c, v := fromClient, fromServer
	w.res.Inject = append(w.res.Inject,
		tcp.Reset(seen.Client, f.Server, a[c].Out(next[c]), next[v]),
		tcp.Reset(seen.Server, f.Client, a[v].Out(next[v]), next[c]))
}
