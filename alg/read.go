package alg

import (
	"bytes"
	"slices"

	"github.com/ftpalg/ftpalg/alg/dialogue"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// segment gives one segment of a session its verdict, or holds it back.
func (w *Worker) segment(s *session, d side, seg *tcp.Segment, id uint32) {
	if !s.conn.Handshake.Answered() {
		w.notHelped(s, tcp.ErrNoAnswer.Error())
	}
	if s.broken {
		s.replied = s.replied || d == fromServer
		w.foreign(s.flow, d, seg, id)
		return
	}
	if !s.conn.Streams[d].Near(seg.Seq) {
		w.stats.Outside++
		w.unread(id, false)
		return
	}
	if d == fromClient && len(seg.Payload) > 0 {
		if err := s.conn.Handshake.Confirm(seg.Ack, s.conn.Streams[fromServer].Next()); err != nil {
			w.notHelped(s, err.Error())
			w.foreign(s.flow, d, seg, id)
			return
		}
	}
	if s.resumes() && !s.continues(d, seg) {
		w.forget(s, "it did not go on where the daemon had stopped")
		w.accept(id, nil)
		return
	}
	if !s.talk.Followed() && !w.reads(s) {
		w.follow(s, d, seg, id)
		return
	}
	s.conn.Streams[d.Other()].Ack(seg.Ack)
	w.place(s, d, seg, id)
	w.retry(s)
	if !s.gone {
		w.touch(s)
		w.account(s)
	}
}

// reads reports whether the bytes of a session whose dialogue is not followed are of
// interest all the same.
func (w *Worker) reads(s *session) bool { return w.Policy.DenyTLS || s.encryption.proving() }

// follow watches a session whose bytes are not read for its end.
func (w *Worker) follow(s *session, d side, seg *tcp.Segment, id uint32) {
	if seg.Has(tcp.FIN) && s.talk.Encrypted() {
		w.forget(s, "FIN")
	}
	w.accept(id, nil)
}

// place acts on a segment by where it falls in its stream.
func (w *Worker) place(s *session, d side, seg *tcp.Segment, id uint32) {
	stream := &s.conn.Streams[d]
	fresh, place := stream.Place(seg.Seq, seg.Payload)
	switch place {
	case tcp.Ahead:
		switch {
		case len(seg.Payload) == 0 && !seg.Has(tcp.FIN):
			w.accept(id, nil)
		case stream.Gone(seg.Seq) && !w.Policy.DenyTLS:
			w.lose(s, d, seg.Seq)
			if s.gone {
				w.accept(id, nil)
				return
			}
			w.place(s, d, seg, id)
		default:
			w.hold(s, d, seg, id)
		}
		return
	case tcp.Forgotten:
		w.conflict(s, id)
		return
	case tcp.Conflict:
		if len(seg.Payload) != 1 || tcp.Diff(seg.Seq, stream.Next()) != -1 {
			w.conflict(s, id)
			return
		}
		// A keep-alive with a byte that means nothing (RFC 9293, section 3.8.4).
		seg.Payload[0], _ = stream.At(seg.Seq)
		stream.Restore(seg.Seq, seg.Payload)
		w.pass(seg, id, true)
		return
	}
	if len(fresh) > 0 && !w.mayTake(s, stream, len(fresh)) {
		w.stats.Unheld++ // it is sent again, and by then more will have been acknowledged
		w.drop(id)
		return
	}
	changed := stream.Restore(seg.Seq, seg.Payload[:len(seg.Payload)-len(fresh)])
	if len(fresh) > 0 && !stream.Finished() {
		at := stream.Next()
		changed = w.take(s, d, seg, fresh) || changed
		if s.condemned {
			stream.Skip(at) // none of it will arrive
			w.resets(s)
			w.drop(id)
			return
		}
	}
	if seg.Has(tcp.FIN) && !s.gone && seg.Seq+uint32(len(seg.Payload)) == stream.Next() && !stream.Finished() {
		stream.Finish()
		w.forget(s, "FIN")
	}
	w.pass(seg, id, changed)
}

// mayTake reports whether more bytes may pass, which have to be remembered until they are
// acknowledged. Pure acknowledgements are diverted only where so much waits for them.
func (w *Worker) mayTake(s *session, stream *tcp.Stream, n int) bool {
	unacked := stream.Unacked() + n
	if now := w.now.UnixNano(); unacked > watchFrom && now > s.watched {
		s.watched = now + int64(watchFor/2)
		w.change(s, Op{Kind: OpWatch, Flow: s.flow, Timeout: watchFor})
	}
	return unacked <= share && (unacked <= allowance || !w.Limits.crowded())
}

// take reads the next bytes of one side, and reports whether it changed any of them.
func (w *Worker) take(s *session, d side, seg *tcp.Segment, fresh []byte) (changed bool) {
	var arrived []byte // nil: as they go out
	if d == fromClient && w.Policy.DenyTLS {
		arrived = w.deny(s, fresh)
	}
	stream := &s.conn.Streams[d]
	if arrived == nil {
		stream.Take(fresh, nil)
		w.read(s, d, fresh, fresh, seg.Has(tcp.URG))
		return false
	}
	stream.Take(arrived, fresh)
	w.read(s, d, arrived, fresh, seg.Has(tcp.URG))
	return true
}

// refused is the letter that makes AUTH a command that servers refuse.
const refused = 'X'

// deny turns every AUTH in the client's next bytes into a command that servers refuse. It
// returns the bytes as they were, or nil where it changed none.
func (w *Worker) deny(s *session, fresh []byte) (arrived []byte) {
	for i, b := range fresh {
		if !s.auth.Next(b) {
			continue
		}
		if arrived == nil {
			arrived = bytes.Clone(fresh)
		}
		fresh[i] = refused
	}
	return arrived
}

// tellDenied tells of a line, or the part of one, that did not go out as it came.
func (w *Worker) tellDenied(s *session, came, went []byte) {
	if w.Policy.DenyTLS && !bytes.Equal(came, went) {
		w.chat(s, w.event(s, AuthTLS, "AUTH was turned into another command, as the policy has it"))
	}
}

// read takes the next bytes of one side, which go out as sent, to its lines, and each line
// to the dialogue.
func (w *Worker) read(s *session, d side, b, sent []byte, urgent bool) {
	end := dialogue.ClientsEnd
	if d == fromServer {
		end = dialogue.ServersEnd
	}
	terms := s.terms()
	for len(b) > 0 && !s.gone && s.talk.Followed() {
		if urgent {
			s.text[d].Urgent()
		}
		line, n, whole := s.text[d].Next(b, end)
		w.tellDenied(s, b[:n], sent[:n])
		b, sent = b[n:], sent[n:]
		if !whole {
			break
		}
		if d == fromClient {
			w.said = s.talk.Command(&terms, line, w.said[:0])
		} else {
			w.said = s.talk.Reply(&terms, line, w.said[:0])
		}
		w.decide(s, w.said)
	}
	if len(b) > 0 && !s.gone {
		w.tellDenied(s, b, sent)
		w.prove(s, d, b)
	}
	w.vouch(s)
}

// pass lets a segment pass, as it came or as it was changed.
func (w *Worker) pass(seg *tcp.Segment, id uint32, changed bool) {
	if !changed {
		w.accept(id, nil)
		return
	}
	seg.SetChecksum()
	w.accept(id, seg.Packet())
}

// conflict drops a segment whose bytes differ from those that passed, or cannot be
// compared with them. That proves nothing about either end: anybody may have sent it.
func (w *Worker) conflict(s *session, id uint32) {
	w.stats.Conflicts++
	w.chat(s, w.event(s, Violation, "bytes differ from those that passed before"))
	w.drop(id)
}

// lose notes that bytes of one side went by unseen, and begins anew after them.
func (w *Worker) lose(s *session, d side, next uint32) {
	w.stats.Lost++
	s.conn.Streams[d].Skip(next)
	s.text[d].Lose()
	if d == fromClient {
		w.decide(s, s.talk.LoseClient(nil))
	} else {
		w.decide(s, s.talk.LoseServer(nil))
	}
}

// hold keeps a packet back until what belongs before it has come.
func (w *Worker) hold(s *session, d side, seg *tcp.Segment, id uint32) {
	n, size := s.conn.Waiting()
	cost := holdCost(seg.Packet())
	if max(size, n*minHeld)+int(cost) > maxHeldFlow || !w.Limits.hold(s.client, cost) {
		w.stats.Unheld++
		w.drop(id)
		return
	}
	w.stats.Held++
	s.conn.Hold(tcp.Waiting{ID: id, Side: d, Packet: slices.Clone(seg.Packet()), Since: w.now.UnixNano()})
	if s.wait.list == nil {
		w.held.set(&s.wait, w.now.UnixNano())
	}
}

// holdCost is what a waiting packet counts against the limits.
func holdCost(packet []byte) int64 { return int64(max(len(packet), minHeld)) }

// retry goes through what waits until none of it has found its place.
func (w *Worker) retry(s *session) {
	for s.wait.list != nil && !s.gone && !s.condemned {
		h, ok := s.conn.Ready()
		if !ok {
			return
		}
		w.unhold(s, h)
		seg, _ := tcp.Parse(h.Packet)
		w.place(s, h.Side, &seg, h.ID)
		if n, _ := s.conn.Waiting(); n == 0 {
			s.wait.stop()
		}
	}
}

// expire drops what has waited in vain: TCP sends it again.
func (w *Worker) expire(s *session) {
	for {
		h, ok := s.conn.Expired(w.now.Add(-heldTime).UnixNano())
		if !ok {
			break
		}
		w.stats.Expired++
		w.unhold(s, h)
		w.drop(h.ID)
	}
	if n, _ := s.conn.Waiting(); n == 0 {
		s.wait.stop()
	}
}

// leaving is a packet that was held, of a session that has ended.
type leaving struct {
	id   uint32
	drop bool
}

// release lets go of what waits, in the order in which it came: it gets its verdict after
// the packet that it waited for.
func (w *Worker) release(s *session, drop bool) {
	for {
		h, ok := s.conn.Release()
		if !ok {
			break
		}
		w.unhold(s, h)
		w.leaving = append(w.leaving, leaving{h.ID, drop || w.Policy.DenyTLS})
	}
	s.wait.stop()
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

func (w *Worker) unhold(s *session, h tcp.Waiting) { w.Limits.release(s.client, holdCost(h.Packet)) }

// account counts the session's memory beyond its allowance.
func (w *Worker) account(s *session) {
	now := max(s.held()-allowance, 0)
	if now != s.memory {
		w.Limits.remember(int64(now - s.memory))
		s.memory = now
	}
}

// shrink gives back the memory of a session that is silent: all but a few bytes, and
// those that were not acknowledged.
func (w *Worker) shrink(s *session) {
	for d := range s.text {
		s.conn.Streams[d].Trim()
		s.text[d].Shorten()
	}
	w.account(s)
}
