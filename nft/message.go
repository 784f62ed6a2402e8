package nft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// msgDestroySetElem is NFT_MSG_DESTROYSETELEM of linux/netfilter/nf_tables.h.
const msgDestroySetElem = 0x1e

// maxReply holds any answer to what is sent here: one acknowledgement, or errors.
const maxReply = 1 << 16

// messages is a buffer of netlink messages. Commit is on the packet path, so it
// writes its few kinds of message here, into memory that is used again.
type messages struct{ buf []byte }

// begin starts a message of family inet: struct nlmsghdr and struct nfgenmsg. It
// returns what end needs.
func (m *messages) begin(typ, flags uint16, seq uint32) int {
	return m.header(unix.NFNL_SUBSYS_NFTABLES<<8|typ, flags, seq, unix.NFPROTO_INET, 0)
}

// batch writes NFNL_MSG_BATCH_BEGIN or NFNL_MSG_BATCH_END.
func (m *messages) batch(typ uint16, seq uint32) {
	m.end(m.header(typ, 0, seq, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
}

func (m *messages) header(typ, flags uint16, seq uint32, family byte, subsystem uint16) int {
	start := len(m.buf)
	m.buf = append(m.buf, 0, 0, 0, 0) // length: see end
	m.buf = binary.NativeEndian.AppendUint16(m.buf, typ)
	m.buf = binary.NativeEndian.AppendUint16(m.buf, flags|unix.NLM_F_REQUEST)
	m.buf = binary.NativeEndian.AppendUint32(m.buf, seq)
	m.buf = append(m.buf, 0, 0, 0, 0, family, unix.NFNETLINK_V0)
	m.buf = binary.BigEndian.AppendUint16(m.buf, subsystem)
	return start
}

// end writes the length of the message that began at start.
func (m *messages) end(start int) {
	binary.NativeEndian.PutUint32(m.buf[start:], uint32(len(m.buf)-start))
}

// attr starts an attribute. It returns what close needs.
func (m *messages) attr(typ uint16) int {
	start := len(m.buf)
	m.buf = append(m.buf, 0, 0) // length: see close
	m.buf = binary.NativeEndian.AppendUint16(m.buf, typ)
	return start
}

// nest starts an attribute that holds attributes.
func (m *messages) nest(typ uint16) int { return m.attr(typ | unix.NLA_F_NESTED) }

// uint64 writes an attribute that holds a number.
func (m *messages) uint64(typ uint16, v uint64) {
	a := m.attr(typ)
	m.buf = binary.BigEndian.AppendUint64(m.buf, v)
	m.close(a)
}

// close writes the length of the attribute that began at start, and pads it.
func (m *messages) close(start int) {
	binary.NativeEndian.PutUint16(m.buf[start:], uint16(len(m.buf)-start))
	for len(m.buf)%unix.NLA_ALIGNTO != 0 {
		m.buf = append(m.buf, 0)
	}
}

// str writes an attribute that holds a string, given in parts.
func (m *messages) str(typ uint16, parts ...string) {
	a := m.attr(typ)
	for _, s := range parts {
		m.buf = append(m.buf, s...)
	}
	m.buf = append(m.buf, 0)
	m.close(a)
}

// bytes writes an attribute.
func (m *messages) bytes(typ uint16, b []byte) {
	a := m.attr(typ)
	m.buf = append(m.buf, b...)
	m.close(a)
}

// exchange sends the messages and reads the answers. The message with the sequence number
// last asks for an answer; those before it, back to first, answer only errors, and so do
// the batch's own, which have the number after last.
//
// nf_tables works inside of the system call that sends, so the answers are there when
// it returns, in the messages' order (nfnetlink_rcv_batch): what comes after that of the
// last need not be looked for. Only where something failed more may come with its number,
// unless the message is alone: in a transaction messages share one. The error is of the first message that failed, with its
// number. ENOBUFS says that answers were lost and the outcome is not known.
func exchange(fd int, m *messages, reply []byte, first, last uint32, alone bool) (failed uint32, err error) {
	if _, err := unix.Write(fd, m.buf); err != nil {
		return last + 1, fmt.Errorf("sending: %w", err)
	}
	for answered := false; !answered; {
		n, readErr := unix.Read(fd, reply) // does not block: see unpolled
		switch {
		case readErr == nil:
		case errors.Is(readErr, unix.ENOBUFS):
			continue // said once; what was not lost is still to be read
		case errors.Is(readErr, unix.EAGAIN):
			if err == nil {
				return last + 1, unix.ENOBUFS
			}
			return failed, err
		default:
			return last + 1, fmt.Errorf("receiving: %w", readErr)
		}
		for b := reply[:n]; len(b) >= unix.NLMSG_HDRLEN+4; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.NLMSG_HDRLEN+4 || size > len(b) {
				break
			}
			typ, seq := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint32(b[8:])
			if seq-first <= last+1-first {
				if typ == unix.NLMSG_ERROR {
					errno := unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN:])))
					if errno != 0 && err == nil {
						failed, err = seq, errno
					}
				}
				answered = seq == last && (alone || err == nil)
			}
			b = b[min(len(b), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
		}
	}
	return failed, err
}
