package alg

import (
	"github.com/ftpalg/ftpalg/alg/ftp"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// side is one end of a control connection, and the direction of what it sends.
type side uint8

const (
	fromClient side = iota
	fromServer
)

func (d side) other() side { return 1 - d }

// phase is how far a session has come. Those from opaque on are not read.
type phase uint8

const (
	greeting phase = iota // the server has not spoken yet
	talking
	opaque    // AUTH was accepted
	unhelped  // not FTP, or not followed any more
	over      // FIN or RST: lingers for what is sent again
	condemned // nothing of it passes
)

func (p phase) String() string {
	return [...]string{"greeting", "dialogue", "encrypted", "unhelped", "ended", "ended"}[p]
}

// login is what is known of the client's being logged in.
type login uint8

const (
	loggedOut login = iota
	assumed         // picked up in the middle: until the server says otherwise
	loggedIn
)

// session is one control connection. There are up to a hundred thousand.
type session struct {
	flow     Flow
	id       uint64
	client   *client
	phase    phase
	login    login
	proven   bool // a command and its reply were seen, or the greeting
	started  bool // the sink knows of it
	dirs     [2]direction
	replies  ftp.Replies
	queue    commands
	ann      announcement
	epsvAll  bool
	halfDone bool   // a reply has come since ABOR, but not two
	synData  bool   // only the client's SYN was seen, with data
	renewing bool   // a SYN/ACK came that may begin another connection
	newUp    uint32 // the client's first byte by the last SYN/ACK, if renewing
	refused  uint8  // refusals and conflicts since a connection was admitted
	waiting  []waiting

	life, calm, hole, wait timer
}

// direction is the stream of one side and the line that it is in the middle of.
type direction struct {
	tcp.Stream
	line     []byte
	long     bool  // the line is longer than is kept
	lost     bool  // its begin was not seen: it is none
	urgent   bool  // it has urgent data in it
	finished bool  // FIN
	expired  uint8 // how often a segment at stale waited in vain
	stale    uint32
	claimed  uint32 // up to here the receiver says it has bytes, beyond next; 0: it does not
}

// handshake reads a SYN that was diverted: one with data, or the server's.
func (w *Worker) handshake(s *session, flow Flow, d side, seg *tcp.Segment) {
	switch {
	case d == fromServer && seg.Has(tcp.ACK):
		if s != nil && !s.synData && !s.finished() {
			// Anybody can send one. That there is a new connection shows when the client
			// takes it up: see renewed.
			s.newUp, s.renewing = seg.Ack, true
			up := s.dirs[fromClient].Next()
			if s.phase == greeting && seg.Ack != up && s.near(fromClient, seg.Ack) {
				w.giveUp(s, NotFTP, "the server answered one SYN twice, and differently")
			}
			return
		}
		early := s != nil && tcp.Diff(seg.Ack, s.dirs[fromClient].Next()) > 0
		if s != nil {
			w.forget(s, "replaced by a new connection")
		}
		if s = w.newSession(flow); s == nil {
			return
		}
		s.dirs[fromClient].Start(seg.Ack)
		s.dirs[fromServer].Start(seg.Seq + 1)
		w.brief.set(&s.life, w.now.UnixNano())
		if early { // accepted data in a SYN (RFC 7413)
			w.giveUp(s, NotFTP, "the client spoke before the server's greeting")
		}
	case d == fromClient && len(seg.Payload) > 0 && s == nil:
		if s = w.newSession(flow); s == nil {
			return
		}
		s.synData = true
		s.dirs[fromClient].Start(seg.Seq + 1)
		w.brief.set(&s.life, w.now.UnixNano())
	case d == fromClient && seg.Has(tcp.ACK) && s == nil:
		// The end at the control port is the one that connected.
		if s = w.newSession(flow); s == nil {
			return
		}
		s.dirs[fromClient].Start(seg.Seq + 1)
		s.dirs[fromServer].Start(seg.Ack)
		w.giveUp(s, NotFTP, "the connection was not made to the control port")
	}
}

// finished reports whether both ends have said that they send nothing more.
func (s *session) finished() bool {
	return s.dirs[fromClient].finished && s.dirs[fromServer].finished
}

// renewed reports whether a client's segment belongs to the connection of the last
// SYN/ACK, and not to the one that is followed.
func (s *session) renewed(d side, seg *tcp.Segment) bool {
	return s.renewing && d == fromClient && seg.Seq == s.newUp && !s.near(d, seg.Seq)
}

// reset acts on a RST. Only the exact number ends a connection at once (RFC 5961,
// section 3.2), but near is near enough to admit nothing for now. That a server's RST
// arrives is not certain: what is flagged for good stays so.
func (w *Worker) reset(s *session, d side, seq uint32) {
	switch {
	case !s.near(d, seq):
	case seq != s.dirs[d].Next():
		w.dropAnnouncement(s, "RST")
	case d == fromClient || s.phase <= opaque:
		w.end(s, "RST")
		w.passHeld(s)
	}
}

// unknown begins the session of a flow that nothing is known of. When the worker is new,
// it began before that. Later it is one that was forgotten, or that had no room: what it
// said meanwhile was not read, so nothing that it says is believed.
func (w *Worker) unknown(flow Flow, d side, seg *tcp.Segment) *session {
	s := w.pickUp(flow, d, seg)
	if s != nil && (w.Vouched == nil || !w.Vouched(flow)) {
		w.giveUp(s, NotFTP, "its beginning was not seen")
	}
	return s
}

// pickUp begins a session whose handshake was not seen. The start of the segment is
// taken for the start of a line: what is no command there is found out at once.
func (w *Worker) pickUp(flow Flow, d side, seg *tcp.Segment) *session {
	s := w.newSession(flow)
	if s == nil {
		return nil
	}
	s.phase, s.login = talking, assumed
	s.dirs[d].Start(seg.Seq)
	s.dirs[d.other()].Start(seg.Ack)
	w.brief.set(&s.life, w.now.UnixNano()) // until something is proven
	return s
}

// end closes what a control connection leaves behind; the session lingers.
func (w *Worker) end(s *session, reason string) {
	if s.phase == over {
		return
	}
	w.dropAnnouncement(s, reason)
	w.finish(s, reason)
	s.phase = over
	w.brief.set(&s.life, w.now.UnixNano())
	s.freeLines()
}

// finish tells the end of a session whose beginning was told.
func (w *Worker) finish(s *session, reason string) {
	if s.started {
		s.started = false
		w.tell(w.event(s, SessionEnd, reason))
	}
}

// forget ends a session and all that is known of it.
func (w *Worker) forget(s *session, reason string) {
	w.dropAnnouncement(s, reason)
	w.finish(s, reason)
	w.passHeld(s)
	for _, t := range []*timer{&s.life, &s.calm, &s.hole, &s.wait} {
		t.stop()
	}
	delete(w.sessions, s.flow)
	w.Limits.end(s.flow.Client.Addr())
}

// giveUp stops reading a session for good. Nothing opens for it any more.
func (w *Worker) giveUp(s *session, k Kind, reason string) {
	w.dropAnnouncement(s, reason)
	w.tell(w.event(s, k, reason))
	s.phase = unhelped
	w.flagged.set(&s.life, w.now.UnixNano())
	s.freeLines()
}

// violate answers a proven violation as the policy has it.
func (w *Worker) violate(s *session, reason string) {
	if w.Policy.Reset {
		w.condemn(s, reason)
	}
}

// condemn ends a connection: nothing of it passes any more.
func (w *Worker) condemn(s *session, reason string) {
	w.dropAnnouncement(s, reason)
	w.tell(w.event(s, Violation, reason))
	w.finish(s, "reset")
	s.phase = condemned
	w.flagged.set(&s.life, w.now.UnixNano())
	w.dropHeld(s)
	s.freeLines()
}

// resets tells both ends that the connection is over.
func (w *Worker) resets(s *session) {
	c, v := s.flow.Client, s.flow.Server
	up, down := s.dirs[fromClient].Next(), s.dirs[fromServer].Next()
	w.res.Inject = append(w.res.Inject, tcp.Reset(c, v, up, down), tcp.Reset(v, c, down, up))
}

// lose notes that bytes of one side went by unseen, and begins anew after them. What was
// announced, and which replies are due, is not known any more; the login is: bytes that
// were not read prove nothing.
func (w *Worker) lose(s *session, d side, next uint32) {
	w.stats.Lost++
	w.dropAnnouncement(s, "bytes of the dialogue were not seen")
	if s.phase == greeting {
		w.giveUp(s, NotFTP, "the greeting was not seen")
		return
	}
	s.proven = false
	s.queue = commands{}
	dir := &s.dirs[d]
	dir.Skip(next)
	dir.line, dir.long, dir.lost = nil, false, true
	if d == fromServer {
		s.replies = ftp.Replies{}
	}
}

// near reports whether a number is in any window that the stream may have.
func (s *session) near(d side, seq uint32) bool {
	const window = 1 << 20
	diff := tcp.Diff(seq, s.dirs[d].Next())
	return -window <= diff && diff <= window
}

// touch notes that the session is alive.
func (w *Worker) touch(s *session) {
	now := w.now.UnixNano()
	if l := s.life.list; l == &w.idle || l == &w.flagged {
		l.set(&s.life, now)
	}
	w.calm.set(&s.calm, now)
}

func (s *session) freeLines() {
	for d := range s.dirs {
		s.dirs[d].line = nil
		s.dirs[d].Trim()
	}
}

// begun tells that a dialogue has begun.
func (w *Worker) begun(s *session, reason string) {
	s.proven = true
	w.idle.set(&s.life, w.now.UnixNano())
	if !s.started {
		s.started = true
		w.tell(w.event(s, SessionStart, reason))
	}
}
