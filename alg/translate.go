package alg

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/ftpalg/ftpalg/alg/dialogue"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// translated is what a session has whose addresses are translated.
type translated struct {
	Translation
	passed [2]bool   // the line that a side is in the middle of goes out as it comes
	older  [2]uint64 // the worker's last call of which a packet needs what was corrected before the last line
	at     outside   // taken for the live announcement; zero: none
}

// outside returns how the ends of a session see each other, the zero value where that is by
// their own addresses.
func (s *session) outside() Translation {
	if s.nat == nil {
		return Translation{}
	}
	return s.nat.Translation
}

// rewrites reports whether announcements of a mode have to name another address than they
// do: that by which the end that waits is known to the other.
func (t *translated) rewrites(m Mode, f Flow) bool {
	if m == Active {
		return t.Client.Addr() != f.Client.Addr()
	}
	return t.Server.Addr() != f.Server.Addr()
}

// announces is the mode of what a side announces.
func announces(d side) Mode {
	if d == fromClient {
		return Active
	}
	return Passive
}

// translate asks how a session's addresses are translated, and has the kernel ready to
// correct its sequence numbers. Where that fails, what is announced is not helped.
func (s *session) translate() {
	s.nat = &translated{Translation: Translation(s.flow)}
	t, a, ok, err := s.w.Translations.Prepare(s.flow, true)
	if err != nil && !ok {
		e := s.event(Failure, "the connection is translated, and broken")
		e.Err = err
		s.w.tell(e)
		s.condemn("its entry in connection tracking is lost")
		return
	}
	if err != nil || !ok {
		e := s.event(Failure, "the connection is translated, and its announcements cannot be")
		e.Err = err
		s.w.tell(e)
		s.decide(s.talk.End("its translation is not known", nil))
		return
	}
	s.nat.Translation = t
	s.announcedAnew()
	agree := [2]bool{s.conn.Streams[fromClient].Agrees(a[fromClient]), s.conn.Streams[fromServer].Agrees(a[fromServer])}
	if agree != [2]bool{true, true} {
		s.condemn("a line of a translated connection was changed, and it is not known whether it arrived")
	}
}

// announcedAnew completes the announcement of a session that was taken up again.
func (s *session) announcedAnew() {
	a := s.announced
	if s.talk.Live().State == dialogue.None {
		return
	}
	if s.nat.rewrites(a.pinhole.Mode, s.flow) {
		if e := (outside{a.pinhole.Source, a.pinhole.At}); !e.at.IsValid() || !s.w.Outside.take(e, a.pinhole.Dest) {
			s.decide(s.talk.Withdraw("what stood for it is not known any more", nil))
			return
		}
		s.nat.at = outside{a.pinhole.Source, a.pinhole.At}
	}
	a.pinhole.As = s.comesAs(a.pinhole)
}

// comesAs is the address that a data connection comes from for the end that waits, if it is
// not its own.
func (s *session) comesAs(p Pinhole) netip.Addr {
	comes := s.nat.Server.Addr()
	if p.Mode == Passive {
		comes = s.nat.Client.Addr()
	}
	if comes == p.Source {
		return netip.Addr{}
	}
	return comes
}

// outside is an end that stands for another: connections from a source to it are taken to
// the end that waits.
type outside struct {
	source netip.Addr
	at     netip.AddrPort
}

// Outside is what all workers share where addresses are translated: the ends that stand for
// others. It is safe for concurrent use. The zero value has none.
type Outside struct {
	mu    sync.Mutex
	taken map[outside]holders
}

// holders are those who have an end stand for another: sessions that announce it, and
// workers whose packet filter translates it.
type holders struct {
	dest netip.AddrPort
	n    int
}

// take has an end stand for another. It reports false where it stands for a third.
func (o *Outside) take(e outside, dest netip.AddrPort) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, ok := o.taken[e]
	if ok && h.dest != dest {
		return false
	}
	if o.taken == nil {
		o.taken = make(map[outside]holders)
	}
	o.taken[e] = holders{dest, h.n + 1}
	return true
}

