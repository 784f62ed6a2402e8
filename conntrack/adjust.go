package conntrack

import (
	"errors"
	"fmt"

	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// Adjust implements alg.Translations, in two system calls. The error is ErrNoFlow where the
// flow is gone or translated otherwise, and ErrNoSeqAdj where Prepare has not seen to it,
// or the kernel has made the flow's entry anew since: the adjustment is not in force then.
func (c *Conn) Adjust(f alg.Flow, t alg.Translation, from alg.Side, a alg.Adjustment) error {
	if _, err := c.adjust(f, t, from, a); err != nil {
		return fmt.Errorf("adjusting the sequence numbers of control connection %s to %s by %+d: %w", f.Client, f.Server, a.After, err)
	}
	return nil
}

// adjust sets an adjustment and reads it back: without room for it the kernel sets nothing
// and says that all is well (ctnetlink_change_seq_adj).
func (c *Conn) adjust(f alg.Flow, t alg.Translation, from alg.Side, a alg.Adjustment) (conntrack.Flow, error) {
	attr := uint16(ctaSeqAdjOrig)
	if from == alg.FromServer {
		attr = ctaSeqAdjReply
	}
	original := tuple(ctaTupleOrig, f.Client, t.Server)
	attrs := []netfilter.Attribute{original, seqAdj(attr, a)}
	if misjudged(a) {
		attrs = append(attrs, lenient())
	}
	set, err := message(msgNew, 0, f.Client.Addr(), attrs...)
	if err != nil {
		return conntrack.Flow{}, err
	}
	get, err := message(msgGet, 0, f.Client.Addr(), original)
	if err != nil {
		return conntrack.Flow{}, err
	}
	answers, err := c.raw.exchange(set, get)
	if err != nil {
		return conntrack.Flow{}, err
	}
	for _, answer := range answers {
		switch {
		case errors.Is(answer.err, unix.ENOENT):
			return conntrack.Flow{}, ErrNoFlow
		case answer.err != nil:
			return conntrack.Flow{}, answer.err
		}
	}
	entry := answers[1].flows[0]
	if seen(entry) != f || translation(entry) != t {
		return conntrack.Flow{}, ErrNoFlow
	}
	is := entry.SeqAdjOrig
	if from == alg.FromServer {
		is = entry.SeqAdjReply
	}
	if !entry.Status.SeqAdjust() || is.Position != a.Pos || is.OffsetBefore != uint32(a.Before) || is.OffsetAfter != uint32(a.After) {
		return entry, ErrNoSeqAdj
	}
	return entry, nil
}

// misjudged reports whether the kernel may take acknowledgements of what is adjusted for
// invalid. It adjusts them rightly, but before that, where it looks at windows (nf_ct_seq_offset,
// in tcp_in_window), it has one offset for the whole segment, by its acknowledgement: where
// that is of what is before the line, and a selective one in it is of what is behind, the
// latter is too high by what the line has grown, which is above all that was sent. What is
// not translated for that, the gateway itself gets, and resets. The same happens without a
// selective one where the receiver's numbers are behind. Of a line that has shrunk they are
// merely too low.
func misjudged(a alg.Adjustment) bool { return a.After > a.Before }

// lenient returns what has the kernel pass packets out of the window, of both directions:
// it learns nothing of a packet that it has passed so (nf_tcp_log_invalid), and what
// answers that one is out of the window too. State and window scales stay as they are.
func lenient() netfilter.Attribute {
	const flag = liberal<<8 | liberal // and its mask
	return nested(ctaProtoInfo, nested(1, be16(4, flag), be16(5, flag)))
}
