package queue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// readBuffer holds the packets that the kernel has queued and we have not read. The default
// fits about 256 small ones, and what does not fit is lost.
const readBuffer = 16 << 20

// socket is the netlink socket that packets come by. go-nfqueue sends its requests through
// it and gets their acknowledgements, while packets that arrive meanwhile do not disturb
// that.
//
// It is used by one goroutine at a time.
type socket struct {
	fd    int
	port  uint32 // our address
	in    *reader
	early [][]byte // datagrams that came while an acknowledgement was waited for
}

func openSocket() (*socket, error) {
	fd, err := openNetlink(readBuffer)
	if err != nil {
		return nil, err
	}
	s := &socket{fd: fd}
	if s.in, err = newReader(fd, maxBatch); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
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

// requests is a socket as go-nfqueue has it, for one number, by netlink.NewConn. Packets it
// never gets: its receiving goroutine waits here until the queue is closed, and then unbinds
// it.
type requests struct {
	*socket
	closed chan struct{} // by Queue.Close

	asked    bool // a request waits for its acknowledgement
	sequence uint32
}

// Send sends a request, which asks for an acknowledgement.
func (r *requests) Send(m netlink.Message) error {
	b, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	r.asked, r.sequence = true, m.Header.Sequence
	_, err = unix.Write(r.fd, b)
	return err
}

// SendMessages is part of netlink's interface; go-nfqueue does not use it.
func (r *requests) SendMessages(messages []netlink.Message) error {
	for _, m := range messages {
		if err := r.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// Receive returns the acknowledgement of a request. Where none is due it waits for the end,
// which is net.ErrClosed.
func (r *requests) Receive() ([]netlink.Message, error) {
	if !r.asked {
		<-r.closed
		return nil, net.ErrClosed
	}
	r.asked = false
	for {
		n, err := r.in.read(unix.MSG_WAITFORONE)
		if err != nil {
			return nil, err
		}
		var answer []netlink.Message
		for i := range n {
			b := bytes.Clone(r.in.datagram(i))
			m, _, ok := nextMessage(b)
			if ok && m.typ == unix.NLMSG_ERROR && binary.NativeEndian.Uint32(b[8:]) == r.sequence {
				answer = append(answer, netlink.Message{
					Header: netlink.Header{
						Length:   binary.NativeEndian.Uint32(b),
						Type:     netlink.Error,
						Flags:    netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:])),
						Sequence: r.sequence,
						PID:      binary.NativeEndian.Uint32(b[12:]),
					},
					Data: m.body,
				})
				continue
			}
			r.early = append(r.early, b)
		}
		if answer != nil {
			return answer, nil
		}
	}
}

// Close is part of netlink's interface. go-nfqueue's goroutine may still be at work then, so
// it is shut that gives the descriptor back.
func (s *socket) Close() error { return nil }

func (s *socket) shut() {
	s.in.close()
	_ = unix.Close(s.fd)
}
