package alg

import (
	"time"

	"github.com/ftpalg/ftpalg/alg/dialogue"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// side is one end of a control connection, and the direction of what it sends.
type side = tcp.Side

const (
	fromClient = tcp.Client
	fromServer = tcp.Server
)

// session is one control connection. There are up to a hundred thousand, and any of them
// may be forgotten at any time: a flow without a session passes, unhelped.
type session struct {
	w     *Worker
	flow  Flow
	id    uint64
	rules *Rules
	path  path

	conn tcp.Connection
	text [2]dialogue.Splitter // the line that each side is in the middle of
	talk dialogue.Dialogue
	auth dialogue.AuthScanner

	client     *client // where it is counted
	greeted    bool    // and counted as one of the client's
	started    bool    // the sink knows of it
	gone       bool    // it is forgotten
	holds      bool    // packets of it wait: it is in Worker.holding
	condemned  bool    // nothing of it passes any more
	strayed    bool    // that packets came by a wrong way was told
	broken     bool    // the numbers of the connection are not certain
	replied    bool    // the server has sent something
	urgent     bool    // a byte up to urgentTo is urgent
	urgentTo   uint32
	watched    int64   // until then the receiver's pure acknowledgements are diverted
	awaited    [2]bool // taken up after a clean stop: that side's next bytes must continue exactly
	vouched    bool    // connection tracking says that it may be taken up again
	counted    int8    // where, in Tally.Sessions
	at         int32   // where, in Worker.listed
	chatter    chatter
	memory     int         // counted in Limits
	announced  *announced  // &nothing until there is one
	nat        *translated // nil: as far as is known, no address is translated
	encryption *encryption // nil: AUTH was not accepted, or nothing is admitted after it

	life, calm timer
}

// key is a Flow in few bytes: a hundred thousand are the keys of a map.
type key struct {
	client, server         [16]byte
	clientPort, serverPort uint16
}

func keyOf(f Flow) key {
	return key{f.Client.Addr().As16(), f.Server.Addr().As16(), f.Client.Port(), f.Server.Port()}
}

// announced is what became of the last announcement.
type announced struct {
	until    timer // it admits
	pinhole  Pinhole
	stage    stage
	inForce  bool // the packet filter has acknowledged it
	looked   bool // a preliminary reply had us look whether it was used
	nearly   bool // a near miss was told
	openedAt time.Time
	timeout  time.Duration // how long the packet filter admits it, from then on
	lasted   time.Duration // how long it admitted, once it has stopped
	stopped  bool
	known    bool // there was an announcement
}

// nothing stands for the announcement of a session that had none. It never changes.
var nothing announced

// anew makes room for another announcement. Most sessions have many: the memory is that of the
// last one.
func (s *session) anew(p Pinhole) {
	if s.announced == &nothing {
		s.announced = new(announced)
	}
	s.announced.until.stop()
	*s.announced = announced{pinhole: p, known: true, until: timer{session: s}}
}

// stop notes when the pinhole stopped admitting, the first time.
func (a *announced) stop(now time.Time) {
	if !a.stopped {
		a.stopped, a.lasted = true, now.Sub(a.openedAt)
	}
}

// stage is how far an announcement has come.
type stage uint8

const (
	waiting stage = iota // for the server's consent, or for the transfer command
	open                 // the packet filter admits the connection, or will with this batch
	used                 // it came
	closed               // nothing is admitted any more
)

// stateOf returns the state of the announcement as the contract names it.
func (s *session) stateOf() string {
	if s.announced.stage == waiting {
		if s.talk.Live().State == dialogue.Offered {
			return "announced"
		}
		return "accepted"
	}
	return [...]string{open: "open", used: "used", closed: "closed"}[s.announced.stage]
}

// terms are what the session's dialogue is judged by.
func (s *session) terms() dialogue.Terms {
	return dialogue.Terms{Client: s.flow.Client.Addr(), Server: s.flow.Server.Addr(), Rules: s.rules}
}

// held returns the bytes of memory of streams and lines.
func (s *session) held() int {
	return s.conn.Held() + s.text[fromClient].Held() + s.text[fromServer].Held()
}

// ended reports whether nothing new is said any more.
func (s *session) ended() bool { return s.condemned || s.conn.Finished() }

// state is the session's state as the contract names it.
func (s *session) state() string {
	if s.ended() {
		return "ended"
	}
	return s.talk.State()
}

// path is the way that a session's packets take: the interfaces by which its SYN came in
// and left. With loose reverse-path filtering either end can send packets in the other's
// name; they come in elsewhere.
type path struct {
	client, server uint32 // the interface on the side of either end
}

// loopback is the index of the loopback interface in every network namespace
// (LOOPBACK_IFINDEX of include/net/flow.h).
const loopback = 1

// pathOf returns the way of a packet of the client. A packet from this host to itself is
// seen twice, on its way out and on its way in.
func pathOf(p *Packet) path {
	if p.In == loopback || p.Out == loopback {
		return path{loopback, loopback}
	}
	return path{p.In, p.Out}
}

// has reports whether a packet of one side takes this way: the client's come in where its
// SYN did; the server's come in where the SYN left, and leave where it came in. That they
// do shows that the client is really there: a SYN in its name that came from elsewhere is
// answered by another way.
func (p path) has(d side, packet *Packet) bool {
	way := pathOf(packet)
	if d == fromClient {
		return way.client == p.client
	}
	return way.client == p.server && way.server == p.client
}