func (o *Outside) release(e outside) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.taken[e]; h.n > 1 {
		o.taken[e] = holders{h.dest, h.n - 1}
		return
	}
	delete(o.taken, e)
}

// standFor keeps the end that stands for a pinhole's from others until the packet filter has
// let go of it: see [Worker.letGo].
func (w *Worker) standFor(p Pinhole) {
	if p.At.IsValid() && !w.standing[p] {
		w.standing[p] = w.Outside.take(outside{p.Source, p.At}, p.Dest)
	}
}

// letGo notes that the packet filter translates for a pinhole no more.
func (w *Worker) letGo(p Pinhole) {
	if w.standing[p] && w.pinholes[p] == 0 {
		delete(w.standing, p)
		w.Outside.release(outside{p.Source, p.At})
	}
}

// The ports of which one stands for the announced one where that is taken: those that no
// service has (RFC 6335, section 6).
const (
	firstDynamic = 49152
	dynamic      = 1 << 14
	tries        = 32
)

// outsideOf completes the pinhole of a translated session: with where its connection is
// addressed to, and where it comes from for the end that waits. ok is false where no port is
// to be had.
func (s *session) outsideOf(p Pinhole) (_ Pinhole, ok bool) {
	if s.nat == nil {
		return p, true
	}
	s.leaveOutside() // of one that was forgotten and not closed: nobody was logged in
	p.As = s.comesAs(p)
	if !s.nat.rewrites(p.Mode, s.flow) {
		return p, true
	}
	waits, port := s.nat.Client.Addr(), p.Dest.Port()
	if p.Mode == Passive {
		waits = s.nat.Server.Addr()
	}
	for range tries {
		e := outside{p.Source, netip.AddrPortFrom(waits, port)}
		if s.w.Outside.take(e, p.Dest) {
			free, err := s.w.Translations.Free(p.Source, p.SourcePorts, e.at)
			if free && err == nil {
				s.nat.at = e
				p.At = e.at
				return p, true
			}
			s.w.Outside.release(e)
		}
		port = firstDynamic + uint16(rand.N(dynamic)) //nolint:gosec // which one is told to everybody
	}
	return p, false
}

// leaveOutside gives up the end that stood for the announced one.
func (s *session) leaveOutside() {
	if s.nat != nil && s.nat.at != (outside{}) {
		s.w.Outside.release(s.nat.at)
		s.nat.at = outside{}
	}
}

// unfinished reports whether a line that is not whole yet must not go on before it is: it
// may become one that has to be changed.
func (s *session) unfinished(d side) bool {
	if s.nat == nil || s.nat.passed[d] || !s.nat.rewrites(announces(d), s.flow) {
		return false
	}
	begun, all := s.text[d].Begun()
	return all && dialogue.MayAnnounce(announces(d), begun)
}

// settle has a whole line go out, of which the last n bytes have not yet: as went, or as
// another line where it made an announcement that is translated.
func (s *session) settle(d side, line dialogue.Line, came, went []byte, n int) {
	stream := &s.conn.Streams[d]
	if s.nat != nil {
		was := s.nat.passed[d]
		s.nat.passed[d] = false
		if at := s.rewritten(d); at.IsValid() {
			if !was && bytes.Equal(came, went) && s.instead(d, line, n, at) {
				return
			}
			s.decide(s.talk.Withdraw("its line had gone out before it was whole", nil))
		}
		if n > len(went) {
			stream.Settle(n-len(went), nil)
		}
	}
	stream.Settle(len(went), went)
}

// rewritten returns the address that the line just read has to announce in place of its own.
func (s *session) rewritten(d side) (at netip.AddrPort) {
	for i := range s.w.said {
		if s.w.said[i].Act == dialogue.Announced && s.w.said[i].Announcement.Mode == announces(d) {
			at = s.nat.at.at
		}
	}
	return at
}

