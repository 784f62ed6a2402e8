package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// Free implements alg.Translations. Where the ports are more than one, it is not looked
// whether a flow has these ends: that takes a search of the whole table, and one that does
// has its packets translated as they were (rules for a translation see the first alone), so
// that at worst the one connection from that port fails. It is asked of the network
// namespace of the calling thread, which is the one where Open was called.
func (c *Conn) Free(from netip.Addr, ports alg.Ports, at netip.AddrPort) (bool, error) {
	free, err := unbound(at)
	if port, single := ports.Single(); err == nil && free && single {
		_, taken, asked := c.direction(netip.AddrPortFrom(from, port), at)
		free, err = !taken, asked
	}
	if err != nil {
		return false, fmt.Errorf("looking whether connections from %s to %s can be told from others: %w", from, at, err)
	}
	return free, nil
}

// unbound reports whether no TCP socket has this address: one that listens on it or on all,
// on whatever interface, or that is connected from it. The kernel lets no other socket have
// it then (inet_csk_bind_conflict). It may be an address that this host has not got.
func unbound(at netip.AddrPort) (bool, error) {
	family, level, option := unix.AF_INET, unix.SOL_IP, unix.IP_FREEBIND
	var address unix.Sockaddr = &unix.SockaddrInet4{Port: int(at.Port()), Addr: as4(at)}
	if at.Addr().Is6() {
		family, level, option = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_FREEBIND
		address = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return false, err
	}
	err = unix.Bind(fd, address)
	if errors.Is(err, unix.EADDRINUSE) {
		return false, nil
	}
	return err == nil, err
}

func as4(at netip.AddrPort) (b [4]byte) {
	if at.Addr().Is4() {
		b = at.Addr().As4()
	}
	return b
}
