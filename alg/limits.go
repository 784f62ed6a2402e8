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
	// watchFrom is how many have passed when pure acknowledgements are diverted too.
	watchFrom = 8 << 10
	watchFor  = time.Minute
	// allowance is the memory of streams and lines that a session has without asking.
	allowance = 1 << 10
	// maxMemory is what all sessions may have beyond their allowances.
	maxMemory = 64 << 20
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
	sessions int // guarded by Limits.mu
	held     atomic.Int64
}

// NewLimits returns limits with nothing counted yet.
func NewLimits(maxSessions, maxPerClient int) *Limits {
	return &Limits{
		maxSessions: maxSessions, maxPerClient: maxPerClient,
		clients: make(map[netip.Addr]*client),
	}
}

// begin counts one session more, or reports that there is no room for it.
func (l *Limits) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions >= l.maxSessions {
		return false
	}
	l.sessions++
	return true
}

// greet counts a session for its client, or returns nil where it has too many.
func (l *Limits) greet(addr netip.Addr) *client {
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients[addr]
	if c == nil {
		c = &client{addr: addr}
		l.clients[addr] = c
	}
	if c.sessions >= l.maxPerClient {
		return nil
	}
	c.sessions++
	return c
}

// end counts one session less; c is what greet returned, if it did.
func (l *Limits) end(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions--
	if c == nil {
		return
	}
	if c.sessions--; c.sessions == 0 {
		delete(l.clients, c.addr)
	}
}

// hold counts n held bytes more, or reports false where that would be too many. c may be
// nil, of a session that has not been greeted.
func (l *Limits) hold(c *client, n int64) bool {
	own := int64(0)
	if c != nil {
		own = c.held.Add(n)
	}
	if l.held.Add(n) > maxHeldAll || own > maxHeldClient {
		l.release(c, n)
		return false
	}
	return true
}

func (l *Limits) release(c *client, n int64) {
	l.held.Add(-n)
	if c != nil {
		c.held.Add(-n)
	}
}

// remember counts n bytes of memory more, or fewer where n is negative.
func (l *Limits) remember(n int64) { l.memory.Add(n) }

// crowded reports whether no session should take more memory.
func (l *Limits) crowded() bool { return l.memory.Load() > maxMemory }
