package ftp

import (
	"net/netip"
	"strconv"
)

// ParsePort reads the argument of PORT (RFC 959 section 4.1.2): exactly
// h1,h2,h3,h4,p1,p2, each a decimal number of one to three digits. The address is
// IPv4 and the port is not 0.
//
// The errors are [ErrNotSix], [ErrNumber] and [ErrPortZero].
func ParsePort(arg []byte) (netip.AddrPort, error) {
	var n [6]byte
	for i := range n {
		if i > 0 {
			if len(arg) == 0 || arg[0] != ',' {
				return netip.AddrPort{}, ErrNotSix
			}
			arg = arg[1:]
		}
		value, digits := cutNumber(arg)
		switch {
		case value > 255:
			return netip.AddrPort{}, ErrNumber
		case digits < 1 || digits > 3:
			return netip.AddrPort{}, ErrNotSix
		}
		n[i] = byte(value)
		arg = arg[digits:]
	}
	port := uint16(n[4])<<8 | uint16(n[5])
	switch {
	case len(arg) > 0:
		return netip.AddrPort{}, ErrNotSix
	case port == 0:
		return netip.AddrPort{}, ErrPortZero
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), port), nil
}

// AppendPort appends the argument of a PORT command. An address that is not IPv4
// appends nothing; an IPv4-mapped one counts as IPv4.
func AppendPort(dst []byte, ap netip.AddrPort) []byte {
	addr := ap.Addr().Unmap()
	if !addr.Is4() {
		return dst
	}
	for _, n := range addr.As4() {
		dst = strconv.AppendUint(dst, uint64(n), 10)
		dst = append(dst, ',')
	}
	dst = strconv.AppendUint(dst, uint64(ap.Port()>>8), 10)
	dst = append(dst, ',')
	return strconv.AppendUint(dst, uint64(ap.Port()&0xff), 10)
}

// ParsePasv reads the text of a 227 reply. The six numbers are written as in
// [ParsePort] and may stand anywhere in the text, in parentheses or not, since
// RFC 959 fixes no form (RFC 1123 section 4.1.2.6). They stand by themselves:
// after the start of the text, a space, "(" or "="; before its end, a space, ")"
// or ".".
//
// Clients differ in which of several candidates they read, so the six numbers
// must be the only digits with commas in the text; a second run of digits and
// commas is [ErrAmbiguous]. The other errors are those of ParsePort.
func ParsePasv(text []byte) (ap netip.AddrPort, err error) {
	for i := 0; i < len(text); i++ {
		start, digit, comma := i, false, false
		for ; i < len(text) && (isDigit(text[i]) || text[i] == ','); i++ {
			digit = digit || text[i] != ','
			comma = comma || text[i] == ','
		}
		if !digit || !comma {
			continue
		}
		if ap.IsValid() {
			return netip.AddrPort{}, ErrAmbiguous
		}
		if ap, err = ParsePort(text[start:i]); err != nil {
			return netip.AddrPort{}, err
		}
		if start > 0 && !isOneOf(text[start-1], " (=") || i < len(text) && !isOneOf(text[i], " ).") {
			return netip.AddrPort{}, ErrNotSix
		}
	}
	if !ap.IsValid() {
		return netip.AddrPort{}, ErrNotSix
	}
	return ap, nil
}

// AppendPasv appends the numbers of a 227 reply with their parentheses. An
// address that is not IPv4 appends nothing; an IPv4-mapped one counts as IPv4.
func AppendPasv(dst []byte, ap netip.AddrPort) []byte {
	if !ap.Addr().Unmap().Is4() {
		return dst
	}
	return append(AppendPort(append(dst, '('), ap), ')')
}

func isOneOf(c byte, set string) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// cutNumber reads the decimal number at the start of b and its length in digits.
// A number that is too large for a port or an address is returned as 65536.
func cutNumber(b []byte) (value uint32, digits int) {
	for digits < len(b) && isDigit(b[digits]) {
		value = min(value*10+uint32(b[digits]-'0'), 1<<16)
		digits++
	}
	return value, digits
}
