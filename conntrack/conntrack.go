// Package conntrack is what ftpalg asks of the kernel's connection tracking, over
// ctnetlink.
package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

var _ alg.Flows = (*Conn)(nil)

// ErrUnsupported says that the kernel has no ctnetlink.
var ErrUnsupported = errors.New("this kernel has no connection tracking netlink (CONFIG_NF_CT_NETLINK)")

// Conn is a lasting connection to ctnetlink. It is safe for concurrent use.
type Conn struct {
	conn *conntrack.Conn
}

// Open connects to the connection tracking of the calling thread's network
// namespace. The error is ErrUnsupported where the kernel has none, and unix.EPERM
// for want of CAP_NET_ADMIN.
func Open() (*Conn, error) {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("connect to ctnetlink: %w", err)
	}
	c := &Conn{conn: conn}
	// A question to see whether anyone answers: no flow has this tuple.
	nobody := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if _, _, err := c.flow(nobody, nobody); err != nil {
		_ = conn.Close()
		if errors.Is(err, unix.EINVAL) { // nfnetlink_rcv_msg, of a subsystem that is not there
			err = ErrUnsupported
		}
		return nil, fmt.Errorf("connect to ctnetlink: %w", err)
	}
	return c, nil
}

// Counters implements alg.Flows. The source port of a data connection is known
// where the pinhole names it, which passive ones never do. Whether flows are
// counted is the operator's choice: net.netfilter.nf_conntrack_acct.
func (c *Conn) Counters(p alg.Pinhole) (alg.Counters, bool, error) {
	port, known := p.SourcePorts.Single()
	if !known {
		return alg.Counters{}, false, nil
	}
	// Asked for by the listener's side, which shows the address that was announced
	// even where a destination NAT took the connection there.
	f, ok, err := c.flow(p.Dest, netip.AddrPortFrom(p.Source, port))
	if err != nil {
		return alg.Counters{}, false, fmt.Errorf("read the counters of data connection %s from %s: %w", p.Dest, p.Source, err)
	}
	n := alg.Counters{
		Packets: f.CountersOrig.Packets + f.CountersReply.Packets,
		Bytes:   f.CountersOrig.Bytes + f.CountersReply.Bytes,
	}
	// A flow exists by its first packet: none means that nobody counts.
	return n, ok && n.Packets > 0, nil
}

// flow returns the TCP flow that has a direction from src to dst. ok is false where
// there is none.
func (c *Conn) flow(src, dst netip.AddrPort) (f conntrack.Flow, ok bool, err error) {
	var q conntrack.Flow
	q.TupleReply.IP.SourceAddress = src.Addr()
	q.TupleReply.IP.DestinationAddress = dst.Addr()
	q.TupleReply.Proto.Protocol = unix.IPPROTO_TCP
	q.TupleReply.Proto.SourcePort = src.Port()
	q.TupleReply.Proto.DestinationPort = dst.Port()
	f, err = c.conn.Get(q)
	if errors.Is(err, unix.ENOENT) {
		return f, false, nil
	}
	return f, err == nil, err
}

// Close closes the connection. What is being asked meanwhile fails.
func (c *Conn) Close() error {
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("close ctnetlink: %w", err)
	}
	return nil
}

// ID implements alg.Flows.
func (c *Conn) ID(alg.Flow) (uint32, bool, error) { return 0, false, nil }

// Vouch implements alg.Flows.
func (c *Conn) Vouch(alg.Flow, bool) error { return nil }
