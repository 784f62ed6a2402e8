package alg

import (
	"slices"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// waiting is a packet that came before bytes that belong in front of it.
type waiting struct {
	id     uint32
	d      side
	packet []byte
}

// cost is what the packet counts against the limits.
func (h *waiting) cost() int64 { return int64(max(len(h.packet), minHeld)) }

// segment gives one segment of a session its verdict, or holds it back.
func (w *Worker) segment(s *session, d side, seg *tcp.Segment, id uint32) {
	switch s.phase {
	case opaque, unhelped, over:
		w.touch(s)
		w.verdict(id, Accept, nil)
		return
	case condemned:
		w.resets(s)
		w.verdict(id, Drop, nil)
		return
	}
	if !s.near(d, seg.Seq) {
		w.stats.Outside++
		w.verdict(id, Accept, nil)
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
		w.lose(s, d, ack)
	}
}

func (w *Worker) place(s *session, d side, seg *tcp.Segment, id uint32) {
	dir := &s.dirs[d]
	fresh, place := dir.Place(seg.Seq, seg.Payload)
	switch place {
	case tcp.Ahead:
		if dir.expired && dir.stale == seg.Seq {
			// It was sent again, not what is missing before it: that has arrived.
			w.lose(s, d, seg.Seq)
			w.place(s, d, seg, id)
			return
		}
		w.hold(s, d, seg, id)
		return
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
		dir.expired = false
		dir.urgent = dir.urgent || seg.Has(tcp.URG)
		edited, ok := w.read(s, d, at, fresh)
		if s.phase == condemned {
			dir.Skip(at) // none of it will arrive
			w.resets(s)
			ok = false
		}
		if !ok {
			w.verdict(id, Drop, nil)
			return
		}
		changed = changed || edited
	}
	if seg.Has(tcp.FIN) && seg.Seq+uint32(len(seg.Payload)) == dir.Next() && !dir.finished {
		dir.Skip(dir.Next() + 1)
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
	w.verdict(id, Accept, data)
}

func (w *Worker) conflict(s *session, id uint32) {
	const reason = "bytes differ from those that passed before"
	if w.Policy.Reset {
		w.violate(s, reason)
		w.resets(s)
	} else {
		w.tell(w.event(s, Violation, reason))
	}
	w.verdict(id, Drop, nil)
}

// hold keeps a packet back until what belongs before it has come.
func (w *Worker) hold(s *session, d side, seg *tcp.Segment, id uint32) {
	h := waiting{id, d, slices.Clone(seg.Packet())}
	inHand := h.cost()
	for _, other := range s.waiting {
		inHand += other.cost()
	}
	if inHand > maxHeldFlow || !w.Limits.hold(s.client, h.cost()) {
		w.stats.Unheld++
		w.verdict(id, Drop, nil)
		return
	}
	w.stats.Held++
	s.waiting = append(s.waiting, h)
	if s.wait.list == nil {
		w.held.set(&s.wait, w.now.UnixNano())
	}
}

// retry goes through what waits until none of it has found its place.
func (w *Worker) retry(s *session) {
	for s.phase <= dialogue {
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
	for i := range s.waiting {
		seg, _ := tcp.Parse(s.waiting[i].packet)
		dir := &s.dirs[s.waiting[i].d]
		if !dir.expired || tcp.Diff(seg.Seq, dir.stale) < 0 {
			dir.expired, dir.stale = true, seg.Seq
		}
		w.stats.Expired++
	}
	w.dropHeld(s)
}

func (w *Worker) passHeld(s *session) { w.clearHeld(s, Accept) }
func (w *Worker) dropHeld(s *session) { w.clearHeld(s, Drop) }

func (w *Worker) clearHeld(s *session, a Action) {
	for _, h := range s.waiting {
		w.unhold(s, h)
		w.verdict(h.id, a, nil)
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
