// Package floor is the least that diverting packets can cost: it reads a queue and
// accepts everything at once. What is faster than this does not divert as much.
//
// It is a bare loop on a thread of its own for each queue: a read that waits in the
// kernel, of as many packets as there are; their numbers; and one write with all
// verdicts. Nothing is allocated, and the runtime's scheduler has no part in it.
package floor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft"
)

// Table is what the floor's table is made of: the same rules that ftpalg's has by default.
func Table(queue uint16, workers int) nft.Config {
	return nft.Config{
		Ports: []uint16{21}, Hooks: []string{"forward"}, Queue: queue, Workers: workers, Bypass: true,
		Tag: nft.Tag{Label: 126, Mark: 0x01000000}, SourcePorts: []alg.Ports{{First: 20, Last: 20}},
	}
}

// Run reads the queues of a table until ctx ends, in the network namespace of the calling
// thread. It calls ready when packets are diverted.
func Run(ctx context.Context, table nft.Config, ready func()) error {
	// A thread that waits in a system call of which the runtime knows nothing would hold
	// up a collection; there is nothing to collect.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(table.Workers + 2))
	var readers []*Reader
	defer func() {
		for _, r := range readers {
			r.Close()
		}
	}()
	for i := range table.Workers {
		r, err := Open(table.Queue + uint16(i))
		if err != nil {
			return err
		}
		readers = append(readers, r)
	}
	caps, err := nft.Probe()
	if err != nil {
		return err
	}
	t, err := nft.Install(table, caps)
	if err != nil {
		return err
	}
	ready()
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range readers {
		group.Go(func() error { return r.Run(ctx) })
	}
	return errors.Join(group.Wait(), t.Close())
}

const (
	batch      = 32       // packets of one read
	maxMessage = 0xffff   // what one of them can take up, but for headers
	room       = 16 << 20 // of the socket
	idle       = 100      // milliseconds that a read waits
)

// verdictLen is the length of a message with one verdict: nlmsghdr, nfgenmsg, and the
// attribute with nfqnl_msg_verdict_hdr.
const verdictLen = unix.SizeofNlMsghdr + 4 + 4 + 8

// Reader reads one queue.
type Reader struct {
	fd       int
	number   uint16
	messages [batch]mmsghdr
	vectors  [batch]unix.Iovec
	in       [batch][]byte
	out      [batch * verdictLen]byte
}

// mmsghdr is what recvmmsg(2) takes.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// Open binds a queue in the network namespace of the calling thread.
func Open(number uint16) (*Reader, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	r := &Reader{fd: fd, number: number}
	timeout := unix.NsecToTimeval(idle * 1e6)
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
	)
	if err == nil {
		// NFQNL_CFG_CMD_BIND
		err = r.configure(nfqaCfgCmd, []byte{1, 0, 0, 0})
	}
	if err == nil {
		// NFQNL_COPY_PACKET: an engine has to see it all
		err = r.configure(nfqaCfgParams, append(binary.BigEndian.AppendUint32(nil, 0xffff-4), 2))
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("opening NFQUEUE %d: %w", number, err)
	}
	for i := range r.messages {
		r.in[i] = make([]byte, maxMessage+4096)
		r.vectors[i] = unix.Iovec{Base: &r.in[i][0], Len: uint64(len(r.in[i]))}
		r.messages[i].header.Iov = &r.vectors[i]
		r.messages[i].header.Iovlen = 1
	}
	for i := range batch {
		r.prepare(r.out[i*verdictLen:])
	}
	return r, nil
}

// Of linux/netfilter/nfnetlink_queue.h.
const (
	nfqnlMsgPacket  = 0
	nfqnlMsgVerdict = 1
	nfqnlMsgConfig  = 2
	nfqaCfgCmd      = 1
	nfqaCfgParams   = 2
	nfqaPacketHdr   = 1
	nfqaVerdictHdr  = 2
	nfAccept        = 1
)

// header writes nlmsghdr and nfgenmsg.
func (r *Reader) header(b []byte, length int, message, flags uint16) {
	binary.NativeEndian.PutUint32(b, uint32(length))
	binary.NativeEndian.PutUint16(b[4:], unix.NFNL_SUBSYS_QUEUE<<8|message)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|flags)
	binary.BigEndian.PutUint16(b[18:], r.number)
}

// prepare writes a verdict that accepts, for a number that is filled in later.
func (r *Reader) prepare(b []byte) {
	r.header(b, verdictLen, nfqnlMsgVerdict, 0)
	binary.NativeEndian.PutUint16(b[20:], 12)
	binary.NativeEndian.PutUint16(b[22:], nfqaVerdictHdr)
	binary.BigEndian.PutUint32(b[24:], nfAccept)
}

// configure sends one attribute and waits for the kernel's answer.
func (r *Reader) configure(attribute uint16, value []byte) error {
	b := make([]byte, 20+4+(len(value)+3)&^3)
	r.header(b, len(b), nfqnlMsgConfig, unix.NLM_F_ACK)
	binary.NativeEndian.PutUint16(b[20:], uint16(4+len(value)))
	binary.NativeEndian.PutUint16(b[22:], attribute)
	copy(b[24:], value)
	if _, err := unix.Write(r.fd, b); err != nil {
		return err
	}
	n, err := unix.Read(r.fd, b)
	if err != nil {
		return err
	}
	if n < 20 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel gives another answer than was asked for")
	}
	if errno := -int32(binary.NativeEndian.Uint32(b[16:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

// Run reads and accepts until ctx ends, on a thread of its own.
func (r *Reader) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ended atomic.Bool
	defer context.AfterFunc(ctx, func() { ended.Store(true) })()
	for !ended.Load() {
		// MSG_WAITFORONE: the first is waited for, and what else is there comes with it.
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&r.messages[0])), batch, unix.MSG_WAITFORONE, 0, 0)
		switch errno {
		case 0:
			if err := r.accept(int(n)); err != nil {
				return err
			}
		case unix.EAGAIN, unix.EINTR, unix.ENOBUFS: // the last: some were lost, and will be sent again
		default:
			return fmt.Errorf("reading NFQUEUE %d: %w", r.number, errno)
		}
	}
	return nil
}

// accept answers what was read.
func (r *Reader) accept(n int) error {
	verdicts := 0
	for i := range n {
		if id, ok := packetID(r.in[i][:r.messages[i].length]); ok {
			binary.BigEndian.PutUint32(r.out[verdicts*verdictLen+28:], id)
			verdicts++
		}
	}
	if verdicts == 0 {
		return nil
	}
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(r.fd), uintptr(unsafe.Pointer(&r.out[0])), uintptr(verdicts*verdictLen))
	if errno != 0 {
		return fmt.Errorf("accepting packets of NFQUEUE %d: %w", r.number, errno)
	}
	return nil
}

// packetID finds the number of a packet. It is the first 32 bits of the attribute
// NFQA_PACKET_HDR, which nfqnl_build_packet_message puts first.
func packetID(b []byte) (id uint32, ok bool) {
	if len(b) < 20 || binary.NativeEndian.Uint16(b[4:]) != unix.NFNL_SUBSYS_QUEUE<<8|nfqnlMsgPacket {
		return 0, false // a verdict that came to nothing
	}
	for b = b[20:]; len(b) >= 4; {
		length, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if length < 4 || length > len(b) {
			break
		}
		if kind&0x3fff == nfqaPacketHdr && length >= 8 {
			return binary.BigEndian.Uint32(b[4:]), true
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return 0, false
}

// Close gives the queue back.
func (r *Reader) Close() { _ = unix.Close(r.fd) }
