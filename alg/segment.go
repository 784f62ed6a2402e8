package alg

import (
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// waiting is a packet that came before bytes that belong in front of it.
type waiting struct {
	id     uint32
	d      side
	packet []byte
	since  time.Time
}

// cost is what the packet counts against the limits.
func (h *waiting) cost() int64 { return int64(max(len(h.packet), minHeld)) }

// segment gives one segment of a session its verdict, or holds it back.
func (w *Worker) segment(s *session, d side, seg *tcp.Segment, id uint32) {
	if s.renewed(d, seg) {
		w.forget(s, "replaced by a new connection")
		if s = w.pickUp(s.flow, d, seg); s == nil {
			w.verdict(id, false, nil)
			return
		}
		s.login = loggedOut
	}
	switch s.phase {
	case opaque, unhelped, over:
		w.touch(s)
		w.follow(s, d, seg)
		w.verdict(id, false, nil)
		return
	case condemned:
		w.resets(s)
		w.verdict(id, true, nil)
		return
	}
	if !s.near(d, seg.Seq) {
		w.stats.Outside++
		w.verdict(id, false, nil)
		return
	}
	w.touch(s)
	if seg.Has(tcp.ACK) {
		w.acknowledge(s, d.other(), seg.Ack)
	}
	w.place(s, d, seg, id)
	if len(s.waiting) > 0 {
		w.retry(s)
	}
}

// acknowledge takes note of what a receiver says it has. It may have more than was
// seen here: with a queue that passes what it cannot hold, packets go by.
func (w *Worker) acknowledge(s *session, d side, ack uint32) {
	if !s.dirs[d].Ack(ack) && s.near(d, ack) && !s.dirs[d].finished {
		s.dirs[d].claimed = ack // a lie, unless its sender goes on from there
	}
}

// follow keeps up with the numbers of a session that is not read, to know its end.
func (w *Worker) follow(s *session, d side, seg *tcp.Segment) {
	dir := &s.dirs[d]
	if end := seg.Seq + seg.Len(); s.near(d, end) && tcp.Diff(end, dir.Next()) > 0 {
		dir.Skip(end)
	}
	dir.finished = dir.finished || seg.Has(tcp.FIN) && seg.Seq+seg.Len() == dir.Next()
	if s.finished() {
		w.end(s, "FIN")
	}
}

func (w *Worker) place(s *session, d side, seg *tcp.Segment, id uint32) {
	dir := &s.dirs[d]
	fresh, place := dir.Place(seg.Seq, seg.Payload)
	switch place {
	case tcp.Ahead:
		if len(seg.Payload) == 0 && !seg.Has(tcp.FIN) {
			w.verdict(id, false, nil)
			return
		}
		if dir.claimed != 0 && tcp.Diff(seg.Seq, dir.claimed) <= 0 || dir.expired > 1 && dir.stale == seg.Seq {
			// What is missing before it has arrived: the receiver says so, or this was sent
			// again and that was not. (Once proves nothing: RFC 8985, section 7.)
			w.lose(s, d, seg.Seq)
			w.place(s, d, seg, id)
			return
		}
		w.hold(s, d, seg, id)
		return
	case tcp.Forgotten:
		// A server may tell its client what it likes: it opens no more by it than it
		// could anyway. A client that is policed must not get past.
		if d == fromClient {
			w.stats.Conflicts++
			w.conflict(s, id)
			return
		}
	case tcp.Conflict:
		if len(seg.Payload) != 1 || tcp.Diff(seg.Seq, dir.Next()) != -1 {
			w.stats.Conflicts++
			w.conflict(s, id)
			return
		}
		// A keep-alive with a byte that means nothing (RFC 9293, section 3.8.4).
		seg.Payload[0], _ = dir.At(seg.Seq)
		dir.Apply(seg.Seq, seg.Payload)
		w.pass(seg, id, true)
		return
	}
	changed := dir.Apply(seg.Seq, seg.Payload)
	if len(fresh) > 0 && !dir.finished {
		at := dir.Next()
		dir.Take(fresh)
		dir.expired, dir.claimed = 0, 0
		dir.urgent = dir.urgent || seg.Has(tcp.URG)
		edited, ok := w.read(s, d, at, fresh)
		if s.phase == condemned {
			dir.Skip(at) // none of it will arrive
			w.resets(s)
			ok = false
		}
		if !ok {
			w.verdict(id, true, nil)
			return
		}
		changed = changed || edited
	}
	if seg.Has(tcp.FIN) && seg.Seq+uint32(len(seg.Payload)) == dir.Next() && !dir.finished {
		dir.Take([]byte{0})
		dir.finished = true
		w.end(s, "FIN")
	}
	w.pass(seg, id, changed)
}

func (w *Worker) pass(seg *tcp.Segment, id uint32, changed bool) {
	var data []byte
	if changed {
		seg.SetChecksum()
		data = seg.Packet()
	}
	w.verdict(id, false, data)
}

func (w *Worker) conflict(s *session, id uint32) {
	const reason = "bytes differ from those that passed before"
	if w.Policy.Reset {
		w.violate(s, reason)
		w.resets(s)
	} else if w.mayTell(s) {
		w.tell(w.event(s, Violation, reason))
	}
	w.verdict(id, true, nil)
}

// hold keeps a packet back until what belongs before it has come.
func (w *Worker) hold(s *session, d side, seg *tcp.Segment, id uint32) {
	h := waiting{id, d, slices.Clone(seg.Packet()), w.now}
	inHand := h.cost()
	for _, other := range s.waiting {
		inHand += other.cost()
	}
	if inHand > maxHeldFlow || !w.Limits.hold(s.client, h.cost()) {
		w.stats.Unheld++
		w.verdict(id, true, nil)
		return
	}
	w.stats.Held++
	s.waiting = append(s.waiting, h)
	w.held.set(&s.wait, w.now.UnixNano())
}

// retry goes through what waits until none of it has found its place.
func (w *Worker) retry(s *session) {
	for s.phase <= talking {
		i := slices.IndexFunc(s.waiting, func(h waiting) bool {
			seg, err := tcp.Parse(h.packet)
			return err == nil && tcp.Diff(seg.Seq, s.dirs[h.d].Next()) <= 0
		})
		if i < 0 {
			return
		}
		h := s.waiting[i]
		s.waiting = slices.Delete(s.waiting, i, i+1)
		w.unhold(s, h)
		seg, _ := tcp.Parse(h.packet)
		w.place(s, h.d, &seg, h.id)
	}
	w.passHeld(s)
}

// expireHeld drops what has waited in vain: TCP sends it again.
func (w *Worker) expireHeld(s *session) {
	s.waiting = slices.DeleteFunc(s.waiting, func(h waiting) bool {
		if w.now.Sub(h.since) < heldTime {
			return false
		}
		seg, _ := tcp.Parse(h.packet)
		dir := &s.dirs[h.d]
		switch {
		case dir.expired > 0 && seg.Seq == dir.stale:
			dir.expired++
		case dir.expired == 0 || tcp.Diff(seg.Seq, dir.stale) < 0:
			dir.expired, dir.stale = 1, seg.Seq
		}
		w.stats.Expired++
		w.Limits.release(s.client, h.cost())
		w.verdict(h.id, true, nil)
		return true
	})
	if len(s.waiting) == 0 {
		s.waiting = nil
		s.wait.stop()
	}
}

func (w *Worker) passHeld(s *session) { w.clearHeld(s, false) }
func (w *Worker) dropHeld(s *session) { w.clearHeld(s, true) }

func (w *Worker) clearHeld(s *session, drop bool) {
	for _, h := range s.waiting {
		w.unhold(s, h)
		w.verdict(h.id, drop, nil)
	}
	s.waiting = nil
	s.wait.stop()
}

func (w *Worker) unhold(s *session, h waiting) {
	w.Limits.release(s.client, h.cost())
	if len(s.waiting) == 0 {
		s.waiting = nil
		s.wait.stop()
	}
}
