package queue

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// message is a netlink message of nfnetlink, where it was read.
type message struct {
	typ  uint16
	body []byte // behind struct nlmsghdr
}

// nextMessage takes the first message off what was read. ok is false where there is none;
// a rest of some bytes is none.
func nextMessage(b []byte) (m message, rest []byte, ok bool) {
	if len(b) < unix.NLMSG_HDRLEN {
		return message{}, nil, false
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < unix.NLMSG_HDRLEN || n > len(b) {
		return message{}, nil, false
	}
	return message{binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:n]}, b[min(align(n), len(b)):], true
}

// errno returns what an NLMSG_ERROR says: it begins with a negative errno, or 0.
func (m message) errno() unix.Errno {
	if len(m.body) < 4 {
		return unix.EBADMSG
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(m.body)))
}

// attributes returns what is behind struct nfgenmsg.
func (m message) attributes() []byte { return m.body[min(4, len(m.body)):] }

// resource returns what a message is about, of struct nfgenmsg: the number of a queue.
func (m message) resource() uint16 {
	if len(m.body) < 4 {
		return 0
	}
	return binary.BigEndian.Uint16(m.body[2:])
}

// attribute is one of a message's, where it was read.
type attribute struct {
	typ   uint16
	value []byte // it ends where its capacity does
}

// nextAttribute takes the first attribute off. ok is false where there is none; what is
// left then is none either.
func nextAttribute(b []byte) (a attribute, rest []byte, ok bool) {
	if len(b) < unix.NLA_HDRLEN {
		return attribute{}, b, false
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < unix.NLA_HDRLEN || n > len(b) {
		return attribute{}, b, false
	}
	// The two highest bits are flags (NLA_TYPE_MASK).
	typ := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
	return attribute{typ, b[unix.NLA_HDRLEN:n:n]}, b[min(align(n), len(b)):], true
}

// number returns an attribute of 32 bits.
func (a attribute) number() (n uint32, ok bool) {
	if len(a.value) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(a.value), true
}

// align returns where the next message or attribute begins: both are padded to 4 bytes.
func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }
