package queue

import (
	"context"
	"errors"
	"net"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// This file is the receiving goroutine, which go-nfqueue starts: packets come by
// collect, the end of a batch by next.

// run is a call of Run or Drain, on its way to the goroutine that receives.
type run struct {
	ctx    context.Context
	drain  bool // ends when nothing is left
	handle func([]Packet) error
	done   chan error
}

// collect is go-nfqueue's callback, and the one place that looks at an Attribute:
// any pointer in it may be nil.
func (q *Queue) collect(a nfqueue.Attribute) int {
	switch {
	case a.PacketID == nil:
		return 0 // next counts it
	case a.Payload == nil, a.CapLen != nil && int(*a.CapLen) > len(*a.Payload):
		// Only a hostile sender makes a packet that is too long for the queue. Its
		// receiver would read what we cannot.
		q.drops = append(q.drops, Verdict{ID: *a.PacketID, Drop: true})
	default:
		q.batch = append(q.batch, Packet{ID: *a.PacketID, Data: *a.Payload, In: index(a.InDev), Out: index(a.OutDev)})
	}
	return 0
}

// index returns an interface's, or 0 for none.
func index(p *uint32) uint32 {
	if p == nil {
		return 0
	}
	return *p
}

// next is the socket's Receive, called by go-nfqueue for more once all it had went
// through collect. That makes it the end of a batch, so the batch is handled here,
// on the goroutine that received it. The only error it returns is net.ErrClosed.
func (q *Queue) next() ([]netlink.Message, error) {
	for err := q.deliver(); ; {
		if err != nil || q.run != nil && q.run.ctx.Err() != nil {
			q.end(err)
		}
		if q.run == nil && !q.await() {
			return nil, net.ErrClosed
		}
		var messages []netlink.Message
		if messages, err = q.sock.gather(!q.run.drain); len(messages) > 0 {
			q.told = len(messages)
			return messages, nil
		}
		err = q.idle(err)
	}
}

// idle is for when there are no packets, and err says why. It returns what Run has
// to end for.
func (q *Queue) idle(err error) error {
	switch {
	case errors.Is(err, unix.ENOBUFS):
		q.overruns.Add(1)
		return nil
	case errors.Is(err, unix.EAGAIN) && q.run.drain:
		q.end(nil)
		return nil
	case errors.Is(err, unix.EAGAIN):
		return q.run.handle(nil)
	}
	return err
}

// deliver hands on the batch that collect has gathered.
func (q *Queue) deliver() error {
	if q.told == 0 {
		return nil
	}
	q.nameless.Add(uint64(q.told - len(q.batch) - len(q.drops)))
	q.unreadable.Add(uint64(len(q.drops)))
	q.packets.Add(uint64(len(q.batch)))
	q.batches.Add(1)
	defer func() {
		clear(q.batch)
		q.told, q.batch, q.drops = 0, q.batch[:0], q.drops[:0]
	}()
	if len(q.drops) > 0 {
		if err := q.Verdicts(q.drops); err != nil {
			return err
		}
	}
	if len(q.batch) == 0 {
		return nil
	}
	return q.run.handle(q.batch)
}

// await parks the receiving goroutine until there is a Run or Drain. It reports
// false after Close.
func (q *Queue) await() bool {
	select {
	case q.run = <-q.runs:
		return true
	case <-q.closed:
		return false
	}
}

// end lets the Run or Drain return.
func (q *Queue) end(err error) {
	q.run.done <- err
	q.run = nil
}
