// Package load plays many FTP sessions at once: an FTP server, and clients of it that
// count and time what they do. Each is one loop on non-blocking sockets, so that the
// generator costs the machine as little as may be: what it wants to see is the gateway
// between the two.
package load

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// handler is told that a descriptor of its own can be read or written.
type handler interface {
	ready(fd int, events uint32)
}

// poller is one epoll instance. It is used by one goroutine at a time.
type poller struct {
	fd     int
	on     []registered // by descriptor
	serial int32
	events [256]unix.EpollEvent
}

// registered is who handles a descriptor. A number is given again as soon as it is free:
// the serial number tells an event of the present descriptor from one of the one before.
type registered struct {
	handler handler
	serial  int32
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening an epoll instance: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { _ = unix.Close(p.fd) }

// add hands a descriptor to a handler.
func (p *poller) add(fd int, events uint32, h handler) error {
	for fd >= len(p.on) {
		p.on = append(p.on, registered{})
	}
	p.serial++
	p.on[fd] = registered{h, p.serial}
	return p.control(unix.EPOLL_CTL_ADD, fd, events)
}

// change changes what is waited for.
func (p *poller) change(fd int, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, events)
}

func (p *poller) control(op, fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: p.on[fd].serial}
	if err := unix.EpollCtl(p.fd, op, fd, &e); err != nil {
		return fmt.Errorf("waiting for descriptor %d: %w", fd, err)
	}
	return nil
}

// drop closes *fd, if there is one.
func (p *poller) drop(fd *int) {
	if *fd < 0 {
		return
	}
	if *fd < len(p.on) {
		p.on[*fd] = registered{}
	}
	_ = unix.Close(*fd)
	*fd = -1
}

// wait waits for events, at most so many milliseconds, and has them handled.
func (p *poller) wait(milliseconds int) error {
	n, err := unix.EpollWait(p.fd, p.events[:], milliseconds)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("waiting for events: %w", err)
	}
	for _, e := range p.events[:n] {
		if r := p.on[e.Fd]; r.handler != nil && r.serial == e.Pad {
			r.handler.ready(int(e.Fd), e.Events)
		}
	}
	return nil
}
