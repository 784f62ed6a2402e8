package replay

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// connections stands in for connection tracking: it knows which SYN is new, and which
// end of a control connection is the client. It follows control connections, and what
// might be data connections of theirs.
type connections struct {
	ports   []uint16 // of FTP servers
	all     map[ends]*connection
	servers map[netip.Addr]int   // how many live control connections each has
	byRange map[netip.Prefix]int // how many connections to the ports of ranges a client has
	last    uint32               // the number of the last connection
	sweep   int                  // that many are a reason to look for those to forget
}

// ends names a connection, whichever way a segment goes.
type ends [2]netip.AddrPort

func endsOf(a, b netip.AddrPort) ends {
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return ends{a, b}
}

// connection is one TCP connection.
type connection struct {
	opener, other netip.AddrPort
	at            time.Time // of the SYN
	id            uint32
	control       bool
	byRange       bool
	begun         bool // its SYN is in the file
	answered      bool // by the other end
	finished      [2]bool
	over          bool // both ends said FIN, or one RST
	released      bool // by the engine
	vouched       bool // the label of those that may be taken up again
	resumed       bool // it began before the file, and the engine has taken it up
}

var _ alg.Flows = (*connections)(nil)

func newConnections(ports []uint16) *connections {
	return &connections{
		ports: ports, all: make(map[ends]*connection),
		servers: make(map[netip.Addr]int), byRange: make(map[netip.Prefix]int),
	}
}

// clientOf returns what is counted as one client: an IPv6 client has a /64.
func clientOf(a netip.AddrPort) netip.Prefix {
	bits := 32
	if a.Addr().Is6() {
		bits = 64
	}
	p, _ := a.Addr().Prefix(bits) // of an address of that length: no error
	return p
}

// find returns the connection between two ends, or nil.
func (t *connections) find(a, b netip.AddrPort) *connection { return t.all[endsOf(a, b)] }

// isNew reports whether `ct state new` is true of a SYN: it begins a connection, or
// repeats the SYN of one that was not answered yet.
func (c *connection) isNew(s *segment) bool {
	return c == nil || c.over || c.begun && !c.answered && s.src == c.opener
}

// begin follows the connection that a new SYN asks for.
func (t *connections) begin(s *segment, now time.Time) *connection {
	return t.follow(&connection{opener: s.src, other: s.dst, begun: true}, now)
}

// pickUp follows a connection that began before the file: the end at a control port is
// taken for the server. It has the label: in a file there is nobody to vouch.
func (t *connections) pickUp(s *segment, now time.Time) *connection {
	c := &connection{opener: s.src, other: s.dst, answered: true, vouched: true}
	if !slices.Contains(t.ports, s.dst.Port()) || slices.Contains(t.ports, s.src.Port()) && s.answer() {
		c.opener, c.other = c.other, c.opener
	}
	return t.follow(c, now)
}

func (t *connections) follow(c *connection, now time.Time) *connection {
	t.last++
	c.at, c.id, c.control = now, t.last, slices.Contains(t.ports, c.other.Port())
	key := endsOf(c.opener, c.other)
	if old := t.all[key]; old != nil {
		t.count(old, -1)
	} else if len(t.all) >= t.sweep {
		t.forget(now)
	}
	t.all[key] = c
	t.count(c, +1)
	return c
}

// forget drops the connections that nobody has answered for as long as conntrack waits
// (nf_conntrack_tcp_timeout_syn_sent): nothing else bounds their number. It costs
// nothing on average, as their number has doubled since.
func (t *connections) forget(now time.Time) {
	for key, c := range t.all {
		if !c.answered && now.Sub(c.at) > 120*time.Second {
			t.count(c, -1)
			delete(t.all, key)
		}
	}
	t.sweep = max(2*len(t.all), 1024)
}

// note takes note of a segment.
func (t *connections) note(c *connection, s *segment) {
	t.count(c, -1)
	from := 0
	if s.src == c.other {
		from, c.answered = 1, true
	}
	c.finished[from] = c.finished[from] || s.has(fin)
	c.over = c.over || s.has(rst) || c.finished[0] && c.finished[1]
	t.count(c, +1)
	if c.over && !c.control { // a control connection is remembered as one whose SYN was seen
		delete(t.all, endsOf(c.opener, c.other))
	}
}

// count counts a connection as long as it is alive: one with a control port for the
// server, one to a port of a range for the client.
func (t *connections) count(c *connection, n int) {
	if c.control && c.answered && !c.over {
		add(t.servers, c.other.Addr(), n)
	}
	if c.byRange && !c.over {
		add(t.byRange, clientOf(c.opener), n)
	}
}

// admitByRange counts a connection to a port of a range from now on.
func (t *connections) admitByRange(c *connection) {
	t.count(c, -1)
	c.byRange = true
	t.count(c, +1)
}

func add[K comparable](counts map[K]int, key K, n int) {
	if counts[key] += n; counts[key] == 0 {
		delete(counts, key)
	}
}

// ID implements [alg.Flows].
func (t *connections) ID(f alg.Flow) (uint32, bool, error) {
	if c := t.find(f.Client, f.Server); c != nil {
		return c.id, true, nil
	}
	return 0, false, nil
}

// Vouch implements [alg.Flows].
func (t *connections) Vouch(f alg.Flow, on bool) error {
	if c := t.find(f.Client, f.Server); c != nil {
		c.vouched = on
	}
	return nil
}

// vouched reports whether a dialogue may be taken up in its middle.
func (t *connections) vouched(f alg.Flow) bool {
	c := t.find(f.Client, f.Server)
	return c != nil && c.vouched
}

// release notes that only the end of a control connection is of interest any more.
func (t *connections) release(f alg.Flow) {
	if c := t.find(f.Client, f.Server); c != nil {
		c.released = true
	}
}

// diverts reports whether the engine of a gateway gets to see a segment: those of
// control connections with a payload, those that begin one and those that end one.
// Other ACKs stay in the kernel. What a server opens from a control port is no control
// connection.
func (c *connection) diverts(s *segment, isNew bool) bool {
	switch {
	case !c.control:
		return false
	case s.first():
		return isNew
	case s.has(fin | rst):
		return true
	case c.released:
		return false
	}
	return s.payload || s.src == c.other && s.answer()
}
