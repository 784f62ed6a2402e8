package dialogue

import (
	"encoding"
	"encoding/binary"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

var (
	_ encoding.BinaryAppender    = (*Dialogue)(nil)
	_ encoding.BinaryUnmarshaler = (*Dialogue)(nil)
)

// form is the first byte of a dialogue that was written down. It changes with the fields.
const form = 1

// flags are the dialogue's yes and no, in the order in which they are written.
func (d *Dialogue) flags() [7]*bool {
	return [...]*bool{&d.loggedIn, &d.spoken, &d.unproven, &d.midway, &d.noMore, &d.wanted, &d.came}
}

// AppendBinary appends the dialogue as bytes, for UnmarshalBinary. It never fails.
func (d *Dialogue) AppendBinary(b []byte) ([]byte, error) {
	var flags byte
	for i, f := range d.flags() {
		if *f {
			flags |= 1 << i
		}
	}
	b = append(b, form, byte(d.phase), flags, byte(d.doubt), d.due.n)
	b = binary.BigEndian.AppendUint16(b, uint16(d.replies.Open()))
	for _, e := range d.due.entries[:d.due.n] {
		b = append(b, byte(e.kind), e.flags)
		b = binary.BigEndian.AppendUint16(b, e.n)
	}
	a := d.live
	b = append(b, byte(a.State))
	if a.State == None {
		return b, nil
	}
	b = append(b, byte(a.Mode))
	b = binary.BigEndian.AppendUint16(b, a.From.First)
	b = binary.BigEndian.AppendUint16(b, a.From.Last)
	return a.At.AppendBinary(b)
}

// UnmarshalBinary reads what AppendBinary wrote. Its error is [ftp.ErrEncoding]; the
// dialogue is not changed then.
func (d *Dialogue) UnmarshalBinary(b []byte) error {
	const head, perEntry, announced = 7, 4, 5
	if len(b) < head+1 || b[0] != form || phase(b[1]) > over || b[2] >= 1<<7 || doubt(b[3]) > takenUp || b[4] > maxDue {
		return ftp.ErrEncoding
	}
	var n Dialogue
	n.phase, n.doubt, n.due.n = phase(b[1]), doubt(b[3]), b[4]
	for i, f := range n.flags() {
		*f = b[2]>>i&1 != 0
	}
	var ok bool
	if n.replies, ok = ftp.InReply(int(binary.BigEndian.Uint16(b[5:]))); !ok {
		return ftp.ErrEncoding
	}
	b = b[head:]
	if len(b) < int(n.due.n)*perEntry+1 {
		return ftp.ErrEncoding
	}
	for i := range int(n.due.n) {
		e := entry{kind(b[0]), b[1], binary.BigEndian.Uint16(b[2:])}
		if e.kind > empty || e.flags > stale|optional|begun || e.n == 0 {
			return ftp.ErrEncoding
		}
		n.due.entries[i] = e
		b = b[perEntry:]
	}
	n.live.State = State(b[0])
	switch b = b[1:]; {
	case n.live.State == None && len(b) == 0:
	case n.live.State == None || n.live.State > Opened || len(b) < announced || Mode(b[0]) > Passive:
		return ftp.ErrEncoding
	default:
		n.live.Mode = Mode(b[0])
		n.live.From = Ports{binary.BigEndian.Uint16(b[1:]), binary.BigEndian.Uint16(b[3:])}
		var at netip.AddrPort
		if err := at.UnmarshalBinary(b[announced:]); err != nil || !at.IsValid() || at.Addr().Zone() != "" {
			return ftp.ErrEncoding
		}
		n.live.At = at
	}
	if !n.sound() {
		return ftp.ErrEncoding
	}
	*d = n
	return nil
}

// sound reports whether what is noted beside the live announcement can be so.
func (d *Dialogue) sound() bool {
	switch d.live.State {
	case None:
		return !d.wanted && !d.came
	case Opened:
		return d.Followed() && !d.wanted
	}
	return d.Followed() && !d.came
}
