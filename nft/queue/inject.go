package queue

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Injector sends packets of the program's own making, headers and all. It is safe
// for concurrent use.
type Injector struct {
	fd4, fd6 int // raw sockets; -1: there are none, and only a reset can be sent
}

// ErrUnprivileged says that a packet could not be sent for want of CAP_NET_RAW.
var ErrUnprivileged = errors.New("it takes CAP_NET_RAW")

// OpenInjector opens the raw sockets, in the network namespace of the calling thread. They
// need CAP_NET_RAW. Without it CAP_NET_ADMIN is enough to send what Inject can then.
func OpenInjector() (*Injector, error) {
	fd4, err := openRaw(unix.AF_INET)
	if errors.Is(err, unix.EPERM) {
		if err := mayRepair(); err != nil {
			return nil, err
		}
		return &Injector{fd4: -1, fd6: -1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening a raw IPv4 socket: %w", err)
	}
	fd6, err := openRaw(unix.AF_INET6)
	if err != nil {
		_ = unix.Close(fd4)
		return nil, fmt.Errorf("opening a raw IPv6 socket: %w", err)
	}
	return &Injector{fd4: fd4, fd6: fd6}, nil
}

// Raw reports whether there are raw sockets.
func (i *Injector) Raw() bool { return i.fd4 >= 0 }

// openRaw opens a socket that takes whole packets: IPPROTO_RAW implies that the
// header is included (raw(7), inet6_create in the kernel).
func openRaw(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
}

// Inject sends an IPv4 or IPv6 packet, from the network header on, towards the
// destination in it. The packet leaves through the output hook. Without raw sockets it has to
// be a TCP segment with RST and ACK and nothing else, its source no socket of this host, and
// its source port above 1023: else the error is ErrUnprivileged.
func (i *Injector) Inject(packet []byte) error {
	dst, ok := destination(packet)
	if !ok {
		return fmt.Errorf("injecting a packet of %d bytes: no IP header", len(packet))
	}
	var err error
	if !i.Raw() {
		if err = resetAs(packet, dst.Is4()); errors.Is(err, unix.EACCES) || errors.Is(err, unix.EADDRNOTAVAIL) {
			err = ErrUnprivileged
		}
	} else if dst.Is4() {
		err = unix.Sendto(i.fd4, packet, 0, &unix.SockaddrInet4{Addr: dst.As4()})
	} else {
		err = unix.Sendto(i.fd6, packet, 0, &unix.SockaddrInet6{Addr: dst.As16()})
	}
	if err != nil {
		return fmt.Errorf("injecting a packet to %s: %w", dst, err)
	}
	return nil
}

// Close closes the sockets.
func (i *Injector) Close() error {
	if !i.Raw() {
		return nil
	}
	err := unix.Close(i.fd4)
	if err6 := unix.Close(i.fd6); err == nil {
		err = err6
	}
	if err != nil {
		return fmt.Errorf("closing the raw sockets: %w", err)
	}
	return nil
}

// destination reads the address where an IP packet goes.
func destination(packet []byte) (netip.Addr, bool) {
	const header4, header6 = 20, 40
	switch {
	case len(packet) >= header4 && packet[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(packet[16:20])), true
	case len(packet) >= header6 && packet[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(packet[24:40])), true
	}
	return netip.Addr{}, false
}
