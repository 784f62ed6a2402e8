package ftp

import "net/netip"

// netip.ParseAddr takes a string and puts it into its errors, which would be an
// allocation for each EPRT. The two functions here accept what it accepts, but
// for zones.

// parseIPv4 reads the dotted form: four decimal numbers without leading zeros.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var a [4]byte
	for i := range a {
		if i > 0 {
			if len(b) == 0 || b[0] != '.' {
				return netip.Addr{}, false
			}
			b = b[1:]
		}
		value, digits := cutNumber(b)
		if digits == 0 || value > 255 || digits > 1 && b[0] == '0' {
			return netip.Addr{}, false
		}
		a[i] = byte(value)
		b = b[digits:]
	}
	return netip.AddrFrom4(a), len(b) == 0
}

// parseIPv6 reads the three text forms of RFC 4291 section 2.2.
func parseIPv6(b []byte) (netip.Addr, bool) {
	var a [16]byte
	n := 0    // bytes of a that are set
	gap := -1 // where "::" stands in a; -1: nowhere
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap = 0
		b = b[2:]
	}
	for len(b) > 0 {
		value, digits := cutHex(b)
		if digits == 0 || n == len(a) {
			return netip.Addr{}, false
		}
		if digits < len(b) && b[digits] == '.' {
			v4, ok := parseIPv4(b)
			if !ok || n > len(a)-4 {
				return netip.Addr{}, false
			}
			tail := v4.As4()
			n += copy(a[n:], tail[:])
			break
		}
		a[n], a[n+1] = byte(value>>8), byte(value)
		n += 2
		b = b[digits:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return netip.Addr{}, false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap >= 0 {
				return netip.Addr{}, false
			}
			gap = n
			b = b[1:]
		}
	}
	if n == len(a) {
		return netip.AddrFrom16(a), gap < 0 // "::" stands for one group at least
	}
	if gap < 0 {
		return netip.Addr{}, false
	}
	tail := n - gap
	copy(a[len(a)-tail:], a[gap:n])
	clear(a[gap : len(a)-tail])
	return netip.AddrFrom16(a), true
}

// cutHex reads the hexadecimal number at the start of b, at most four digits of it.
func cutHex(b []byte) (value uint16, digits int) {
	for digits < min(len(b), 4) {
		v, ok := hexValue(b[digits])
		if !ok {
			break
		}
		value = value<<4 | uint16(v)
		digits++
	}
	return value, digits
}

func hexValue(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10, true
	}
	return 0, false
}
