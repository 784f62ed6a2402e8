package dialogue

import (
	"bytes"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// Instead appends the line that goes out in place of one that made an announcement, where
// addresses are translated: it announces where the other end has to connect. The line is
// without what ended it, as [Dialogue.Command] and [Dialogue.Reply] take it.
func (a Announcement) Instead(dst, line []byte, at netip.AddrPort) []byte {
	const code = 4 // "227 "
	switch {
	case a.Mode == Active:
		return ftp.RewriteCommand(dst, line, at)
	case len(line) < code:
		return append(dst, line...)
	case line[2] == '7':
		return ftp.RewritePasv(append(dst, line[:code]...), line[code:], at)
	}
	return ftp.RewriteEpsv(append(dst, line[:code]...), line[code:], at.Port())
}

// MayAnnounce reports whether a line of which so much has been read may become an
// announcement of this mode, and its address has begun. What comes before the address goes
// out the same whatever it will be, and must not wait for it: its sender may wait for the
// acknowledgement (RFC 9293, section 3.7.4).
func MayAnnounce(m Mode, begun []byte) bool {
	const digits = "0123456789"
	after := func(with string) (rest []byte, ok bool) {
		if len(begun) <= len(with) || !bytes.EqualFold(begun[:len(with)], []byte(with)) {
			return nil, false
		}
		return begun[len(with):], true
	}
	if m == Active {
		_, port := after("PORT ")
		_, eprt := after("EPRT ")
		return port || eprt
	}
	if rest, ok := after("229 "); ok {
		_, group, _ := bytes.Cut(rest, []byte("("))
		return bytes.ContainsAny(group, digits)
	}
	rest, ok := after("227 ")
	return ok && bytes.ContainsAny(rest, digits)
}