// instead has a line go out that announces another address. It reports false where what
// went out of it already would differ.
func (s *session) instead(d side, line dialogue.Line, n int, at netip.AddrPort) bool {
	ended := "\n"
	if d == fromServer {
		ended = "\r\n"
	}
	came := append(bytes.Clone(line.Text), ended...)
	other := append(dialogue.Announcement{Mode: announces(d)}.Instead(nil, line.Text, at), ended...)
	gone, first, last := len(came)-n, 0, 0
	for first < min(len(came), len(other)) && came[first] == other[first] {
		first++
	}
	for last < min(len(came), len(other))-first && came[len(came)-1-last] == other[len(other)-1-last] {
		last++
	}
	if gone < 0 || first < gone {
		return false
	}
	stream := &s.conn.Streams[d]
	stream.Settle(first-gone, nil)
	stream.Settle(len(came)-first-last, other[first:len(other)-last])
	stream.Settle(last, nil)
	return true
}

// adjust has the kernel correct the numbers of what follows a line whose length was
// changed, before that line goes out.
func (s *session) adjust(d side) {
	stream := &s.conn.Streams[d]
	if stream.Settled() || stream.Open() > 0 {
		return
	}
	a, ready := stream.Adjustment()
	if !ready {
		s.watch()
		return
	}
	if s.nat.older[d] == s.w.calls { // it goes out with its verdict, after this call
		return
	}
	if err := s.w.Translations.Adjust(s.flow, s.nat.Translation, d, a); err != nil {
		e := s.event(Failure, "connection tracking would not correct the sequence numbers")
		e.Err = err
		s.chat(e)
		s.abandon(d, "its line could not be changed")
		return
	}
	stream.Adjust()
}

// abandon has all go out as it came that waits to be changed.
func (s *session) abandon(d side, reason string) {
	if s.w.Policy.DenyTLS { // what was changed for that would go out as it came, too
		s.condemn(reason)
		return
	}
	s.conn.Streams[d].Abandon()
	s.decide(s.talk.Withdraw(reason, nil))
}

// late lets go of what has waited too long to be changed: of a line that does not end, or
// the receiver's word that it has the last one.
func (s *session) late(d side) {
	stream := &s.conn.Streams[d]
	switch {
	case stream.Open() > 0:
		s.nat.passed[d] = true
		stream.Settle(stream.Open(), nil)
		s.chat(s.event(PinholeRefused, "the line of an announcement did not end in time to be translated"))
	case !stream.Settled():
		s.abandon(d, "the last change of length was not acknowledged in time")
	}
}

// stuck reports whether something waits to be changed, or may have to be.
func (s *session) stuck() bool {
	return s.nat != nil && (s.conn.Streams[fromClient].Stuck() || s.conn.Streams[fromServer].Stuck())
}

// unsure reports whether a line was changed in length, or waits to be, that may not have
// arrived: who does not know how cannot have it sent again.
func (s *session) unsure() bool {
	return s.stuck() || s.nat != nil && (s.conn.Streams[fromClient].Unsure() || s.conn.Streams[fromServer].Unsure())
}

// send lets a segment go on as it is to go out, or has it wait until that is known.
func (s *session) send(d side, seg *tcp.Segment, id uint64) {
	stream := &s.conn.Streams[d]
	s.adjust(d)
	n := len(seg.Payload)
	if (n > 0 || seg.Has(tcp.FIN)) && stream.Reaches(seg.Seq, n) {
		if s.gone || s.condemned {
			s.w.drop(id)
		} else {
			s.hold(d, seg, id)
		}
		return
	}
	stream.Leave(seg.Seq + seg.Len())
	at, out, same := stream.Out(seg.Seq, n)
	if s.nat != nil && !stream.InForce().Level(at) {
		s.nat.older[d] = s.w.calls
	}
	if !same && (at != seg.Seq || !bytes.Equal(out, seg.Payload)) {
		seg.Replace(at, out, s.conn.Room(d))
	}
	s.w.pass(seg, id)
}
