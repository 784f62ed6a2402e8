package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// maxAnswer holds any answer: of a dump the kernel sends at most 32 kB at a time
// (netlink_dump).
const maxAnswer = 1 << 16

// socket asks ctnetlink what the conntrack module cannot, several things in one system
// call. It is safe for concurrent use.
type socket struct {
	mu  sync.Mutex
	fd  int // -1: closed
	seq uint32
	in  []byte
}

// answer is what the kernel said to one message.
type answer struct {
	flows []conntrack.Flow
	err   error // an errno
}

func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	// Connected to port 0, it hears the kernel alone.
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &socket{fd: fd, in: make([]byte, maxAnswer)}, nil
}

func (s *socket) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.fd
	s.fd = -1
	return unix.Close(fd)
}

// exchange sends messages in one system call and returns what was said to each. The last
// one has to be of those that are always answered: a GET, a dump, or one that asks for an
// acknowledgement. The kernel works off one message after the other, and goes on after one
// that failed, before the call that sends returns (netlink_rcv_skb).
func (s *socket) exchange(messages ...netlink.Message) ([]answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil, os.ErrClosed
	}
	first := s.seq + 1
	s.seq += uint32(len(messages))
	var out []byte
	for i, m := range messages {
		m.Header.Sequence = first + uint32(i)
		m.Header.Length = uint32(unix.NLMSG_HDRLEN + len(m.Data))
		b, err := m.MarshalBinary()
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	if _, err := unix.Write(s.fd, out); err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	dumps := messages[len(messages)-1].Header.Flags&netlink.Dump == netlink.Dump
	answers := make([]answer, len(messages))
	for done := false; !done; {
		n, err := unix.Read(s.fd, s.in)
		switch {
		case errors.Is(err, unix.EAGAIN): // it had no memory for the answer (netlink_ack)
			return nil, fmt.Errorf("waiting for an answer: %w", unix.ENOBUFS)
		case err != nil:
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		if done, err = read(s.in[:n], first, answers, dumps); err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
	}
	return answers, nil
}

// read adds to the answers what one read brought. done says that the last of them is
// whole, which after a dump the kernel says.
func read(in []byte, first uint32, answers []answer, dumps bool) (done bool, err error) {
	for len(in) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(in))
		if size < unix.NLMSG_HDRLEN || size > len(in) {
			return false, unix.EBADMSG
		}
		m := netlink.Message{Data: in[unix.NLMSG_HDRLEN:size]}
		m.Header.Type = netlink.HeaderType(binary.NativeEndian.Uint16(in[4:]))
		m.Header.Sequence = binary.NativeEndian.Uint32(in[8:])
		in = in[min(len(in), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]

		i := m.Header.Sequence - first
		if int64(i) >= int64(len(answers)) {
			continue // to an earlier question, which failed
		}
		last := int(i) == len(answers)-1
		switch m.Header.Type {
		case netlink.Error, netlink.Done: // each with an errno
			if len(m.Data) < 4 {
				return false, unix.EBADMSG
			}
			if errno := -int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
				answers[i].err = unix.Errno(errno)
			}
			done = done || last
		default:
			var e conntrack.Event // an entry is told as it would be in an event
			if err := e.Unmarshal(m); err != nil {
				return false, err
			}
			if e.Flow == nil {
				return false, unix.EBADMSG
			}
			answers[i].flows = append(answers[i].flows, *e.Flow)
			done = done || last && !dumps
		}
	}
	return done, nil
}
