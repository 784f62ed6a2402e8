package tcp

// Adjustment is a correction of the numbers of one direction: what a sender calls n the
// receiver calls n + Before, up to and with Pos, and n + After beyond it. The kernel keeps
// one a direction (nf_ct_seq_adjust), so the line that made the last one has to be
// acknowledged before the next is made.
type Adjustment struct {
	Pos           uint32
	Before, After int32
}

// Out returns what the receiver calls a number of the sender.
func (a Adjustment) Out(seq uint32) uint32 {
	if Diff(seq, a.Pos) > 0 {
		return seq + uint32(a.After)
	}
	return seq + uint32(a.Before)
}

// Level reports whether a number is corrected by what all later ones are, too.
func (a Adjustment) Level(seq uint32) bool { return a.Before == a.After || Diff(seq, a.Pos) > 0 }

// In returns what the sender calls a number that the receiver acknowledges.
func (a Adjustment) In(ack uint32) uint32 {
	if Diff(ack-uint32(a.Before), a.Pos) > 0 {
		return ack - uint32(a.After)
	}
	return ack - uint32(a.Before)
}
