package conntrack

import (
	"errors"
	"fmt"

	"github.com/ti-mo/conntrack"

	"github.com/ftpalg/ftpalg/alg"
)

var _ alg.Translations = (*Conn)(nil)

// Errors of translated flows, for errors.Is.
var (
	// ErrNoSeqAdj: the kernel does not adjust the flow's sequence numbers.
	ErrNoSeqAdj = errors.New("the kernel does not adjust its sequence numbers")
	// ErrLost: the flow's entry was taken away to be made anew, and could not be. What
	// is sent on the connection is not translated any more.
	ErrLost = errors.New("its entry is lost")
)

// nothing is an adjustment that changes no number, and can be told from none.
var nothing = alg.Adjustment{Pos: 1}

// Prepare implements alg.Translations. A flow that is not translated is left as it is. One
// that is to be adjustable, and whose entry has no room for adjustments (struct
// nf_conn_seqadj, which is there where a helper was, and in what ctnetlink creates), gets a
// new entry: its ID may be another, it is counted from 0 on, and what its windows are the
// kernel learns anew. See replace for what may come meanwhile.
//
// A flow in a conntrack zone is not known, and one of which both ends are translated only
// where no other has the same ends. The error is ErrNoSeqAdj, with a translation, where the
// kernel cannot adjust the flow, and ErrLost where the flow is broken.
func (c *Conn) Prepare(f alg.Flow, adjustable bool) (t alg.Translation, a [2]alg.Adjustment, ok bool, err error) {
	entry, ok, err := c.control(f)
	if err == nil && !ok {
		entry, ok, err = c.search(f)
	}
	if err == nil && ok {
		t = translation(entry)
		if adjustable && t != alg.Translation(f) && !entry.Status.SeqAdjust() {
			entry, ok, err = c.extend(f, t, entry)
		}
	}
	if err != nil {
		err = fmt.Errorf("preparing control connection %s to %s for translation: %w", f.Client, f.Server, err)
	}
	if !ok {
		return alg.Translation{}, a, false, err
	}
	a[alg.FromClient], a[alg.FromServer] = adjustment(entry.SeqAdjOrig), adjustment(entry.SeqAdjReply)
	return t, a, true, err
}

func translation(entry conntrack.Flow) alg.Translation {
	return alg.Translation{Client: destination(entry.TupleReply), Server: destination(entry.TupleOrig)}
}

// adjustment returns an adjustment that the kernel told; one that changes nothing is zero.
func adjustment(s conntrack.SequenceAdjust) alg.Adjustment {
	if s.OffsetBefore == 0 && s.OffsetAfter == 0 {
		return alg.Adjustment{}
	}
	return alg.Adjustment{Pos: s.Position, Before: int32(s.OffsetBefore), After: int32(s.OffsetAfter)}
}

// extend sees to it that an entry has room for adjustments, and returns it as it is then.
// The kernel shows adjustments, and says that there are any, once one was set and had
// room; else it forgets what was set, and says nothing (ctnetlink_change_seq_adj).
func (c *Conn) extend(f alg.Flow, t alg.Translation, entry conntrack.Flow) (conntrack.Flow, bool, error) {
	got, err := c.adjust(f, t, alg.FromClient, nothing)
	switch {
	case err == nil:
		return got, true, nil
	case errors.Is(err, ErrNoFlow):
		return conntrack.Flow{}, false, nil
	case !errors.Is(err, ErrNoSeqAdj):
		return entry, true, err
	}
	switch err := c.replace(f, t, entry); {
	case errors.Is(err, ErrNoFlow):
		return conntrack.Flow{}, false, nil
	case err != nil:
		return entry, !errors.Is(err, ErrLost), err
	}
	got, err = c.adjust(f, t, alg.FromClient, nothing)
	return got, err == nil || errors.Is(err, ErrNoSeqAdj), err
}
