package check

import (
	"bytes"
	"slices"
)

// answer is what can be said of a condition, and of a packet of which not everything is known.
type answer uint8

const (
	no answer = iota
	maybe
	yes
)

func (a answer) not() answer { return yes - a }

func (a answer) and(b answer) answer { return min(a, b) }

func truth(b bool) answer {
	if b {
		return yes
	}
	return no
}

// value is what is known of some bytes: those bits of bytes that are set in known. The
// others are zero in both.
type value struct{ bytes, known []byte }

// exactly is a value of which everything is known.
func exactly(b []byte) value {
	return value{b, bytes.Repeat([]byte{0xff}, len(b))}
}

// unknown is a value of n bytes of which nothing is known.
func unknown(n int) value { return value{make([]byte, n), make([]byte, n)} }

// part returns n bytes from an offset. What is beyond the end is not known.
func (v value) part(offset, n int) value {
	out := unknown(n)
	if offset < len(v.bytes) {
		copy(out.bytes, v.bytes[offset:])
		copy(out.known, v.known[offset:])
	}
	return out
}

// bitwise is v & mask ^ xor.
func (v value) bitwise(mask, xor []byte) value {
	out := unknown(len(v.bytes))
	for i := range v.bytes {
		out.known[i] = v.known[i] | ^mask[i]
		out.bytes[i] = (v.bytes[i]&mask[i] ^ xor[i]) & out.known[i]
	}
	return out
}

// equals compares with what is known whole.
func (v value) equals(b []byte) answer {
	whole := true
	for i := range min(len(v.bytes), len(b)) {
		if (v.bytes[i]^b[i])&v.known[i] != 0 {
			return no
		}
		whole = whole && v.known[i] == 0xff
	}
	if !whole || len(v.bytes) != len(b) {
		return maybe
	}
	return yes
}

// below compares byte by byte as the kernel does: v < b.
func (v value) below(b []byte) answer {
	greatest := slices.Clone(v.bytes) // the least has zeros for what is not known
	for i := range greatest {
		greatest[i] |= ^v.known[i]
	}
	switch {
	case bytes.Compare(greatest, b) < 0:
		return yes
	case bytes.Compare(v.bytes, b) >= 0:
		return no
	}
	return maybe
}

// above compares likewise: v > b.
func (v value) above(b []byte) answer {
	greatest := slices.Clone(v.bytes)
	for i := range greatest {
		greatest[i] |= ^v.known[i]
	}
	switch {
	case bytes.Compare(v.bytes, b) > 0:
		return yes
	case bytes.Compare(greatest, b) <= 0:
		return no
	}
	return maybe
}

// or is what is known whichever of the two it is.
func (v value) or(w value) value {
	out := unknown(len(v.bytes))
	for i := range v.bytes {
		out.known[i] = v.known[i] & w.known[i] &^ (v.bytes[i] ^ w.bytes[i])
		out.bytes[i] = v.bytes[i] & out.known[i]
	}
	return out
}
