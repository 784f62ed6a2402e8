package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Host is one machine of the lab. Its methods are safe for concurrent use.
type Host struct {
	Name string
	IPv4 netip.Addr // of the interface nearest to the client
	IPv6 netip.Addr

	lab *Lab
	net *os.File // the network namespace
}

// Do runs f in the network of the host, on a thread of its own. Sockets made in f
// stay in that network wherever they are used later. Goroutines that f starts run
// outside of it. Files and processes are the caller's.
func (h *Host) Do(f func() error) error {
	return onThread(func() error {
		if err := setns(h.net, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering the network of %s: %w", h.Name, err)
		}
		return f()
	})
}

// enter runs f in the network, the mounts and, for its children, the processes of the host.
func (h *Host) enter(f func() error) error {
	return h.Do(func() error {
		if err := h.lab.enterLab(); err != nil {
			return err
		}
		return f()
	})
}

// Dial connects from the host. The address is numeric. The connection is plain TCP
// or UDP, and the local port is chosen by the kernel.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return h.DialFrom(ctx, netip.AddrPort{}, network, address)
}

// DialFrom is Dial with a chosen local address and port, port 20 for example; a zero
// value leaves both to the kernel. The port may be one that was used a moment ago: its
// last connection need not have ended at both ends yet.
func (h *Host) DialFrom(ctx context.Context, local netip.AddrPort, network, address string) (conn net.Conn, err error) {
	d := net.Dialer{Control: reuseAddress}
	if local.IsValid() {
		if d.LocalAddr, err = localAddr(network, local); err != nil {
			return nil, err
		}
	}
	err = h.onceFree(ctx, unix.EADDRNOTAVAIL, func() (err error) {
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connecting from %s: %w", h.Name, err)
	}
	return conn, nil
}

func localAddr(network string, a netip.AddrPort) (net.Addr, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		return net.TCPAddrFromAddrPort(a), nil
	case "udp", "udp4", "udp6":
		return net.UDPAddrFromAddrPort(a), nil
	}
	return nil, fmt.Errorf("connecting from %s: %w", a, net.UnknownNetworkError(network))
}

// Listen listens for TCP connections on the host. The address is numeric. It waits a
// moment for one that was just given up: a process that is being started holds a copy of
// every socket, closed ones too, until it runs.
func (h *Host) Listen(ctx context.Context, network, address string) (ln net.Listener, err error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	err = h.onceFree(ctx, unix.EADDRINUSE, func() (err error) {
		ln, err = lc.Listen(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", h.Name, err)
	}
	return ln, nil
}

// freedWithin is how long an address may stay in use after its socket was closed.
const freedWithin = time.Second

// onceFree does f on the host, again for a moment while it fails because what it wants
// is still in use, which is how the errno says so.
func (h *Host) onceFree(ctx context.Context, inUse unix.Errno, f func() error) (err error) {
	for range freedWithin / pollEvery {
		if err = h.Do(f); !errors.Is(err, inUse) || ctx.Err() != nil {
			break
		}
		time.Sleep(pollEvery)
	}
	return err
}

// ListenPacket opens a UDP or raw IP socket on the host, as net.ListenPacket does.
func (h *Host) ListenPacket(ctx context.Context, network, address string) (pc net.PacketConn, err error) {
	var lc net.ListenConfig
	err = h.Do(func() (err error) {
		pc, err = lc.ListenPacket(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", h.Name, err)
	}
	return pc, nil
}

func reuseAddress(_, _ string, c syscall.RawConn) error {
	var errno error
	err := c.Control(func(fd uintptr) {
		errno = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	if err != nil {
		return err
	}
	return errno
}
