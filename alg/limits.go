package alg

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds on what unfinished business may cost. They are not settings: no dialogue
// between real programs comes near them.
const (
	maxHeldFlow   = 64 << 10  // bytes of packets that wait for a gap to fill, of one flow
	maxHeldClient = 512 << 10 // of one client
	maxHeldAll    = 4 << 20   // of all
	// minHeld is what a waiting packet counts at least: it takes a place in the
	// kernel's queue, which has no more than 8192.
	minHeld = 1 << 10

	// share is how many bytes of one side may pass without an acknowledgement. They are
	// all remembered; who would send more waits.
	share = 64 << 10
	// oneSegment is what is remembered of a session in any case.
	oneSegment = 1500
	// watchFrom is how many have passed when pure acknowledgements are diverted too.
	watchFrom = 8 << 10
	watchFor  = time.Minute
	// allowance is the memory of streams and lines that a session has without asking.
	allowance = 1 << 10
	// maxMemory is what all sessions may have beyond their allowances.
	maxMemory       = 64 << 20
	maxMemoryClient = 4 << 20

	// maxOdd is how many sessions of a client that no server greeted are told of, while it
	// has any.
	maxOdd = 64
)

// Limits counts what all the workers of a daemon have in hand. It is safe for
// concurrent use; it is locked when a session begins or ends, not once a packet.
type Limits struct {
	maxSessions, maxPerClient int

	mu       sync.Mutex
	sessions int
	clients  map[netip.Addr]*client

	held   atomic.Int64
	memory atomic.Int64
}

// client is what is counted per client. An IPv6 client is a network of 64 bits: its
// host has all of the addresses in it (RFC 8981).
type client struct {
	addr     netip.Addr
	all      int // sessions from their SYN on; guarded by Limits.mu
	sessions int // that the server has greeted; guarded by Limits.mu
	held     atomic.Int64
	memory   atomic.Int64
	odd      atomic.Int64 // events of sessions that were never greeted
}

// NewLimits returns limits with nothing counted yet.
func NewLimits(maxSessions, maxPerClient int) *Limits {
	return &Limits{
		maxSessions: maxSessions, maxPerClient: maxPerClient,
		clients: make(map[netip.Addr]*client),
	}
}

// Set makes the bounds others. What is beyond them already stays.
func (l *Limits) Set(maxSessions, maxPerClient int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.maxSessions, l.maxPerClient = maxSessions, maxPerClient
}

// begin counts one session more, or returns nil where there is no room for it.
func (l *Limits) begin(addr netip.Addr) *client {
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions >= l.maxSessions {
		return nil
	}
	l.sessions++
	c := l.clients[addr]
	if c == nil {
		c = &client{addr: addr}
		l.clients[addr] = c
	}
	c.all++
	return c
}

// greet counts a session as one of its client's, or reports that it has too many. Those
// that no server has greeted are not counted: anybody can send a SYN in a client's name.
func (l *Limits) greet(c *client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.sessions >= l.maxPerClient {
		return false
	}
	c.sessions++
	return true
}

// leave counts a session that was greeted as one of its client's no more.
func (l *Limits) leave(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.sessions--
}

// end counts one session less, which has left its client if it was greeted.
func (l *Limits) end(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions--
	if c.all--; c.all == 0 {
		delete(l.clients, c.addr)
	}
}

// hold counts n held bytes more, or reports false where that would be too many.
func (l *Limits) hold(c *client, n int64) bool {
	all, own := l.held.Add(n), c.held.Add(n)
	if all > maxHeldAll || own > maxHeldClient {
		l.release(c, n)
		return false
	}
	return true
}

func (l *Limits) release(c *client, n int64) {
	l.held.Add(-n)
	c.held.Add(-n)
}

// remember counts n bytes of memory more, or fewer where n is negative.
func (l *Limits) remember(c *client, n int64) {
	l.memory.Add(n)
	c.memory.Add(n)
}

// crowded reports whether a session of the client should take no more memory.
func (l *Limits) crowded(c *client) bool {
	return l.memory.Load() > maxMemory || c.memory.Load() > maxMemoryClient
}
