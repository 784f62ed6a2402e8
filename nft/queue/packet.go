package queue

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The messages and attributes of linux/netfilter/nfnetlink_queue.h.
const (
	msgPacket  = unix.NFNL_SUBSYS_QUEUE << 8
	msgVerdict = unix.NFNL_SUBSYS_QUEUE<<8 | 1
	msgConfig  = unix.NFNL_SUBSYS_QUEUE<<8 | 2

	packetHeader  = 1
	verdictHeader = 2
	packetIn      = 5
	packetOut     = 6
	packetPayload = 10
	packetLength  = 13 // of the whole packet, where the kernel cut it off
)

// parsePacket reads a packet's message, in which the kernel may leave anything out. named
// is false where it has no ID, and whole where its bytes are not there, or not all. Data
// points into the message.
func parsePacket(m message) (p Packet, named, whole bool) {
	var length uint32
	attrs, good := m.attributes(), true
	for good {
		a, rest, ok := nextAttribute(attrs)
		if !ok {
			break
		}
		attrs = rest
		switch a.typ {
		case packetHeader: // struct nfqnl_msg_packet_hdr, which begins with the ID
			if len(a.value) >= 4 {
				p.ID, named = newID(m.resource(), binary.BigEndian.Uint32(a.value)), true
			}
		case packetIn:
			p.In, good = a.number()
		case packetOut:
			p.Out, good = a.number()
		case packetPayload:
			p.Data = a.value
		case packetLength:
			length, good = a.number()
		}
	}
	// Only a hostile sender makes a packet that is too long for the queue. Its receiver
	// would read what we cannot.
	return p, named, good && len(attrs) == 0 && p.Data != nil && int64(length) <= int64(len(p.Data))
}
