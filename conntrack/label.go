package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// labelsLen is NF_CT_LABELS_MAX_SIZE: the labels of a flow, in bytes.
const labelsLen = 16

// labelBit returns a label alone, as the kernel keeps labels: a bitmap of longs.
func labelBit(label uint8) (b [labelsLen]byte, err error) {
	switch {
	case label >= labelsLen*8:
		return b, fmt.Errorf("label %d is not within 0 and %d", label, labelsLen*8-1)
	case bits.UintSize == 32:
		binary.NativeEndian.PutUint32(b[label/32*4:], 1<<(label%32))
	default:
		binary.NativeEndian.PutUint64(b[label/64*8:], 1<<(label%64))
	}
	return b, nil
}

// Vouch implements alg.Flows. The flow's other labels stay. A label cannot be put on a
// flow that is not there, which is ErrNoFlow, or that has no room for it: ErrNoLabels.
func (c *Conn) Vouch(f alg.Flow, on bool) error {
	err := c.vouch(f, on)
	switch {
	case err == nil, !on && (errors.Is(err, ErrNoFlow) || errors.Is(err, ErrNoLabels)):
		return nil
	case on:
		return fmt.Errorf("labelling control connection %s to %s: %w", f.Client, f.Server, err)
	default:
		return fmt.Errorf("taking the label off control connection %s to %s: %w", f.Client, f.Server, err)
	}
}

func (c *Conn) vouch(f alg.Flow, on bool) error {
	entry, ok, err := c.control(f)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNoFlow
	}
	// Of the rest of the entry nothing is sent back: it would be set too. The labels
	// become what they are without those of the mask, and with those that are given
	// (nf_connlabels_replace). The kernel answers when it is done.
	update := conntrack.Flow{
		TupleOrig: entry.TupleOrig, TupleReply: entry.TupleReply,
		Labels: make([]byte, labelsLen), LabelsMask: c.label[:],
	}
	if on {
		update.Labels = c.label[:]
	}
	err = c.conn.Update(update)
	switch {
	case errors.Is(err, unix.ENOENT): // gone meanwhile
		return ErrNoFlow
	case errors.Is(err, unix.ENOSPC):
		return ErrNoLabels
	}
	return err
}

// Vouched returns the control connections that bear the label, and of each whether it is
// translated. It reads all that is tracked: a question for the start of a daemon.
func (c *Conn) Vouched() (translated map[alg.Flow]bool, err error) {
	entries, err := c.conn.Dump(nil)
	if err != nil {
		return nil, fmt.Errorf("listing the labelled control connections: %w", err)
	}
	translated = make(map[alg.Flow]bool)
	for _, e := range entries { // an entry that moves while it is listed comes twice
		if e.TupleOrig.Proto.Protocol != unix.IPPROTO_TCP || !c.bears(e) {
			continue
		}
		c.dialled.note(e) // it will be asked for
		f := seen(e)
		translated[f] = translation(e) != alg.Translation(f)
	}
	return translated, nil
}

// bears reports whether the label is on an entry. One that bears none has no list.
func (c *Conn) bears(e conntrack.Flow) bool {
	for i, b := range c.label {
		if b != 0 && len(e.Labels) > i && e.Labels[i]&b != 0 {
			return true
		}
	}
	return false
}
