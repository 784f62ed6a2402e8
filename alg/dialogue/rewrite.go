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
// out the same whatever it will be.
func MayAnnounce(m Mode, begun []byte) bool {
	begins := func(with string) bool {
		return len(begun) > len(with) && bytes.EqualFold(begun[:len(with)], []byte(with))
	}
	if m == Active {
		return begins("PORT ") || begins("EPRT ")
	}
	return begins("227 ") || begins("229 ")
}
