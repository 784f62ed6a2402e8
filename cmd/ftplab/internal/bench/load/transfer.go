package load

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// join opens the data connection of passive mode.
func (s *session) join(reply string) error {
	at, ok := readComma(between(reply))
	if reply[:3] == "229" {
		var port uint16
		_, port, ok = readBars(between(reply))
		at = netip.AddrPortFrom(s.client.Server.Addr(), port)
	}
	if !ok {
		return fmt.Errorf("%.60q %s", reply, s.phase)
	}
	fd, err := dial(netip.AddrPortFrom(s.local, 0), at)
	if err != nil {
		return err
	}
	s.phase, s.data = joining, fd
	return s.client.poller.add(fd, unix.EPOLLOUT, s)
}

func (s *session) progress(line []byte) error {
	switch string(line[:3]) {
	case "150":
	case "226":
		s.told = true
		s.transferred()
	default:
		return fmt.Errorf("%.60q %s", line, s.phase)
	}
	return nil
}

// carry goes on with the data connection.
func (s *session) carry() error {
	if s.phase == joining {
		if err := connected(s.data); err != nil {
			return err
		}
		if err := s.client.poller.change(s.data, unix.EPOLLIN); err != nil {
			return err
		}
		return s.request()
	}
	if s.client.Kind == Store {
		return s.send()
	}
	return s.receive()
}

func (s *session) receive() error {
	for range 8 {
		n, _, err := unix.Recvfrom(s.data, s.client.sink, unix.MSG_TRUNC) // tcp(7): it is discarded, not copied
		switch {
		case again(err):
			return nil
		case err != nil:
			return fmt.Errorf("reading data: %w", err)
		case n > 0:
			s.left -= int64(n)
			continue
		case s.left != 0:
			return fmt.Errorf("the data ends %d bytes early", s.left)
		}
		s.over()
		return nil
	}
	return nil
}

func (s *session) send() error {
	for s.left > 0 {
		n, err := write(s.data, s.client.sink[:min(s.left, int64(len(s.client.sink)))])
		if err != nil {
			return fmt.Errorf("sending data: %w", err)
		}
		if n == 0 {
			return nil
		}
		s.left -= int64(n)
	}
	s.over()
	return nil
}

// over is the end of the data.
func (s *session) over() {
	s.closeData()
	s.carried = true
	s.transferred()
}

// transferred ends a transfer when both the reply has come and the data.
func (s *session) transferred() {
	if s.told && s.carried {
		s.done()
	}
}
