package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// What linux/tcp.h has, and package unix not: see tcp_repair_set in the kernel's tcp.c.
const (
	repairOn        = 1
	repairOffSilent = -1 // and send no window probe
	recvQueue       = 1
	sendQueue       = 2

	rst, ack = 1 << 2, 1 << 4
)

// reset sends the RST that tcp.Reset has built, without a raw socket: a socket takes over
// one end of the connection, as when a process is restored from a checkpoint, and is closed
// with a reset. That takes CAP_NET_ADMIN alone, but not where the end has a port below 1024
// (EACCES: for that bind wants CAP_NET_BIND_SERVICE), nor where it is a socket of this host
// itself (EADDRNOTAVAIL).
func reset(from, to netip.AddrPort, seq, next uint32) error {
	family, level, transparent := unix.AF_INET, unix.SOL_IP, unix.IP_TRANSPARENT
	if from.Addr().Is6() {
		family, level, transparent = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	for _, o := range []struct{ level, option, value int }{
		{level, transparent, 1}, // the address need not be ours
		{unix.SOL_TCP, unix.TCP_REPAIR, repairOn},
		{unix.SOL_TCP, unix.TCP_REPAIR_QUEUE, sendQueue},
		{unix.SOL_TCP, unix.TCP_QUEUE_SEQ, int(int32(seq))},
		{unix.SOL_TCP, unix.TCP_REPAIR_QUEUE, recvQueue},
		{unix.SOL_TCP, unix.TCP_QUEUE_SEQ, int(int32(next))},
	} {
		err = errors.Join(err, unix.SetsockoptInt(fd, o.level, o.option, o.value))
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(from))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(to)) // it is established at once: nothing is sent
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_REPAIR, repairOffSilent)
	}
	if err == nil {
		err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	return errors.Join(err, unix.Close(fd))
}

// resetAs sends a packet that is a reset.
func resetAs(packet []byte, ipv4 bool) error {
	const header = 20               // of TCP, without options
	at, protocol, size := 40, 6, 16 // the IP header's length, where the protocol stands, an address's length
	if ipv4 {
		at, protocol, size = 20, 9, 4
	}
	if len(packet) != at+header || packet[protocol] != unix.IPPROTO_TCP || packet[at+13] != rst|ack {
		return unix.EACCES
	}
	from, _ := netip.AddrFromSlice(packet[at-2*size : at-size])
	to, _ := netip.AddrFromSlice(packet[at-size : at])
	tcp := packet[at:]
	return reset(
		netip.AddrPortFrom(from, binary.BigEndian.Uint16(tcp)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(tcp[2:])),
		binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:]))
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// mayRepair reports an error where this process may not do what reset does.
func mayRepair() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a TCP socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_REPAIR, repairOn); err != nil {
		return fmt.Errorf("taking over a connection: %w", err)
	}
	return nil
}
