package dialogue

import (
	"encoding"
	"fmt"
	"strconv"
	"strings"
)

// Mode says which end of the dialogue waits for the data connection.
type Mode uint8

const (
	// Active: the client listens, the server connects (PORT, EPRT).
	Active Mode = iota
	// Passive: the server listens, the client connects (PASV, EPSV).
	Passive
)

var (
	_ encoding.TextMarshaler   = Mode(0)
	_ encoding.TextUnmarshaler = (*Mode)(nil)
)

// String returns the mode as configuration and events spell it.
func (m Mode) String() string {
	if m == Active {
		return "active"
	}
	return "passive"
}

// MarshalText writes the mode as configuration and events spell it. It never fails.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads "active" or "passive" and refuses everything else.
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "active":
		*m = Active
	case "passive":
		*m = Passive
	default:
		return fmt.Errorf("%q is neither \"active\" nor \"passive\"", text)
	}
	return nil
}

// Ports is a range of TCP ports, both ends included. The zero value is every port.
type Ports struct {
	First, Last uint16
}

// Port is the range of one port; 0 stands for every port.
func Port(p uint16) Ports { return Ports{p, p} }

// Any reports whether the range is every port.
func (r Ports) Any() bool { return r == Ports{} }

// Single returns the one port of the range, and false where there are more.
func (r Ports) Single() (uint16, bool) { return r.First, r.First == r.Last && r.First != 0 }

// Contains reports whether the port is in the range.
func (r Ports) Contains(p uint16) bool { return r.Any() || r.First <= p && p <= r.Last }

// String returns "any", "20" or "1-1023".
func (r Ports) String() string {
	switch {
	case r.Any():
		return "any"
	case r.First == r.Last:
		return strconv.Itoa(int(r.First))
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// ParsePorts reads "20" or "1-1023". Ports are from 1 to 65535, the lower one first.
func ParsePorts(text string) (Ports, error) {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	lo, err := strconv.ParseUint(first, 10, 16)
	hi, err2 := strconv.ParseUint(last, 10, 16)
	if err != nil || err2 != nil || lo == 0 || hi < lo {
		return Ports{}, fmt.Errorf("%q is neither a port nor a range of ports, such as \"50000-50100\"", text)
	}
	return Ports{uint16(lo), uint16(hi)}, nil
}
