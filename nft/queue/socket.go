package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// readBuffer holds the packets that the kernel has queued and we have not read.
	// The default fits about 256 small ones, and what does not fit is lost.
	readBuffer = 16 << 20
	// idle is how long a read waits for traffic.
	idle = 100 * time.Millisecond
	// maxBatch bounds what is handled, and so also held up, together.
	maxBatch = 64
	// maxMessage is room for the longest packet and all its attributes.
	maxMessage = maxPacket + 4096
	// sendSize is when gathered verdicts go out though more may follow: well below
	// the default send buffer, which a message must fit.
	sendSize = 64 << 10
)

// socket is the netlink socket under go-nfqueue, as netlink.NewConn wants it. It
// differs from the usual one in four ways, all for the sake of the packet path.
// Reads block in the kernel instead of in the runtime's poller. One Receive returns
// many packets, in a buffer that is used again. Verdicts are gathered until flush.
// And packets that arrive while the queue is being configured do not disturb that.
//
// It is used by one goroutine at a time.
type socket struct {
	fd    int
	port  uint32 // our address
	queue *Queue

	in    []byte            // the messages of the last Receive point into it
	out   []byte            // verdicts not yet sent
	asked bool              // a request waits for its acknowledgement
	early []netlink.Message // packets that came before an acknowledgement
}

func openSocket(q *Queue) (*socket, error) {
	fd, err := openNetlink(readBuffer)
	if err != nil {
		return nil, err
	}
	s := &socket{fd: fd, queue: q, in: make([]byte, 4*maxMessage)}
	name, err := unix.Getsockname(fd)
	if err != nil {
		s.shut()
		return nil, fmt.Errorf("reading the address of a netlink socket: %w", err)
	}
	if name, ok := name.(*unix.SockaddrNetlink); ok {
		s.port = name.Pid
	}
	return s, nil
}

// openNetlink opens a netfilter socket with a read buffer of this size, whose reads wait as
// long as idle.
func openNetlink(buffer int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return -1, fmt.Errorf("opening a netfilter netlink socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	// SO_RCVBUFFORCE goes over net.core.rmem_max, with CAP_NET_ADMIN.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer); err != nil {
		return -1, fmt.Errorf("giving a netlink socket a read buffer of %d bytes: %w", buffer, err)
	}
	timeout := unix.NsecToTimeval(idle.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return -1, fmt.Errorf("giving a netlink socket a read time-out: %w", err)
	}
	// Connected to port 0, it hears the kernel alone.
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return -1, fmt.Errorf("connecting a netlink socket to the kernel: %w", err)
	}
	return fd, nil
}

// Send sends a request at once and keeps a verdict until flush.
func (s *socket) Send(m netlink.Message) error {
	b, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	s.out = append(s.out, b...)
	if m.Header.Flags&netlink.Acknowledge != 0 {
		s.asked = true
		return s.flush()
	}
	if len(s.out) >= sendSize {
		return s.flush()
	}
	return nil
}

// SendMessages is part of netlink's interface; go-nfqueue does not use it.
func (s *socket) SendMessages(messages []netlink.Message) error {
	for _, m := range messages {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	return s.flush()
}

// flush sends the gathered verdicts. netlink_rcv_skb, in the kernel, takes them one
// after the other before the call returns, and goes on after one that fails.
func (s *socket) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	b := s.out
	s.out = s.out[:0]
	_, err := unix.Write(s.fd, b) // never interrupted: it does not wait
	return err
}

// Receive returns the acknowledgement of a request, or else the next packets.
func (s *socket) Receive() ([]netlink.Message, error) {
	if !s.asked {
		return s.queue.next()
	}
	s.asked = false
	for {
		messages, _, err := s.read(s.in, 0)
		if err != nil {
			return nil, err
		}
		if len(messages) > 0 && messages[0].Header.Type == netlink.Error {
			return messages, nil
		}
		for _, m := range messages {
			m.Data = append([]byte(nil), m.Data...)
			s.early = append(s.early, m)
		}
	}
}

// gather returns the packets that have arrived. Where there are none it waits for
// some, if it may. The error, of no packets, is EAGAIN after a wait in vain,
// ENOBUFS after a loss, or says that the socket is of no use any more.
func (s *socket) gather(wait bool) ([]netlink.Message, error) {
	messages := s.early
	s.early = nil
	flags := unix.MSG_DONTWAIT
	if wait && len(messages) == 0 {
		flags = 0
	}
	for in := s.in; len(messages) < maxBatch && len(in) >= maxMessage; flags = unix.MSG_DONTWAIT {
		got, n, err := s.read(in, flags)
		if errors.Is(err, unix.ENOBUFS) && len(messages) > 0 {
			s.queue.overruns.Add(1)
			continue
		}
		if err != nil {
			return messages, err
		}
		in = in[n:]
		for _, m := range got {
			if m.Header.Type == netlink.Error {
				s.refused(m)
				continue
			}
			messages = append(messages, m)
		}
	}
	return messages, nil
}

// refused counts a verdict that the kernel did not take. The message begins with a
// negative errno.
func (s *socket) refused(m netlink.Message) {
	if len(m.Data) >= 4 && -int32(binary.NativeEndian.Uint32(m.Data)) == int32(unix.ENOENT) {
		s.queue.late.Add(1)
		return
	}
	s.queue.refused.Add(1)
}

// read reads one datagram into b. It returns its messages and the bytes it takes up.
func (s *socket) read(b []byte, flags int) ([]netlink.Message, int, error) {
	messages, n, garbled, err := receive(s.fd, b, flags)
	if garbled {
		s.queue.nameless.Add(1)
	}
	return messages, n, err
}

// receive reads one datagram into b. It returns its messages, the bytes it takes up, and
// whether there was more that is no message. The messages point into b.
func receive(fd int, b []byte, flags int) (messages []netlink.Message, n int, garbled bool, err error) {
	n, _, err = unix.Recvfrom(fd, b, flags)
	if errors.Is(err, unix.EINTR) {
		// A read with a time-out is not restarted after a signal (signal(7)), and
		// a wait that was cut short is as good as one in vain.
		err = unix.EAGAIN
	}
	if err != nil {
		return nil, 0, false, err
	}
	// The kernel does not pad the last message; the parser counts on it.
	end := (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1)
	raw, err := syscall.ParseNetlinkMessage(b[:end])
	messages = make([]netlink.Message, len(raw))
	for i, r := range raw {
		messages[i] = netlink.Message{
			Header: netlink.Header{
				Length:   r.Header.Len,
				Type:     netlink.HeaderType(r.Header.Type),
				Flags:    netlink.HeaderFlags(r.Header.Flags),
				Sequence: r.Header.Seq,
				PID:      r.Header.Pid,
			},
			Data: r.Data,
		}
	}
	return messages, end, err != nil, nil
}

// Close is part of netlink's interface. The receiving goroutine may still be at
// work then, so it is shut that gives the descriptor back.
func (s *socket) Close() error { return nil }

func (s *socket) shut() { _ = unix.Close(s.fd) }
