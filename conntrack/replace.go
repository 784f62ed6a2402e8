package conntrack

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// attempts bounds how often an entry is made anew: a packet that comes while there is none
// may make one of its own.
const attempts = 3

// replace takes an entry away and makes it anew, in one system call: packets that come
// between the two find none. To the gateway such a packet is its own, and answered with a
// reset, unless a rule drops what is neither tracked nor a SYN, in the hooks input and
// forward. None comes while the answer to a SYN is held. The error is ErrNoFlow where the
// connection has just ended, and ErrLost where its entry is gone for good.
func (c *Conn) replace(f alg.Flow, t alg.Translation, entry conntrack.Flow) error {
	original, reply := tuple(ctaTupleOrig, f.Client, t.Server), tuple(ctaTupleReply, f.Server, t.Client)
	create, err := message(msgNew, netlink.Create|netlink.Excl|netlink.Acknowledge, f.Client.Addr(), copied(f, t, entry)...)
	if err != nil {
		return err
	}
	remove := func(attrs ...netfilter.Attribute) (m netlink.Message) {
		if err == nil {
			m, err = message(msgDelete, netlink.Acknowledge, f.Client.Addr(), attrs...)
		}
		return m
	}
	// The very entry: its tuple may be another's by now (ctnetlink_del_conntrack).
	this := remove(original, be32(ctaID, entry.ID))
	one, other := remove(original), remove(reply)
	if err != nil {
		return err
	}
	answers, err := c.raw.exchange(this, create)
	if err != nil {
		return fmt.Errorf("making its entry anew: %w: %w", ErrLost, err)
	}
	removed, created := answers[0].err, answers[1].err
	if removed != nil && created == nil { // a new entry for nobody
		_, _ = c.raw.exchange(one)
	}
	switch {
	case errors.Is(removed, unix.ENOENT):
		return ErrNoFlow
	case removed != nil: // EBUSY: a flowtable has it
		return fmt.Errorf("taking its entry away: %w", removed)
	}
	for attempt := 1; errors.Is(created, unix.EEXIST) && attempt < attempts; attempt++ {
		// What came meanwhile has the one tuple or the other.
		if answers, err = c.raw.exchange(one, other, create); err != nil {
			return fmt.Errorf("making its entry anew: %w: %w", ErrLost, err)
		}
		created = answers[2].err
	}
	if created != nil {
		return fmt.Errorf("making its entry anew: %w: %w", ErrLost, created)
	}
	return nil
}

// What of an entry's status and flags a new one is given. The rest the kernel sets itself,
// or it is about packets that the new entry has not seen: with a highest acknowledgement
// that is not there either (IP_CT_TCP_FLAG_MAXACK_SET), a reset would be taken for invalid.
const (
	keptStatus = conntrack.StatusConfirmed | conntrack.StatusSeenReply | conntrack.StatusAssured | conntrack.StatusFixedTimeout
	keptFlags  = 0x0f // IP_CT_TCP_FLAG_ WINDOW_SCALE, SACK_PERM, CLOSE_INIT, BE_LIBERAL
	liberal    = 0x08 // IP_CT_TCP_FLAG_BE_LIBERAL
	synRecv    = 2    // TCP_CONNTRACK_SYN_RECV
)

// copied returns the attributes that make an entry anew, without its helper. Both ends are
// given a translation, also to what they are: the kernel looks for another port where it
// is free to (nf_nat_alloc_null_binding).
func copied(f alg.Flow, t alg.Translation, entry conntrack.Flow) []netfilter.Attribute {
	attrs := []netfilter.Attribute{
		tuple(ctaTupleOrig, f.Client, t.Server),
		tuple(ctaTupleReply, t.Server, f.Client), // as yet: see ctnetlink_setup_nat
		manip(ctaNATDst, f.Server),
		manip(ctaNATSrc, t.Client),
		be32(ctaStatus, uint32(entry.Status&keptStatus)),
		be32(ctaTimeout, max(entry.Timeout, 1)),
		be32(ctaMark, entry.Mark),
	}
	if p := entry.ProtoInfo.TCP; p != nil {
		// In mid-life the new entry may see a retransmission first, and not know what was
		// sent beyond it: it has to be lenient, as one that the kernel itself picks up in
		// mid-life is (tcp_new).
		var more uint16
		if p.State != synRecv {
			more = liberal << 8
		}
		// Flags are told and taken with the mask of those that are meant.
		flags := func(v uint16) uint16 { return v&(keptFlags<<8) | more | keptFlags }
		attrs = append(attrs, nested(ctaProtoInfo, nested(1, // CTA_PROTOINFO_TCP
			// The state, the window scales and the flags, each of the original direction first.
			u8(1, p.State), u8(2, p.OriginalWindowScale), u8(3, p.ReplyWindowScale),
			be16(4, flags(p.OriginalFlags)), be16(5, flags(p.ReplyFlags)))))
	}
	if len(entry.Labels) > 0 {
		attrs = append(attrs, netfilter.Attribute{Type: ctaLabels, Data: entry.Labels})
	}
	return attrs
}
