package tcp

import "errors"

// What makes a connection's numbers uncertain. None can come from two honest ends
// between which nothing is lost and nobody else speaks.
var (
	ErrTwoSYNs     = errors.New("two SYN with different numbers")
	ErrTwoAnswers  = errors.New("two SYN/ACK with different numbers")
	ErrWrongAnswer = errors.New("a SYN/ACK that acknowledges something else than the SYN")
	ErrNoAnswer    = errors.New("no SYN/ACK was seen")
	ErrWrongAck    = errors.New("the client acknowledges what the server was not seen to send")
)

// Handshake learns with which numbers a connection begins (RFC 9293, section 3.5). It
// believes only what both ends must agree on: the SYN, the SYN/ACK that acknowledges
// exactly it, and the client's first data, which follows exactly the SYN and acknowledges
// what the server was seen to send. After the first error the numbers are not known.
//
// The zero value has seen nothing.
type Handshake struct {
	client, server   uint32 // initial sequence numbers
	opened, answered bool
	done             bool
}

// Open takes a SYN of the client.
func (h *Handshake) Open(seq uint32) error {
	if h.opened && seq != h.client {
		return ErrTwoSYNs
	}
	h.client, h.opened = seq, true
	return nil
}

// Answer takes a SYN/ACK of the server. One that comes after the handshake is done means
// nothing: it is for its receiver to think about.
func (h *Handshake) Answer(seq, ack uint32) error {
	switch {
	case h.done:
		return nil
	case !h.opened || ack != h.client+1:
		return ErrWrongAnswer
	case h.answered && seq != h.server:
		return ErrTwoAnswers
	}
	h.server, h.answered = seq, true
	return nil
}

// Confirm takes the first acknowledgement of the client that comes with data, and the
// number up to which the server was seen to send.
func (h *Handshake) Confirm(ack, sent uint32) error {
	switch {
	case h.done:
		return nil
	case !h.answered:
		return ErrNoAnswer
	case Diff(ack, h.server+1) < 0 || Diff(ack, sent) > 0:
		return ErrWrongAck
	}
	h.done = true
	return nil
}

// TakenUp is the handshake of a connection whose numbers are known otherwise.
func TakenUp() Handshake { return Handshake{opened: true, answered: true, done: true} }

// Answered reports whether the numbers of both ends are known.
func (h *Handshake) Answered() bool { return h.answered }

// Done reports whether both ends agree on the numbers.
func (h *Handshake) Done() bool { return h.done }

// First returns the numbers of the first bytes of both ends.
func (h *Handshake) First() (client, server uint32) { return h.client + 1, h.server + 1 }
