package tcp

import "slices"

// Side is one end of a connection, and the direction of what it sends.
type Side uint8

// The two sides.
const (
	Client Side = iota // who sent the SYN
	Server
)

// Other returns the other side.
func (d Side) Other() Side { return 1 - d }

// Connection is what is known of both directions of a connection.
type Connection struct {
	Handshake Handshake
	Streams   [2]Stream // by Side
	MSS       [2]uint16 // the longest segment that each side takes; 0: not known
	waiting   []Waiting
}

// Waiting is a packet that came before bytes that belong in front of it.
type Waiting struct {
	ID     uint64 // as its queue names it
	Side   Side
	Packet []byte
	Since  int64 // any clock
}

// Answer takes a SYN/ACK, with which both streams begin.
func (c *Connection) Answer(seq, ack uint32) error {
	before := c.Handshake.Answered()
	if err := c.Handshake.Answer(seq, ack); err != nil || before {
		return err
	}
	client, server := c.Handshake.First()
	c.Streams[Client].Start(client)
	c.Streams[Server].Start(server)
	return nil
}

// Confirm takes the acknowledgement of a segment of the client that brings data.
func (c *Connection) Confirm(ack uint32) error {
	server := &c.Streams[Server]
	return c.Handshake.Confirm(server.adj.In(ack), server.Next())
}

// TakeUp begins both streams in their middle.
func (c *Connection) TakeUp(client, server uint32) {
	c.Handshake = TakenUp()
	c.Streams[Client].Start(client)
	c.Streams[Server].Start(server)
}

// Room is how many bytes a segment of a side may have, TCP options among them, for the
// other side to take it: 536 where that is not known (RFC 9293, section 3.7.1).
func (c *Connection) Room(d Side) int {
	if m := c.MSS[d.Other()]; m != 0 {
		return int(m)
	}
	return 536
}

// Hold keeps a packet until what belongs before it has come.
func (c *Connection) Hold(w Waiting) { c.waiting = append(c.waiting, w) }

// Waiting returns how many packets wait, and for how many bytes of memory.
func (c *Connection) Waiting() (packets, size int) {
	for _, w := range c.waiting {
		size += len(w.Packet)
	}
	return len(c.waiting), size
}

// Ready returns a packet that need not wait any longer, if there is one, and keeps it
// no more.
func (c *Connection) Ready() (Waiting, bool) {
	return c.take(func(w *Waiting) bool {
		seg, err := Parse(w.Packet)
		return err == nil && Diff(seg.Seq, c.Streams[w.Side].Next()) <= 0 && !c.Unsettled(w)
	})
}

// Unsettled reports whether a packet waits because it is not settled yet how its bytes go
// out.
func (c *Connection) Unsettled(w *Waiting) bool {
	seg, err := Parse(w.Packet)
	s := &c.Streams[w.Side]
	return err == nil && Diff(seg.Seq+seg.Len(), s.Next()) <= 0 && s.Reaches(seg.Seq, len(seg.Payload))
}

// Overdue returns the side of a packet that is unsettled since before then, if there is one.
func (c *Connection) Overdue(then int64) (Side, bool) {
	for i := range c.waiting {
		if w := &c.waiting[i]; w.Since <= then && c.Unsettled(w) {
			return w.Side, true
		}
	}
	return 0, false
}

// Expired returns a packet that has waited since before then, if there is one, and keeps
// it no more. Its stream takes note.
func (c *Connection) Expired(then int64) (Waiting, bool) {
	w, ok := c.take(func(w *Waiting) bool { return w.Since <= then })
	if ok && !c.ready(w.Side) {
		if seg, err := Parse(w.Packet); err == nil && Diff(seg.Seq, c.Streams[w.Side].Next()) > 0 {
			c.Streams[w.Side].Expire(seg.Seq)
		}
	}
	return w, ok
}

// ready reports whether a packet of a side waits for something else than bytes before it.
func (c *Connection) ready(d Side) bool {
	for i := range c.waiting {
		w := &c.waiting[i]
		if seg, err := Parse(w.Packet); w.Side == d && err == nil && Diff(seg.Seq, c.Streams[d].Next()) <= 0 {
			return true
		}
	}
	return false
}

// Release returns any packet that waits, the first that came first, and keeps it no more.
func (c *Connection) Release() (Waiting, bool) {
	return c.take(func(*Waiting) bool { return true })
}

func (c *Connection) take(which func(*Waiting) bool) (Waiting, bool) {
	for i := range c.waiting {
		if which(&c.waiting[i]) {
			w := c.waiting[i]
			c.waiting = slices.Delete(c.waiting, i, i+1)
			if len(c.waiting) == 0 {
				c.waiting = nil
			}
			return w, true
		}
	}
	return Waiting{}, false
}

// Finished reports whether both ends have said that they send nothing more.
func (c *Connection) Finished() bool {
	return c.Streams[Client].Finished() && c.Streams[Server].Finished()
}

// Held returns the bytes of memory that the streams hold.
func (c *Connection) Held() int { return c.Streams[Client].Held() + c.Streams[Server].Held() }
