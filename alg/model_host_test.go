package alg_test

import (
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// host is the honest end of a connection: the rules of RFC 9293 that decide what it reads
// and what it says, and nothing of congestion.
type host struct {
	side     side
	iss      uint32
	una, nxt uint32 // sent and not acknowledged; to be sent next
	rcv      uint32 // expected next
	limit    uint32 // what the peer's window allows to be sent up to
	up       bool   // established
	over     bool
	fin      bool   // the peer's FIN was read
	fast     int    // bytes that the SYN brought (RFC 7413)
	out      []byte // all that the application says; the first byte has number iss+1
	read     []byte // all that it has read
	early    map[uint32]byte
}

// sent is the number of bytes of out that went out at least once.
func (h *host) sent() int { return int(h.nxt - h.iss - 1) }

// answer is a segment without data that the host sends by itself.
type answer struct {
	seq, ack uint32
	flags    uint8
}

func (h *host) ack() []answer { return []answer{{h.nxt, h.rcv, tcp.ACK}} }

// receive takes a segment and the window that it offers, and returns the answers.
func (h *host) receive(seg *tcp.Segment, window uint32) []answer {
	switch {
	case h.over:
		return nil
	case !h.up && h.side == fromClient:
		return h.synSent(seg, window)
	case !h.up:
		return h.listening(seg, window)
	case seg.Has(tcp.RST): // RFC 5961, section 3.2
		if seg.Seq == h.rcv {
			h.over = true
		}
		return nil
	case seg.Has(tcp.SYN): // RFC 5961, section 4.2
		return h.ack()
	case !seg.Has(tcp.ACK):
		return nil
	case tcp.Diff(seg.Ack, h.nxt) > 0: // RFC 9293, section 3.10.7.4, fifth
		return h.ack()
	}
	if tcp.Diff(seg.Ack, h.una) > 0 {
		h.una = seg.Ack
	}
	h.limit = h.una + window
	return h.take(seg)
}

// synSent is a client that waits for the answer to its SYN.
func (h *host) synSent(seg *tcp.Segment, window uint32) []answer {
	acked := int(tcp.Diff(seg.Ack, h.iss+1))
	switch {
	case seg.Has(tcp.ACK) && (acked < 0 || acked > h.fast):
		if seg.Has(tcp.RST) {
			return nil
		}
		return []answer{{seg.Ack, 0, tcp.RST}}
	case seg.Has(tcp.RST):
		h.over = seg.Has(tcp.ACK)
		return nil
	case !seg.Has(tcp.SYN | tcp.ACK):
		return nil
	}
	h.up = true
	h.una, h.nxt, h.rcv = seg.Ack, seg.Ack, seg.Seq+1
	h.limit = h.una + window
	return h.ack()
}

// listening is a server before the connection stands.
func (h *host) listening(seg *tcp.Segment, window uint32) []answer {
	switch {
	case seg.Has(tcp.RST):
		return nil
	case seg.Has(tcp.SYN) && !seg.Has(tcp.ACK):
		h.rcv = seg.Seq + 1
		h.una, h.nxt = h.iss, h.iss+1
		return []answer{{h.iss, h.rcv, tcp.SYN | tcp.ACK}}
	case h.nxt == 0, !seg.Has(tcp.ACK):
		return nil
	case seg.Ack != h.iss+1:
		return []answer{{seg.Ack, 0, tcp.RST}}
	case seg.Seq != h.rcv:
		return h.ack()
	}
	h.up, h.una, h.limit = true, seg.Ack, seg.Ack+window
	return h.take(seg)
}

// take reads what is in order.
func (h *host) take(seg *tcp.Segment) []answer {
	const most = 65535
	if h.fin {
		return h.ack()
	}
	for i, b := range seg.Payload {
		at := seg.Seq + uint32(i)
		if _, have := h.early[at]; !have && tcp.Diff(at, h.rcv) >= 0 && tcp.Diff(at, h.rcv) < most {
			if h.early == nil {
				h.early = map[uint32]byte{}
			}
			h.early[at] = b
		}
	}
	for {
		b, have := h.early[h.rcv]
		if !have {
			break
		}
		delete(h.early, h.rcv)
		h.read = append(h.read, b)
		h.rcv++
	}
	if seg.Has(tcp.FIN) && seg.Seq+uint32(len(seg.Payload)) == h.rcv {
		h.fin = true
		h.rcv++
	}
	if len(seg.Payload) == 0 && !seg.Has(tcp.FIN) && tcp.Diff(seg.Seq, h.rcv) >= 0 {
		return nil
	}
	return h.ack() // one from before the window is answered, too (RFC 9293, section 3.10.7.4, first)
}

// next returns up to n bytes to be sent, and their number: from the first that is not
// acknowledged if again is true, or else the new ones.
func (h *host) next(n int, again bool) (uint32, []byte) {
	if !h.up || h.over {
		return 0, nil
	}
	seq := h.nxt
	if again {
		seq = h.una
	}
	left := h.out[min(int(seq-h.iss-1), len(h.out)):]
	n = min(n, len(left), max(int(tcp.Diff(h.limit, seq)), 0))
	if end := seq + uint32(n); tcp.Diff(end, h.nxt) > 0 {
		h.nxt = end
	}
	return seq, left[:n]
}
