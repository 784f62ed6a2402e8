package ftp

import (
	"bytes"
	"net/netip"
	"strconv"
)

// ParseEprt reads the argument of EPRT (RFC 2428 section 2): exactly
// <d>family<d>address<d>port<d>. The delimiter is any one ASCII character from 33
// to 126 other than a digit; the family is 1 (IPv4) or 2 (IPv6); the address is
// the family's own text form, without a zone; the port is a decimal number from 1
// to 65535 without leading zeros.
//
// The errors are [ErrForm], [ErrFamily], [ErrAddress], [ErrMapped], [ErrPort] and
// [ErrPortZero].
func ParseEprt(arg []byte) (netip.AddrPort, error) {
	f, rest, ok := cutFields(arg)
	if !ok || len(rest) > 0 {
		return netip.AddrPort{}, ErrForm
	}
	var addr netip.Addr
	switch string(f.family) {
	case "1":
		addr, ok = parseIPv4(f.addr)
	case "2":
		addr, ok = parseIPv6(f.addr)
	default:
		return netip.AddrPort{}, ErrFamily
	}
	switch {
	case !ok:
		return netip.AddrPort{}, ErrAddress
	case addr.Is4In6():
		// On the wire it is an IPv4 connection that the announcement calls IPv6.
		return netip.AddrPort{}, ErrMapped
	}
	port, err := f.checkPort()
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addr, port), nil
}

// AppendEprt appends the argument of an EPRT command. An IPv4-mapped address is
// written as IPv4, a zone is left out, and an invalid address appends nothing. A
// delimiter that RFC 2428 does not allow, or that could be part of an address, is
// replaced by "|".
func AppendEprt(dst []byte, delim byte, ap netip.AddrPort) []byte {
	addr := ap.Addr().Unmap().WithZone("")
	if !addr.IsValid() {
		return dst
	}
	if _, hex := hexValue(delim); hex || !isDelim(delim) || isOneOf(delim, ".:") {
		delim = '|'
	}
	family := byte('1')
	if addr.Is6() {
		family = '2'
	}
	dst = append(dst, delim, family, delim)
	dst = append(addr.AppendTo(dst), delim)
	dst = strconv.AppendUint(dst, uint64(ap.Port()), 10)
	return append(dst, delim)
}

// ParseEpsv reads the port from the text of a 229 reply (RFC 2428 section 3): one
// group (<d><d><d>port<d>) with text around it, where family and address are
// empty. The delimiter and the port are written as in [ParseEprt].
//
// The group begins at the first "(", and a second one after it is [ErrAmbiguous],
// since clients differ in which they read. The other errors are [ErrEpsvForm],
// [ErrEpsvAddress], [ErrPort] and [ErrPortZero].
func ParseEpsv(text []byte) (port uint16, err error) {
	_, group, _ := bytes.Cut(text, []byte("("))
	f, rest, ok := cutFields(group)
	switch {
	case !ok || len(rest) == 0 || rest[0] != ')':
		return 0, ErrEpsvForm
	case len(f.family) > 0 || len(f.addr) > 0:
		return 0, ErrEpsvAddress
	case bytes.IndexByte(rest, '(') >= 0:
		return 0, ErrAmbiguous
	}
	return f.checkPort()
}

// AppendEpsv appends the parenthesised part of a 229 reply.
func AppendEpsv(dst []byte, port uint16) []byte {
	dst = strconv.AppendUint(append(dst, "(|||"...), uint64(port), 10)
	return append(dst, "|)"...)
}

// EpsvArg is what an EPSV command asks for.
type EpsvArg uint8

const (
	EpsvAny  EpsvArg = iota // no argument: a port in the family of the control connection
	EpsvIPv4                // 1
	EpsvIPv6                // 2
	EpsvAll                 // ALL: no PORT, EPRT or PASV will follow; the reply announces nothing
)

// ParseEpsvArg reads the argument of EPSV (RFC 2428 sections 3 and 4): nothing,
// 1, 2, or ALL in either case. Everything else is [ErrEpsvArg].
func ParseEpsvArg(arg []byte) (EpsvArg, error) {
	switch {
	case len(arg) == 0:
		return EpsvAny, nil
	case string(arg) == "1":
		return EpsvIPv4, nil
	case string(arg) == "2":
		return EpsvIPv6, nil
	case bytes.EqualFold(arg, []byte("ALL")):
		return EpsvAll, nil
	}
	return EpsvAny, ErrEpsvArg
}

// fields is what EPRT and 229 carry.
type fields struct {
	family, addr []byte
	port         uint32 // decimal; 65536 stands for everything above 65535
}

// cutFields splits <d>family<d>address<d>port<d> from the start of b. It judges
// the form and that the port is a number, not the values.
func cutFields(b []byte) (f fields, rest []byte, ok bool) {
	if len(b) == 0 || !isDelim(b[0]) {
		return fields{}, nil, false
	}
	delim := b[:1]
	f.family, rest, _ = bytes.Cut(b[1:], delim)
	f.addr, rest, _ = bytes.Cut(rest, delim)
	digits, rest, ok := bytes.Cut(rest, delim)
	port, n := cutNumber(digits)
	f.port = port
	leadingZero := n > 1 && digits[0] == '0' // octal to some C programs
	return f, rest, ok && n > 0 && n == len(digits) && !leadingZero
}

func (f fields) checkPort() (uint16, error) {
	switch {
	case f.port > 65535:
		return 0, ErrPort
	case f.port == 0:
		return 0, ErrPortZero
	}
	return uint16(f.port), nil
}

// isDelim reports whether c separates the fields of EPRT and 229. A digit is in
// the range of RFC 2428 section 2, but cannot be told from the port.
func isDelim(c byte) bool { return 33 <= c && c <= 126 && !isDigit(c) }
