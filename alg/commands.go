package alg

import "slices"

// due is what a command that waits for its reply means to the session.
type due uint8

const (
	plain    due = iota
	dueLogin     // USER, PASS, ACCT
	dueRein
	dueAuth     // AUTH, ADAT
	dueActive   // PORT, EPRT: the live announcement
	duePasv     // PASV
	dueEpsv     // EPSV
	dueEpsvAll  // EPSV ALL
	dueTransfer // a command that uses the live announcement
	dueAbor
)

// maxCommands bounds the commands without a reply, of one session. A client that
// sends ahead further than this is not followed any more.
const maxCommands = 64

// commands are those that wait for a reply, in order: the oldest first. Replies
// come in the order of the commands (RFC 959, section 5.4).
type commands struct {
	ring  [maxCommands]due
	first uint8
	n     uint8
}

// at is the i-th of them, counted from the oldest.
func (c *commands) at(i int) *due { return &c.ring[(int(c.first)+i)%maxCommands] }

func (c *commands) push(d due) bool {
	if c.n == maxCommands {
		return false
	}
	*c.at(int(c.n)) = d
	c.n++
	return true
}

func (c *commands) pop() (due, bool) {
	d, ok := c.peek()
	if ok {
		c.first = uint8((int(c.first) + 1) % maxCommands)
		c.n--
	}
	return d, ok
}

func (c *commands) peek() (due, bool) {
	return c.ring[c.first], c.n > 0
}

// aborted notes that the client goes on after an ABOR for which one reply has come. Some
// servers send one for the transfer and its ABOR together: no other is due then.
func (c *commands) aborted() {
	for i := range int(c.n) {
		if *c.at(i) == dueAbor {
			c.first = uint8((int(c.first) + i + 1) % maxCommands)
			c.n -= uint8(i + 1)
			return
		}
	}
}

// has reports whether a command of these kinds waits for its reply.
func (c *commands) has(kinds ...due) bool {
	for i := range int(c.n) {
		if slices.Contains(kinds, *c.at(i)) {
			return true
		}
	}
	return false
}

// settle makes commands of these kinds plain ones: what their replies would say is
// of no interest any more.
func (c *commands) settle(kinds ...due) {
	for i := range int(c.n) {
		if d := c.at(i); slices.Contains(kinds, *d) {
			*d = plain
		}
	}
}
