package alg

import (
	"bytes"
	"slices"

	"github.com/ftpalg/ftpalg/alg/dialogue"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// segment gives one segment of a session its verdict, or holds it back.
func (s *session) segment(d side, seg *tcp.Segment, id uint64) {
	if !s.conn.Handshake.Answered() {
		s.notHelped(tcp.ErrNoAnswer.Error())
	}
	if s.broken {
		s.replied = s.replied || d == fromServer
		s.foreign(d, seg, id)
		return
	}
	if !s.conn.Streams[d].Near(seg.Seq) {
		s.w.stats.Outside++
		s.w.unread(id, false)
		return
	}
	if d == fromClient && len(seg.Payload) > 0 {
		if err := s.conn.Confirm(seg.Ack); err != nil {
			s.notHelped(err.Error())
			s.foreign(d, seg, id)
			return
		}
	}
	if s.resumes() && !s.continues(d, seg) {
		const why = "it did not go on where the daemon had stopped"
		if s.unsure() {
			s.condemn(why)
			s.resets()
			s.w.drop(id)
			return
		}
		s.forget(why)
		s.foreign(d, seg, id)
		return
	}
	if !s.talk.Followed() && !s.reads() {
		s.follow(d, seg, id)
		return
	}
	if s.conn.Streams[d.Other()].Ack(seg.Ack) {
		s.decide(s.talk.Unread(nil))
	}
	if d == fromClient && seg.Has(tcp.URG) {
		s.urge(seg)
	}
	if s.gone {
		s.foreign(d, seg, id)
		return
	}
	s.place(d, seg, id)
	s.retry()
	if !s.gone {
		s.touch()
		s.account()
	}
}

// reads reports whether the bytes of a session whose dialogue is not followed are of
// interest all the same.
func (s *session) reads() bool { return s.w.Policy.DenyTLS || s.encryption.proving() || s.edited() }

// edited reports whether lines were changed in length, or have still to be: what is sent
// again must go out the same.
func (s *session) edited() bool {
	return s.nat != nil && !s.talk.Encrypted() && (s.conn.Streams[fromClient].Edited() || s.conn.Streams[fromServer].Edited())
}

// urge notes that a byte of the client is urgent: receivers take it out of the line, at
// that place or the one before (RFC 6093, section 2). Where AUTH is denied it is made to
// stay in.
func (s *session) urge(seg *tcp.Segment) {
	if s.w.Policy.DenyTLS {
		seg.ClearUrgent()
		return
	}
	if to := seg.Urgent(); !s.urgent || tcp.Diff(to, s.urgentTo) > 0 {
		s.urgent, s.urgentTo = true, to
	}
}

// follow watches a session whose bytes are not read for its end.
func (s *session) follow(d side, seg *tcp.Segment, id uint64) {
	if seg.Has(tcp.FIN) && s.talk.Encrypted() {
		s.forget("FIN")
	}
	s.w.accept(id, nil)
}

// place acts on a segment by where it falls in its stream.
func (s *session) place(d side, seg *tcp.Segment, id uint64) {
	stream := &s.conn.Streams[d]
	fresh, place := stream.Place(seg.Seq, seg.Payload)
	switch place {
	case tcp.Ahead:
		switch {
		case len(seg.Payload) == 0 && !seg.Has(tcp.FIN):
			s.w.pass(seg, id)
		case s.wentBy(stream, seg.Seq):
			s.lose(d, seg.Seq)
			switch {
			case s.condemned:
				s.resets()
				s.w.drop(id)
				return
			case s.gone:
				s.w.accept(id, nil)
				return
			}
			s.place(d, seg, id)
		default:
			s.hold(d, seg, id)
		}
		return
	case tcp.Forgotten:
		if s.unsure() { // the daemon that knew how it went out is gone
			s.condemn("a line of a translated connection was changed, and it is not known how")
			s.resetsAt(d, seg)
			s.w.drop(id)
			return
		}
		s.conflict(id)
		return
	case tcp.Conflict:
		if !keepAlive(seg, stream) {
			s.conflict(id)
			return
		}
		b, _ := stream.At(seg.Seq)
		seg.Replace(seg.Seq, []byte{b}, 1)
		s.w.pass(seg, id)
		return
	}
	if len(fresh) > 0 && !s.mayTake(stream, len(fresh)) {
		s.hold(d, seg, id) // until more has been acknowledged
		return
	}
	if len(fresh) > 0 && !stream.Finished() {
		at := stream.Next()
		s.take(d, fresh)
		if s.condemned {
			stream.Skip(at) // none of it will arrive
			s.resets()
			s.w.drop(id)
			return
		}
	}
	if seg.Has(tcp.FIN) && !s.gone && seg.Seq+uint32(len(seg.Payload)) == stream.Next() && !stream.Finished() {
		stream.Finish()
		s.finish()
	}
	s.send(d, seg, id)
	s.spare(d, len(fresh))
}

// wentBy reports whether the bytes before a number are taken for some that passed unread.
// Where nothing may, they are still to come: of a translated connection too, unless the
// receiver says that it has them.
func (s *session) wentBy(stream *tcp.Stream, seq uint32) bool {
	switch {
	case s.w.Policy.DenyTLS:
		return false
	case s.nat != nil:
		return stream.Claimed(seq)
	}
	return stream.Gone(seq)
}

// keepAlive reports whether a segment is one that only wants an answer: the byte in it was
// sent before, and means nothing (RFC 9293, section 3.8.4).
func keepAlive(seg *tcp.Segment, stream *tcp.Stream) bool {
	return len(seg.Payload) == 1 && tcp.Diff(seg.Seq, stream.Next()) == -1
}

// finish ends a session at the first FIN. Where AUTH is denied, and where lines were changed,
// it is read on: the other side has not finished, and what is lost behind the gateway is sent
// again after that, too.
func (s *session) finish() {
	if !s.w.Policy.DenyTLS && !s.edited() {
		s.forget("FIN")
		return
	}
	s.decide(s.talk.Withdraw("FIN", nil))
	s.talk.End("FIN", nil)
	s.stand()
	s.vouch()
	s.w.ending.set(&s.life, s.w.clock())
	if s.conn.Finished() {
		s.over("FIN")
	}
}

// over tells that a session has ended, and counts it no more for its client. It may be read on.
func (s *session) over(reason string) {
	if s.started {
		s.started = false
		s.w.tell(s.event(SessionEnd, reason))
	}
	if s.greeted {
		s.greeted = false
		s.w.Limits.leave(s.client)
	}
}

// mayTake reports whether more bytes may pass, which have to be remembered until they are
// acknowledged. Pure acknowledgements are diverted only where so much waits for them.
func (s *session) mayTake(stream *tcp.Stream, n int) bool {
	unacked := stream.Unacked() + n
	if unacked > watchFrom {
		s.watch()
	}
	// What nothing else waits for always may: else it would wait for ever.
	return stream.Unacked() == 0 || unacked <= share && (unacked <= allowance || !s.w.Limits.crowded(s.client))
}

// watch has pure acknowledgements diverted for a while.
func (s *session) watch() {
	if now := s.w.clock(); now > s.watched {
		s.watched = now + int64(watchFor/2)
		s.change(Op{Kind: OpWatch, Flow: s.flow, Timeout: watchFor})
	}
}

// take reads the next bytes of one side.
func (s *session) take(d side, fresh []byte) {
	stream := &s.conn.Streams[d]
	stream.Take(fresh)
	went := fresh
	if d == fromClient && s.w.Policy.DenyTLS {
		went = s.deny(fresh)
	}
	s.read(d, fresh, went)
}

// spare remembers no more than has to be of the next bytes of one side, where there is no
// room for more.
func (s *session) spare(d side, fresh int) {
	if fresh == 0 || !s.w.Limits.crowded(s.client) {
		return
	}
	s.text[d].Shorten()
	if fresh > oneSegment { // it had to pass; sent again it is dropped
		s.conn.Streams[d].Forget()
	}
}

// refused is the letter that makes AUTH a command that servers refuse.
const refused = 'X'

// deny turns every AUTH in the client's next bytes into a command that servers refuse. It
// returns the bytes as they are to go out.
func (s *session) deny(fresh []byte) []byte {
	went := fresh
	for i, b := range fresh {
		if !s.auth.Next(b) {
			continue
		}
		if &went[0] == &fresh[0] {
			went = bytes.Clone(fresh)
		}
		went[i] = refused
	}
	return went
}

// tellDenied tells of a line, or the part of one, that did not go out as it came.
func (s *session) tellDenied(came, went []byte) {
	if s.w.Policy.DenyTLS && !bytes.Equal(came, went) {
		s.chat(s.event(AuthTLS, "AUTH was turned into another command, as the policy has it"))
	}
}

// read takes the next bytes of one side, which go out as sent, to its lines, and each line
// to the dialogue. A line that announces what is translated goes out as another.
func (s *session) read(d side, b, sent []byte) {
	end := dialogue.ClientsEnd
	if d == fromServer {
		end = dialogue.ServersEnd
	}
	stream := &s.conn.Streams[d]
	terms := s.terms()
	for len(b) > 0 && !s.gone && s.talk.Followed() {
		if d == fromClient && s.urgent {
			at := stream.Next() - uint32(len(b)) // where the line goes on
			if s.urgent = tcp.Diff(at, s.urgentTo) <= 0; s.urgent {
				s.text[d].Urgent()
			}
		}
		line, n, whole := s.text[d].Next(b, end)
		came, went := b[:n], sent[:n]
		s.tellDenied(came, went)
		b, sent = b[n:], sent[n:]
		if !whole {
			if !bytes.Equal(came, went) || !s.unfinished(d) {
				stream.Settle(stream.Open()-n, nil)
				stream.Settle(n, went)
			}
			break
		}
		if d == fromClient {
			s.w.said = s.talk.Command(&terms, line, s.w.said[:0])
		} else {
			s.w.said = s.talk.Reply(&terms, line, s.w.said[:0])
		}
		s.decide(s.w.said)
		s.settle(d, line, came, went, stream.Open()-len(b))
	}
	if len(b) > 0 && !s.gone {
		s.tellDenied(b, sent)
		s.prove(d, b)
	}
	if len(b) > 0 {
		stream.Settle(stream.Open()-len(b), nil)
		stream.Settle(len(b), sent)
	}
	s.vouch()
}

// pass lets a segment pass, as it came or as it was changed.
func (w *Worker) pass(seg *tcp.Segment, id uint64) {
	if !seg.Changed() {
		w.accept(id, nil)
		return
	}
	seg.SetChecksum()
	w.accept(id, seg.Packet())
}

// conflict drops a segment whose bytes differ from those that passed, or cannot be
// compared with them. That proves nothing about either end: anybody may have sent it.
func (s *session) conflict(id uint64) {
	s.w.stats.Conflicts++
	s.chat(s.event(Violation, "bytes differ from those that passed before"))
	s.w.drop(id)
}

// lose notes that bytes of one side went by unseen, and begins anew after them.
func (s *session) lose(d side, next uint32) {
	s.w.stats.Lost++
	if s.nat != nil && s.conn.Streams[d].Unsure() {
		s.condemn("bytes of a translated connection were not read")
		return
	}
	s.conn.Streams[d].Skip(next)
	s.text[d].Lose()
	if d == fromClient {
		s.decide(s.talk.LoseClient(nil))
	} else {
		s.decide(s.talk.LoseServer(nil))
	}
}

// hold keeps a packet back until what belongs before it has come.
func (s *session) hold(d side, seg *tcp.Segment, id uint64) {
	n, size := s.conn.Waiting()
	cost := holdCost(seg.Packet())
	if seg.Changed() || max(size, n*minHeld)+int(cost) > maxHeldFlow || !s.w.Limits.hold(s.client, cost) {
		s.w.stats.Unheld++
		s.w.drop(id)
		return
	}
	s.w.stats.Held++
	s.conn.Hold(tcp.Waiting{ID: id, Side: d, Packet: slices.Clone(seg.Packet()), Since: s.w.clock()})
	if !s.holds {
		s.holds = true
		s.w.holding = append(s.w.holding, s)
	}
}

// holdCost is what a waiting packet counts against the limits.
func holdCost(packet []byte) int64 { return int64(max(len(packet), minHeld)) }

// retry goes through what waits until none of it has found its place.
func (s *session) retry() {
	for s.holds && !s.gone && !s.condemned {
		s.adjust(fromClient)
		s.adjust(fromServer)
		h, ok := s.conn.Ready()
		if !ok {
			return
		}
		waited, _ := s.conn.Waiting()
		s.unhold(h)
		seg, _ := tcp.Parse(h.Packet)
		s.place(h.Side, &seg, h.ID)
		if waits, _ := s.conn.Waiting(); waits > waited {
			return // it waits for an acknowledgement still
		}
	}
}

// expire drops what has waited in vain: TCP sends it again.
func (s *session) expire() {
	s.retry()
	for d, ok := s.conn.Overdue(s.w.clock() - int64(heldTime)); ok && !s.gone && !s.condemned; d, ok = s.conn.Overdue(s.w.clock() - int64(heldTime)) {
		s.late(d)
		s.retry()
	}
	for {
		h, ok := s.conn.Expired(s.w.clock() - int64(heldTime))
		if !ok {
			break
		}
		s.w.stats.Expired++
		s.unhold(h)
		s.w.drop(h.ID)
	}
	n, _ := s.conn.Waiting()
	s.holds = n > 0
}

// leaving is a packet that was held, of a session that has ended.
type leaving struct {
	id   uint64
	drop bool
}

// release lets go of what waits, in the order in which it came: it gets its verdict after
// the packet that it waited for.
func (s *session) release(drop bool) {
	for {
		h, ok := s.conn.Release()
		if !ok {
			break
		}
		s.unhold(h)
		s.w.leaving = append(s.w.leaving, leaving{h.ID, drop || s.w.Policy.DenyTLS || s.conn.Unsettled(&h)})
	}
	s.holds = false // the next tick takes it off the list
}

// leave gives what was let go of its verdict.
func (w *Worker) leave() {
	for _, l := range w.leaving {
		if l.drop {
			w.drop(l.id)
		} else {
			w.accept(l.id, nil)
		}
	}
	w.leaving = w.leaving[:0]
}

func (s *session) unhold(h tcp.Waiting) { s.w.Limits.release(s.client, holdCost(h.Packet)) }

// account counts the session's memory beyond its allowance.
func (s *session) account() {
	now := max(s.held()-allowance, 0)
	if now != s.memory {
		s.w.Limits.remember(s.client, int64(now-s.memory))
		s.memory = now
	}
}

// shrink gives back the memory of a session that is silent: all but a few bytes, and
// those that were not acknowledged.
func (s *session) shrink() {
	for d := range s.text {
		s.conn.Streams[d].Trim()
		s.text[d].Shorten()
	}
	s.account()
}
