package ftp

import (
	"bytes"
	"net/netip"
	"strconv"
)

// RewriteCommand appends a PORT or EPRT line that announces another address in place of
// the one it does; all else of the line stays, and so does the CR at its end. The line is
// one of which [ParseCommand] and the parser of its argument made sense.
func RewriteCommand(dst, line []byte, at netip.AddrPort) []byte {
	c, err := ParseCommand(line)
	if err != nil || len(c.Arg) == 0 {
		return append(dst, line...)
	}
	end := len(trimCR(line))
	dst = append(dst, line[:end-len(c.Arg)]...)
	if c.Verb == Eprt {
		dst = AppendEprt(dst, c.Arg[0], at)
	} else {
		dst = AppendPort(dst, at)
	}
	return append(dst, line[end:]...)
}

// RewritePasv appends the text of a 227 reply with another address in place of the one that
// [ParsePasv] finds in it.
func RewritePasv(dst, text []byte, at netip.AddrPort) []byte {
	for i := 0; i < len(text); i++ {
		start, digit, comma := i, false, false
		for ; i < len(text) && (isDigit(text[i]) || text[i] == ','); i++ {
			digit = digit || text[i] != ','
			comma = comma || text[i] == ','
		}
		if digit && comma {
			return append(AppendPort(append(dst, text[:start]...), at), text[i:]...)
		}
	}
	return append(dst, text...)
}

// RewriteEpsv appends the text of a 229 reply with another port in place of the one that
// [ParseEpsv] finds in it.
func RewriteEpsv(dst, text []byte, port uint16) []byte {
	const before = 4 // "(|||"
	at := bytes.IndexByte(text, '(') + before
	if at < before || at > len(text) {
		return append(dst, text...)
	}
	_, digits := cutNumber(text[at:])
	dst = strconv.AppendUint(append(dst, text[:at]...), uint64(port), 10)
	return append(dst, text[at+digits:]...)
}
