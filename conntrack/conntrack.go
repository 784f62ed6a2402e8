// Package conntrack is what ftpalg asks of the kernel's connection tracking, over
// ctnetlink.
package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

var _ alg.Flows = (*Conn)(nil)

// Errors of a Conn, for errors.Is.
var (
	// ErrUnsupported: the kernel has no ctnetlink.
	ErrUnsupported = errors.New("this kernel has no connection tracking netlink (CONFIG_NF_CT_NETLINK)")
	// ErrNoFlow: the control connection is not tracked, or not any more.
	ErrNoFlow = errors.New("connection tracking does not know it")
	// ErrNoLabels: the flow has no room for labels. The kernel makes room in flows that
	// begin while some rule sets labels, and in no others (nf_ct_labels_ext_add).
	ErrNoLabels = errors.New("it began before any rule set conntrack labels, and has no room for one")
)

// Conn is a lasting connection to ctnetlink. It is safe for concurrent use.
type Conn struct {
	conn *conntrack.Conn
	// label is the label of control connections that may be taken up again, as the
	// kernel keeps labels.
	label [labelsLen]byte
	raw   *socket

	dialled dialled
}

// Open connects to the connection tracking of the calling thread's network
// namespace. The label, from 0 to 127, is the one that Vouch puts on control
// connections. The error is ErrUnsupported where the kernel has no ctnetlink, and
// unix.EPERM for want of CAP_NET_ADMIN.
func Open(label uint8) (*Conn, error) {
	bit, err := labelBit(label)
	if err != nil {
		return nil, fmt.Errorf("opening ctnetlink: %w", err)
	}
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("opening ctnetlink: %w", err)
	}
	c := &Conn{conn: conn, label: bit}
	// A question to see whether anyone answers: no flow has this tuple.
	nobody := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if _, _, err := c.direction(nobody, nobody); err != nil {
		_ = conn.Close()
		if errors.Is(err, unix.EINVAL) { // nfnetlink_rcv_msg, of a subsystem that is not there
			err = ErrUnsupported
		}
		return nil, fmt.Errorf("opening ctnetlink: %w", err)
	}
	if c.raw, err = openSocket(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("opening ctnetlink: %w", err)
	}
	return c, nil
}

// Close closes the connection. What is being asked meanwhile fails.
func (c *Conn) Close() error {
	if err := errors.Join(c.conn.Close(), c.raw.close()); err != nil {
		return fmt.Errorf("closing ctnetlink: %w", err)
	}
	return nil
}

// ID implements alg.Flows. The number is made of the original tuple and the entry's place
// in memory (nf_ct_get_id), so that an equal number does not prove that the connection is
// the same: a new one between the same ports mostly gets the place of the old one's
// entry, and after a reset by the server that entry itself (nf_conntrack_tcp_packet). In
// all but the last case the new entry does not bear the label of Vouch.
func (c *Conn) ID(f alg.Flow) (uint32, bool, error) {
	entry, ok, err := c.control(f)
	if err != nil {
		return 0, false, fmt.Errorf("reading the id of control connection %s to %s: %w", f.Client, f.Server, err)
	}
	return entry.ID, ok, nil
}

// direction returns the TCP flow that has a direction from src to dst. ok is false where
// there is none. Which of the two directions it is does not matter to the kernel
// (ctnetlink_get_conntrack looks a reply tuple up like an original one).
func (c *Conn) direction(src, dst netip.AddrPort) (f conntrack.Flow, ok bool, err error) {
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
