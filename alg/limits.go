package alg

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Bounds on what unfinished business may cost. They are not settings: no dialogue
// between real programs comes near them.
const (
	maxLine       = 4 << 10   // bytes of a line that is parsed
	maxHeldFlow   = 64 << 10  // bytes waiting for a gap to fill, of one flow
	maxHeldClient = 512 << 10 // of one client
	maxHeldAll    = 4 << 20   // of all
	// minHeld is what a waiting packet counts at least: it takes a place in the
	// kernel's queue, which has no more than 8192.
	minHeld = 1 << 10
)

// Limits counts what all the workers of a daemon have in hand. It is safe for
// concurrent use; it is locked when a session begins or ends, not once a packet.
type Limits struct {
	maxSessions, maxPerClient int

	mu       sync.Mutex
	sessions int
	clients  map[netip.Addr]*client

	held atomic.Int64
}

// client is what is counted per client address.
type client struct {
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

// begin counts one session more, or returns nil where that would be too many.
func (l *Limits) begin(addr netip.Addr) *client {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients[addr]
	if l.sessions >= l.maxSessions || c != nil && c.sessions >= l.maxPerClient {
		return nil
	}
	if c == nil {
		c = &client{}
		l.clients[addr] = c
	}
	l.sessions++
	c.sessions++
	return c
}

// full reports whether there is no room for a session of any client.
func (l *Limits) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions >= l.maxSessions
}

// end counts one session less.
func (l *Limits) end(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients[addr]
	l.sessions--
	if c.sessions--; c.sessions == 0 {
		delete(l.clients, addr)
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
