package queue

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// sendSize is when gathered verdicts go out though more may follow: well below the default
// send buffer, which a message must fit.
const sendSize = 64 << 10

// What becomes of a packet (linux/netfilter.h).
const (
	drop   = 0
	accept = 1
)

// Verdicts answers packets, all in one system call where they fit. It is called by
// the handle of Run or Drain, or while neither is under way. The kernel acknowledges nothing: a
// verdict that comes too late is only counted. An error means that some packets
// may be without their verdict until the queue is closed.
func (q *Queue) Verdicts(verdicts []Verdict) error {
	for i := range verdicts {
		v := &verdicts[i]
		if len(v.Data) > maxPacket && !v.Drop {
			q.overlong.Add(1)
			q.out = appendVerdict(q.out, &Verdict{ID: v.ID, Drop: true})
		} else {
			q.out = appendVerdict(q.out, v)
		}
		if len(q.out) >= sendSize {
			if err := q.flush(); err != nil {
				return err
			}
		}
	}
	return q.flush()
}

// flush sends the gathered verdicts. netlink_rcv_skb, in the kernel, takes them one after
// the other before the call returns, and goes on after one that fails.
func (q *Queue) flush() error {
	if len(q.out) == 0 {
		return nil
	}
	b := q.out
	q.out = q.out[:0]
	if _, err := unix.Write(q.sock.fd, b); err != nil { // never interrupted: it does not wait
		return fmt.Errorf("giving verdicts to NFQUEUE %d: %w", q.number, err)
	}
	return nil
}

// appendVerdict writes a verdict's message, with the packet's bytes where they have changed.
func appendVerdict(b []byte, v *Verdict) []byte {
	const size = unix.NLMSG_HDRLEN + 4 + unix.NLA_HDRLEN + 8
	action, data := uint32(accept), v.Data
	if v.Drop {
		action, data = drop, nil
	}
	length := size
	if data != nil {
		length += unix.NLA_HDRLEN + align(len(data))
	}
	// struct nlmsghdr. No answer is asked for, and only an error is answered.
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint16(b, msgVerdict)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // sequence number and port
	// struct nfgenmsg
	b = append(b, unix.AF_UNSPEC, unix.NFNETLINK_V0)
	b = binary.BigEndian.AppendUint16(b, uint16(v.ID>>32)) // the queue
	// struct nfqnl_msg_verdict_hdr
	b = binary.NativeEndian.AppendUint16(b, unix.NLA_HDRLEN+8)
	b = binary.NativeEndian.AppendUint16(b, verdictHeader)
	b = binary.BigEndian.AppendUint32(b, action)
	b = binary.BigEndian.AppendUint32(b, uint32(v.ID))
	if data == nil {
		return b
	}
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.NLA_HDRLEN+len(data)))
	b = binary.NativeEndian.AppendUint16(b, packetPayload)
	b = append(b, data...)
	return append(b, make([]byte, align(len(data))-len(data))...)
}
