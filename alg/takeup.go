package alg

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg/dialogue"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// takeUp begins the session of a flow that is vouched for, but of which nothing else is
// known: the daemon crashed.
func (w *Worker) takeUp(flow Flow, d side, seg *tcp.Segment, p *Packet) *session {
	way := pathOf(p)
	if d == fromServer {
		way = path{way.server, way.client}
	}
	s := w.newSession(flow, way)
	if s == nil {
		return nil
	}
	s.talk = dialogue.TakenUp()
	s.stand()
	var numbers [2]uint32
	numbers[d], numbers[d.Other()] = seg.Seq, seg.Ack
	if p.Translated && w.Translations != nil {
		_, a, ok, err := w.Translations.Prepare(flow, true)
		if err != nil || !ok {
			s.forget("")
			return nil
		}
		numbers[d.Other()] = a[d.Other()].In(seg.Ack)
	}
	s.conn.TakeUp(numbers[fromClient], numbers[fromServer])
	s.text[fromServer].Lose()
	s.vouched = true
	w.handshaking.set(&s.life, w.clock()) // until something is proven
	return s
}

// vouch has connection tracking say, or say no more, that the session may be taken up
// again. It must not say so when the verdict passes that ends belief; that it says so
// can wait until after the verdict.
func (s *session) vouch() {
	if s.w.Flows == nil {
		return
	}
	switch trusted := !s.gone && s.talk.Trusted(); {
	case trusted && !s.vouched && !s.resumes():
		s.vouched = true
		s.w.trusted = append(s.w.trusted, s)
	case !trusted && s.vouched && !s.unproven():
		s.vouched = false
		s.tellVouch(s.w.Flows.Vouch(s.flow, false))
	}
}

// unproven reports whether a session lives by being vouched for.
func (s *session) unproven() bool { return !s.gone && s.talk.Resting() }

// vouchNow puts the label on a session that is still trusted.
func (s *session) vouchNow() {
	if s.gone || !s.talk.Trusted() {
		s.vouched = false
		return
	}
	if err := s.w.Flows.Vouch(s.flow, true); err != nil {
		s.vouched = false
		s.w.stats.Unvouched++
	}
}

func (s *session) tellVouch(err error) {
	if err != nil {
		e := s.event(Failure, "connection tracking would not take the label away")
		e.Err = err
		s.w.tell(e)
	}
}

// Saved is a session that was written down at a clean stop. It is taken up again only
// where its next bytes continue exactly what was read.
type Saved struct {
	Flow       Flow
	ID         uint32 // connection tracking's
	Translated bool   // its addresses are
	Data       []byte // the rest, for this version alone
}

// Suspend ends all sessions as Stop does, and returns those that can be taken up again.
func (w *Worker) Suspend(now time.Time) (Result, []Saved) {
	w.begin(now)
	var saved []Saved
	for _, s := range w.sessions {
		v, ok := s.suspend()
		switch {
		case ok:
			saved = append(saved, v)
		case s.unsure() && !s.condemned:
			// What was changed, or waits to be, is sent again, and would go out as it comes.
			s.condemn("ftpalg stops while it is not known whether a translated line arrived")
			s.resets()
		}
	}
	w.end()
	return w.res, saved
}

// suspend returns what a session needs to be taken up again. ok is false where it cannot be.
func (s *session) suspend() (_ Saved, ok bool) {
	if s.stuck() || s.w.Flows == nil || !s.talk.Greeted() || !s.conn.Handshake.Done() || s.ended() || s.holds {
		return Saved{}, false
	}
	id, ok, err := s.w.Flows.ID(s.flow)
	if err != nil || !ok {
		return Saved{}, false
	}
	kept := s.talk
	kept.Suspend()
	return Saved{Flow: s.flow, ID: id, Translated: s.nat != nil, Data: s.save(&kept)}, true
}

// save writes down what a session needs to go on.
func (s *session) save(talk *dialogue.Dialogue) []byte {
	b := binary.BigEndian.AppendUint32(nil, s.path.client)
	b = binary.BigEndian.AppendUint32(b, s.path.server)
	for _, part := range []interface {
		AppendBinary([]byte) ([]byte, error)
	}{talk, &s.conn.Streams[fromClient], &s.conn.Streams[fromServer], &s.text[fromClient], &s.text[fromServer], s.announced.pinhole.At} {
		at := len(b)
		b = append(b, 0, 0, 0, 0)
		b, _ = part.AppendBinary(b) // none of them fails
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return b
}

// resume takes up a session that was saved, if connection tracking still has the same
// flow. It returns nil where it does not.
func (w *Worker) resume(v Saved) *session {
	if w.Flows == nil || len(v.Data) < 8 {
		return nil
	}
	if id, ok, err := w.Flows.ID(v.Flow); err != nil || !ok || id != v.ID {
		return nil
	}
	way := path{binary.BigEndian.Uint32(v.Data), binary.BigEndian.Uint32(v.Data[4:])}
	s := w.newSession(v.Flow, way)
	if s == nil {
		return nil
	}
	var at netip.AddrPort // what stood for the announced end
	if err := s.load(v.Data[8:], &at); err != nil {
		s.forget("")
		return nil
	}
	s.stand()
	s.awaited = [2]bool{true, true}
	s.begun("taken up again")
	if s.gone {
		return nil
	}
	terms := s.terms()
	s.talk.Revise(&terms, nil)
	if !s.rescan() {
		s.forget("not followed any more")
		return nil
	}
	if live := s.talk.Live(); live.State != dialogue.None {
		s.anew(s.pinholeOf(live))
		s.announced.pinhole.At = at
		w.nearby[s.near()] = s
	}
	s.vouch()
	s.account()
	return s
}

// rescan looks for AUTH in the line that the client is in the middle of, where that is
// denied. It reports false where not all of the line is known.
func (s *session) rescan() bool {
	if !s.w.Policy.DenyTLS {
		return true
	}
	line, ok := s.text[fromClient].Begun()
	for _, b := range line {
		s.auth.Next(b)
	}
	return ok
}

// load reads what save wrote.
func (s *session) load(b []byte, at *netip.AddrPort) error {
	for _, part := range []interface{ UnmarshalBinary([]byte) error }{
		&s.talk, &s.conn.Streams[fromClient], &s.conn.Streams[fromServer], &s.text[fromClient], &s.text[fromServer], at,
	} {
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			return dialogue.ErrEncoding
		}
		n := binary.BigEndian.Uint32(b)
		if err := part.UnmarshalBinary(b[4 : 4+n]); err != nil {
			return err
		}
		b = b[4+n:]
	}
	if len(b) > 0 {
		return dialogue.ErrEncoding
	}
	s.conn.Handshake = tcp.TakenUp()
	return nil
}

// resumes reports whether a session was taken up again and has not gone on in both
// directions.
func (s *session) resumes() bool { return s.awaited[fromClient] || s.awaited[fromServer] }

// continues reports whether a segment of a session that was taken up goes on where the
// last daemon had stopped. Bytes that passed meanwhile were not read.
func (s *session) continues(d side, seg *tcp.Segment) bool {
	if !s.conn.Streams[d.Other()].Sent(seg.Ack) {
		return false
	}
	fresh, place := s.conn.Streams[d].Place(seg.Seq, seg.Payload)
	if place == tcp.Fresh && len(fresh) > 0 {
		s.awaited[d] = false
	}
	return place == tcp.Fresh || place == tcp.Old || keepAlive(seg, &s.conn.Streams[d])
}
