package load

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// socket opens a TCP socket on a local address. Port 0 leaves the port to the kernel.
func socket(local netip.AddrPort) (fd int, err error) {
	fd, err = unix.Socket(family(local.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	option := func(level, name int) {
		err = errors.Join(err, unix.SetsockoptInt(fd, level, name, 1))
	}
	option(unix.IPPROTO_TCP, unix.TCP_NODELAY)
	option(unix.SOL_SOCKET, unix.SO_REUSEADDR) // the last connection from port 20 may not have ended everywhere
	if local.Port() == 0 {
		// connect(2) chooses a port that is free towards that server.
		option(unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(local))
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("opening a socket on %s: %w", local, err)
	}
	return fd, nil
}

// dial begins to connect. The socket can be written when it is done.
func dial(local, to netip.AddrPort) (fd int, err error) {
	if fd, err = socket(local); err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connecting to %s: %w", to, err)
	}
	return fd, nil
}

// connected returns nil when what dial began went well.
func connected(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return nil
}

// listen listens, and returns the address with its port.
func listen(local netip.AddrPort, backlog int) (fd int, at netip.AddrPort, err error) {
	if fd, err = socket(local); err != nil {
		return -1, at, err
	}
	var sa unix.Sockaddr
	if err = unix.Listen(fd, backlog); err == nil {
		if local.Port() != 0 {
			return fd, local, nil
		}
		sa, err = unix.Getsockname(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, at, fmt.Errorf("listening on %s: %w", local, err)
	}
	return fd, addrPort(sa), nil
}

// accept returns the next connection, or -1 where there is none.
func accept(listener int) int {
	fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return -1
	}
	return fd
}

// again reports whether there is nothing to be done now.
func again(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

// write writes what there is room for.
func write(fd int, b []byte) (int, error) {
	n, err := unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL)
	if again(err) {
		return 0, nil
	}
	return max(n, 0), err
}
