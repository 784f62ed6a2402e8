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

// socket is the netlink socket under go-nfqueue, as netlink.NewConn wants it. go-nfqueue
// sends its requests through it and gets their acknowledgements, while packets that arrive
// meanwhile do not disturb that. Packets it never gets: its receiving goroutine waits here
// until the queue is closed, and then unbinds it.
//
// It is used by one goroutine at a time, but for that one, which waits.
type socket struct {
	fd     int
	port   uint32 // our address
	in     *reader
	closed chan struct{} // by Queue.Close
	early  [][]byte      // datagrams that came while an acknowledgement was waited for

	asked    bool // a request waits for its acknowledgement
	sequence uint32
}

func openSocket() (*socket, error) {
	fd, err := openNetlink(readBuffer)
	if err != nil {
		return nil, err
	}
	s := &socket{fd: fd, closed: make(chan struct{})}
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

// Send sends a request, which asks for an acknowledgement.
func (s *socket) Send(m netlink.Message) error {
	b, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	s.asked, s.sequence = true, m.Header.Sequence
	_, err = unix.Write(s.fd, b)
	return err
}

// SendMessages is part of netlink's interface; go-nfqueue does not use it.
func (s *socket) SendMessages(messages []netlink.Message) error {
	for _, m := range messages {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// Receive returns the acknowledgement of a request. Where none is due it waits for the end,
// which is net.ErrClosed.
func (s *socket) Receive() ([]netlink.Message, error) {
	if !s.asked {
		<-s.closed
		return nil, net.ErrClosed
	}
	s.asked = false
	for {
		n, err := s.in.read(unix.MSG_WAITFORONE)
		if err != nil {
			return nil, err
		}
		var answer []netlink.Message
		for i := range n {
			b := bytes.Clone(s.in.datagram(i))
			m, _, ok := nextMessage(b)
			if ok && m.typ == unix.NLMSG_ERROR && binary.NativeEndian.Uint32(b[8:]) == s.sequence {
				answer = append(answer, netlink.Message{
					Header: netlink.Header{
						Length:   binary.NativeEndian.Uint32(b),
						Type:     netlink.Error,
						Flags:    netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:])),
						Sequence: s.sequence,
						PID:      binary.NativeEndian.Uint32(b[12:]),
					},
					Data: m.body,
				})
				continue
			}
			s.early = append(s.early, b)
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
