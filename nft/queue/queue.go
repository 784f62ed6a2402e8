// Package queue is the listening end of the divert rule: the packets of one
// NFQUEUE come in by the batch, and every one of them goes out with a verdict.
//
// go-nfqueue configures and owns the queue. Its receive path and its verdicts are not used:
// they took 24 allocations and 1,072 bytes a packet, two goroutines, and a read that only said
// that there was no more. This package reads the messages in place and writes the verdicts
// by hand, on the goroutine that decides, with nothing from the heap: on one CPU a datagram
// takes 13.4 us through the queue instead of 15.2 (BenchmarkRoundTrip, with its sender and
// its receiver).
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// maxPacket is the longest packet that can cross a queue: NFQNL_MAX_COPY_RANGE in
// the kernel's nfnetlink_queue.c, an attribute's 16-bit length less its header.
const maxPacket = 0xffff - 4

// Config says which queue to listen on, and how.
type Config struct {
	Number   uint16 // of the queue
	Guard    uint16 // of another that is read with it, and of which nothing ever passes unread; 0: none
	MaxLen   uint32 // packets that may wait for a verdict; 0 is the kernel's default, 1024
	FailOpen bool   // what does not fit the first queue passes unread instead of being dropped
}

// Packet is one packet that waits in the queue for its verdict.
type Packet struct {
	ID   uint64 // names the packet to Verdicts
	Data []byte // the whole packet, from the network header on; valid until handle returns
	In   uint32 // index of the interface by which it came in; 0: this host sent it
	Out  uint32 // index of the interface by which it will leave; 0: it is for this host
}

// bound is one number that go-nfqueue has bound.
type bound struct {
	nf       *nfqueue.Nfqueue
	requests *requests
}

// newID makes one name of a queue's number and the number of a packet in that queue.
func newID(queue uint16, id uint32) uint64 { return uint64(queue)<<32 | uint64(id) }

// Queue returns the number of the queue that the packet waits in.
func (p Packet) Queue() uint16 { return uint16(p.ID >> 32) }

// Verdict is the answer to one Packet. The zero action accepts it unchanged.
type Verdict struct {
	ID   uint64
	Drop bool
	Data []byte // not nil: the packet goes on with these bytes instead
}

// Counters is what a queue has seen since it was opened.
type Counters struct {
	Packets    uint64 // handed on in a batch
	Batches    uint64
	Unreadable uint64 // dropped: the kernel sent no bytes of them, or not all
	Nameless   uint64 // messages without a packet ID: there is nothing to give a verdict on
	Late       uint64 // verdicts on packets that the kernel had given up already (ENOENT)
	Refused    uint64 // verdicts that the kernel refused for another reason
	Overlong   uint64 // changed packets that outgrew a netlink attribute, and were dropped
	Overruns   uint64 // times that packets were lost because the socket was full (ENOBUFS)
}

// maxBatch bounds what is handled, and so also held up, together.
const maxBatch = 64

// Queue is a bound NFQUEUE. Counters and Wake may be called at any time and Close once;
// everything else by one goroutine at a time.
type Queue struct {
	number uint16
	guard  uint16
	bound  []bound // one for each number
	sock   *socket
	rest   time.Duration // how long a read may wait

	batch []Packet
	drops []Verdict // of packets that cannot be read
	out   []byte    // verdicts that were not sent yet

	packets, batches, unreadable, nameless, late, refused, overlong, overruns atomic.Uint64
}

// Open binds the queue in the network namespace of the calling thread. From then
// on packets that a rule sends there wait for Run. It is meant to come before the
// rule; where the rule stands already, nothing is lost.
//
// The error is ErrTaken where another program listens on that number,
// ErrUnsupported where the kernel has no such queues, and unix.EPERM for want of
// CAP_NET_ADMIN.
func Open(c Config) (*Queue, error) {
	q := &Queue{number: c.Number, guard: c.Guard, rest: idle}
	var err error
	if q.sock, err = openSocket(); err != nil {
		return nil, packetQueue.explain(c.Number, err)
	}
	if err := q.bind(c, c.Number, c.FailOpen); err != nil {
		return nil, packetQueue.explain(c.Number, errors.Join(err, q.Close()))
	}
	if c.Guard != 0 {
		if err := q.bind(c, c.Guard, false); err != nil {
			return nil, packetQueue.explain(c.Guard, errors.Join(err, q.Close()))
		}
	}
	return q, nil
}

// bind binds one number to the socket. Packets of both come in the order in which they
// were queued.
func (q *Queue) bind(c Config, number uint16, failOpen bool) error {
	config := &nfqueue.Config{
		NfQueue:      number,
		MaxQueueLen:  c.MaxLen,
		MaxPacketLen: maxPacket,
		Copymode:     nfqueue.NfQnlCopyPacket,
		// Never NfQaCfgFlagGSO: without it the kernel splits merged segments and
		// finishes checksums before it queues them, which a rewriter relies on.
	}
	if failOpen {
		config.Flags = nfqueue.NfQaCfgFlagFailOpen
	}
	nf, err := nfqueue.Open(config)
	if err != nil {
		return err
	}
	_ = nf.Con.Close() // its place is taken by our own
	requests := &requests{socket: q.sock, closed: make(chan struct{})}
	nf.Con = netlink.NewConn(requests, q.sock.port)
	// go-nfqueue ends its receiving goroutine when the error function says so. It never
	// has a packet: see requests.Receive.
	stop := func(error) int { return 1 }
	if err := nf.RegisterWithErrorFunc(context.Background(), func(nfqueue.Attribute) int { return 0 }, stop); err != nil {
		return err
	}
	q.bound = append(q.bound, bound{nf, requests})
	return nil
}

// Number returns the number of the queue.
func (q *Queue) Number() uint16 { return q.number }

// Guard returns Config.Guard.
func (q *Queue) Guard() uint16 { return q.guard }

// Room returns how many bytes of packets the kernel keeps for Run to read, and how many are
// wanted: there are fewer where net.core.rmem_max bounds them, as it does in a container.
func (q *Queue) Room() (got, wanted int) {
	got, err := unix.GetsockoptInt(q.sock.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0, readBuffer
	}
	return got / 2, readBuffer // the kernel doubles it for what it needs itself (socket(7))
}

// Counters returns a snapshot.
func (q *Queue) Counters() Counters {
	return Counters{
		Packets:    q.packets.Load(),
		Batches:    q.batches.Load(),
		Unreadable: q.unreadable.Load(),
		Nameless:   q.nameless.Load(),
		Late:       q.late.Load(),
		Refused:    q.refused.Load(),
		Overlong:   q.overlong.Load(),
		Overruns:   q.overruns.Load(),
	}
}

// Close gives the queue up, after Run has returned. The kernel drops the packets
// that have no verdict yet.
func (q *Queue) Close() error {
	var errs []error
	for _, b := range q.bound { // one after the other: they share the socket
		close(b.requests.closed)
		errs = append(errs, b.nf.Close()) // waits for the receiving goroutine, which unbinds the queue
	}
	q.sock.shut()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing NFQUEUE %d: %w", q.number, err)
	}
	return nil
}
