package conntrack

import (
	"errors"
	"fmt"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// Adjust implements alg.Translations, in two system calls. The error is ErrNoFlow where the
// flow is gone or translated otherwise, and ErrNoSeqAdj where Prepare has not seen to it,
// or the kernel has made the flow's entry anew since: the adjustment is not in force then.
func (c *Conn) Adjust(f alg.Flow, t alg.Translation, from tcp.Side, a alg.Adjustment) error {
	if _, err := c.adjust(f, t, from, a); err != nil {
		return fmt.Errorf("adjusting the sequence numbers of control connection %s to %s by %+d: %w", f.Client, f.Server, a.After, err)
	}
	return nil
}

// adjust sets an adjustment and reads it back: without room for it the kernel sets nothing
// and says that all is well (ctnetlink_change_seq_adj).
func (c *Conn) adjust(f alg.Flow, t alg.Translation, from tcp.Side, a alg.Adjustment) (conntrack.Flow, error) {
	attr := uint16(ctaSeqAdjOrig)
	if from == tcp.Server {
		attr = ctaSeqAdjReply
	}
	original := tuple(ctaTupleOrig, f.Client, t.Server)
	set, err := message(msgNew, 0, f.Client.Addr(), original, seqAdj(attr, a))
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
	if from == tcp.Server {
		is = entry.SeqAdjReply
	}
	if !entry.Status.SeqAdjust() || is.Position != a.Pos || is.OffsetBefore != uint32(a.Before) || is.OffsetAfter != uint32(a.After) {
		return entry, ErrNoSeqAdj
	}
	return entry, nil
}
