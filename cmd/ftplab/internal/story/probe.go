package story

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// probeTTL is the TTL of the detour's probes.
const probeTTL = 3

// detour sends an empty datagram to a port of the server where nobody listens, and
// waits until the server has said so.
func (r *run) detour(ctx context.Context, from, to uint16) error {
	source, target := netip.AddrPortFrom(r.Client.IPv4, from), netip.AddrPortFrom(r.Server.IPv4, to)
	conn, err := r.Client.DialFrom(ctx, source, "udp", target.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := setTTL(conn.(*net.UDPConn), probeTTL); err != nil {
		return fmt.Errorf("setting the TTL of a probe: %w", err)
	}
	if _, err := conn.Write(nil); err != nil {
		return fmt.Errorf("probe %v: %w", target, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetReadDeadline(time.Now().Add(within))
	_, err = conn.Read(make([]byte, 1))
	switch {
	case err == nil:
		return fmt.Errorf("probe %v: something listens there", target)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("waiting for the server to refuse the probe of %v: %w", target, err)
	}
	return nil
}

func setTTL(conn *net.UDPConn, ttl int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var errno error
	err = raw.Control(func(fd uintptr) { errno = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, ttl) })
	return errors.Join(err, errno)
}

// knock waits until the gateway sees the first transfer's command, and has another
// host than the server try the announced port: one SYN, from port 20.
func (r *run) knock(ctx context.Context) error {
	conn, err := r.Outsider.ListenPacket(ctx, "ip4:tcp", r.Outsider.IPv4.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	var at netip.AddrPort
	_, err = r.captures[inside].Await(ctx, func(c lab.Packet) bool {
		p, _ := decode(c.Frame)
		if p == nil {
			return false
		}
		if a, ok := p.announcement(); ok {
			at = a
		}
		return at.IsValid() && p.to.Port() == 21 && len(p.lines()) > 0 && p.lines()[0] == "RETR R1.cfg"
	})
	if err != nil {
		return err
	}
	syn, err := synTo(netip.AddrPortFrom(r.Outsider.IPv4, 20), at)
	if err != nil {
		return err
	}
	if _, err := conn.WriteTo(syn, &net.IPAddr{IP: at.Addr().AsSlice()}); err != nil {
		return fmt.Errorf("knock at %v: %w", at, err)
	}
	return nil
}

// synTo returns a TCP segment that asks for a connection.
func synTo(from, to netip.AddrPort) ([]byte, error) {
	ip := &layers.IPv4{SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(), Protocol: layers.IPProtocolTCP}
	tcp := &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), SYN: true, Window: 64240}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, tcp)
	return b.Bytes(), err
}
