package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Run hands over packets until ctx ends, on the calling goroutine, which keeps its thread
// while it is not disturbed. Each call of handle gets what has arrived without waiting, up to 64
// packets, or none after 100 ms without traffic. The slice and the packets' bytes are valid
// until handle returns. A packet's verdict may be given by then or later.
//
// It returns the error of handle, an error of the socket, or nil within 100 ms after
// ctx ended. Packets that arrive from then on wait for another Run, or Drain.
func (q *Queue) Run(ctx context.Context, handle func([]Packet) error) error {
	// One goroutine reads, decides and answers: a packet is not handed from one thread to
	// another, which takes longer than all the rest.
	defer context.AfterFunc(ctx, q.Wake)()
	return q.serving(q.serve(ctx, handle, true))
}

// Rest says how long Run may wait while there is no traffic; 100 ms if nothing was said. It
// is called by the handle of Run, or before.
func (q *Queue) Rest(d time.Duration) { q.rest = d }

// Wake has Run call handle soon, within 100 ms. It may be called at any time.
func (q *Queue) Wake() { q.sock.in.waker.wake() }

// Drain is a Run that ends when no packet is left to hand over.
func (q *Queue) Drain(handle func([]Packet) error) error {
	return q.serving(q.serve(context.Background(), handle, false))
}

func (q *Queue) serving(err error) error {
	if err != nil {
		return fmt.Errorf("serving NFQUEUE %d: %w", q.number, err)
	}
	return nil
}

// serve hands over packets until ctx ends, or there are none and it may not wait.
func (q *Queue) serve(ctx context.Context, handle func([]Packet) error, wait bool) error {
	if err := q.handleEarly(handle); err != nil {
		return err
	}
	for ctx.Err() == nil {
		var n int
		var err error
		if wait {
			n, err = q.sock.in.wait(q.rest)
		} else {
			n, err = q.sock.in.read(unix.MSG_DONTWAIT)
		}
		switch {
		case err == nil:
			for i := range n {
				q.collect(q.sock.in.datagram(i))
			}
			err = q.deliver(handle)
		case errors.Is(err, unix.ENOBUFS):
			q.overruns.Add(1)
			err = nil
		case errors.Is(err, unix.EAGAIN) && !wait:
			return nil
		case errors.Is(err, unix.EAGAIN):
			err = handle(nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// handleEarly hands over what came while the queue was being configured.
func (q *Queue) handleEarly(handle func([]Packet) error) error {
	early := q.sock.early
	q.sock.early = nil
	for len(early) > 0 {
		n := min(maxBatch, len(early))
		for _, b := range early[:n] {
			q.collect(b)
		}
		if err := q.deliver(handle); err != nil {
			return err
		}
		early = early[n:]
	}
	return nil
}

// collect adds the packets of one datagram to the batch.
func (q *Queue) collect(datagram []byte) {
	for len(datagram) > 0 {
		m, rest, ok := nextMessage(datagram)
		if !ok {
			q.nameless.Add(1)
			return
		}
		datagram = rest
		if m.typ == unix.NLMSG_ERROR {
			q.answered(m.errno())
			continue
		}
		q.packet(m)
	}
}

// packet adds one packet to the batch.
func (q *Queue) packet(m message) {
	p, named, whole := parsePacket(m)
	switch {
	case m.typ != msgPacket, !named:
		q.nameless.Add(1)
	case !whole:
		q.drops = append(q.drops, Verdict{ID: p.ID, Drop: true})
	default:
		q.batch = append(q.batch, p)
	}
}

// answered counts a verdict that the kernel did not take.
func (q *Queue) answered(errno unix.Errno) {
	if errno == unix.ENOENT {
		q.late.Add(1)
		return
	}
	q.refused.Add(1)
}

// deliver hands on the batch that collect has gathered.
func (q *Queue) deliver(handle func([]Packet) error) error {
	batch, drops := q.batch, q.drops
	q.batch, q.drops = q.batch[:0], q.drops[:0]
	if len(drops) > 0 {
		q.unreadable.Add(uint64(len(drops)))
		if err := q.Verdicts(drops); err != nil {
			return err
		}
	}
	if len(batch) == 0 {
		return nil
	}
	q.packets.Add(uint64(len(batch)))
	q.batches.Add(1)
	return handle(batch)
}
