package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// The messages and attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	msgNew = unix.NFNL_SUBSYS_CTNETLINK << 8
	msgGet = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1

	tupleReply      = 2
	tupleIP         = 1
	tupleProto      = 2
	ip4Source       = 1
	ip4Dest         = 2
	ip6Source       = 3
	ip6Dest         = 4
	protoNumber     = 1
	protoSource     = 2
	protoDest       = 3
	countersOrig    = 9
	countersReply   = 10
	countersPackets = 1
	countersBytes   = 2
)

// inOneGo is how many questions are asked in one system call. Their answers fit the
// socket's default buffer.
const inOneGo = 64

// Counting asks for the traffic of data connections, many in one go, on a blocking socket
// of its own: the kernel has answered when it has taken the questions (nfnetlink_rcv). It
// is used by one goroutine at a time.
type Counting struct {
	fd      int
	seq     uint32
	out, in []byte
}

// OpenCounting opens the socket in the calling thread's network namespace.
func OpenCounting() (*Counting, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("opening ctnetlink for counters: %w", err)
	}
	// An answer that was lost for want of memory must not be waited for.
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) // it hears the kernel alone
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("opening ctnetlink for counters: %w", err)
	}
	return &Counting{fd: fd, in: make([]byte, 1<<14)}, nil
}

// Close closes the socket.
func (c *Counting) Close() error {
	if err := unix.Close(c.fd); err != nil {
		return fmt.Errorf("closing ctnetlink for counters: %w", err)
	}
	return nil
}

// Accounting reports whether the kernel counts the traffic of flows, in the calling
// thread's network namespace. That is the operator's choice: net.netfilter.nf_conntrack_acct.
func Accounting() bool {
	b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_acct")
	return err == nil && strings.TrimSpace(string(b)) != "0"
}

// Counters returns what has passed through the data connections that used the pinholes, in
// their order. It is zero where the kernel does not know: accounting is off, the flow is
// gone, or its source port is not known, which only a pinhole with a single one names, so
// that passive ones never do.
func (c *Counting) Counters(pinholes []alg.Pinhole) ([]alg.Counters, error) {
	counters := make([]alg.Counters, len(pinholes))
	for first := 0; first < len(pinholes); first += inOneGo {
		end := min(first+inOneGo, len(pinholes))
		if err := c.ask(pinholes[first:end], counters[first:end]); err != nil {
			return counters, fmt.Errorf("reading the counters of %d data connections: %w", len(pinholes), err)
		}
	}
	return counters, nil
}

func (c *Counting) ask(pinholes []alg.Pinhole, counters []alg.Counters) error {
	first, asked := c.seq, 0
	c.seq += uint32(len(pinholes))
	c.out = c.out[:0]
	for i, p := range pinholes {
		if port, known := p.SourcePorts.Single(); known {
			// Asked for by the listener's side, which shows the address that was announced
			// even where a destination NAT took the connection there.
			c.out = appendQuestion(c.out, first+uint32(i), p.Dest, netip.AddrPortFrom(p.Source, port))
			asked++
		}
	}
	if asked == 0 {
		return nil
	}
	if _, err := unix.Write(c.fd, c.out); err != nil {
		return err
	}
	for asked > 0 {
		n, err := unix.Read(c.fd, c.in)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n < unix.NLMSG_HDRLEN+4:
			continue
		}
		i := binary.NativeEndian.Uint32(c.in[8:]) - first
		if i >= uint32(len(counters)) {
			continue // of a question that was given up
		}
		asked--
		if binary.NativeEndian.Uint16(c.in[4:]) == msgNew { // and not an error: there is no such flow
			counters[i] = parseCounters(c.in[unix.NLMSG_HDRLEN+4 : n])
		}
	}
	return nil
}

// appendQuestion writes the message that asks for the TCP flow with a direction from src to
// dst. The kernel looks a reply tuple up like an original one (ctnetlink_get_conntrack).
func appendQuestion(b []byte, seq uint32, src, dst netip.AddrPort) []byte {
	start := len(b)
	family, source, dest := byte(unix.AF_INET), uint16(ip4Source), uint16(ip4Dest)
	if src.Addr().Is6() {
		family, source, dest = unix.AF_INET6, ip6Source, ip6Dest
	}
	b = append(b, 0, 0, 0, 0) // length
	b = binary.NativeEndian.AppendUint16(b, msgGet)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0, family, unix.NFNETLINK_V0, 0, 0)
	b = nest(b, tupleReply, func(b []byte) []byte {
		b = nest(b, tupleIP, func(b []byte) []byte {
			return appendAttr(appendAttr(b, source, src.Addr().AsSlice()), dest, dst.Addr().AsSlice())
		})
		return nest(b, tupleProto, func(b []byte) []byte {
			b = appendAttr(b, protoNumber, []byte{unix.IPPROTO_TCP})
			b = appendAttr(b, protoSource, binary.BigEndian.AppendUint16(nil, src.Port()))
			return appendAttr(b, protoDest, binary.BigEndian.AppendUint16(nil, dst.Port()))
		})
	})
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// nest writes an attribute of attributes.
func nest(b []byte, typ uint16, inside func([]byte) []byte) []byte {
	start := len(b)
	b = inside(appendAttr(b, typ|unix.NLA_F_NESTED, nil))
	binary.NativeEndian.PutUint16(b[start:], uint16(len(b)-start))
	return b
}

// appendAttr writes an attribute, padded.
func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.NLA_HDRLEN+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&(unix.NLA_ALIGNTO-1))...)
}

// parseCounters reads the counters of both directions from a flow's attributes.
func parseCounters(flow []byte) (n alg.Counters) {
	for _, direction := range []uint16{countersOrig, countersReply} {
		counted := find(flow, direction)
		n.Packets += number(find(counted, countersPackets))
		n.Bytes += number(find(counted, countersBytes))
	}
	return n
}

// find returns the value of an attribute, or nil.
func find(attrs []byte, typ uint16) []byte {
	for len(attrs) >= unix.NLA_HDRLEN {
		n := int(binary.NativeEndian.Uint16(attrs))
		if n < unix.NLA_HDRLEN || n > len(attrs) {
			return nil
		}
		if binary.NativeEndian.Uint16(attrs[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == typ {
			return attrs[unix.NLA_HDRLEN:n]
		}
		attrs = attrs[min(n+(-n&(unix.NLA_ALIGNTO-1)), len(attrs)):]
	}
	return nil
}

func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
