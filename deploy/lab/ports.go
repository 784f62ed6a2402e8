package lab

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Ports are the ports from First to Last; the zero value are all there are. In JSON, as
// the daemon writes it, one port is a number, 0 is any, and a range is a string: "1-1023".
type Ports struct{ First, Last uint16 }

// String writes the ports in a few words: "20", "1-1023" or "any".
func (p Ports) String() string {
	switch {
	case p == Ports{}:
		return "any"
	case p.First == p.Last:
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// MarshalJSON implements json.Marshaler.
func (p Ports) MarshalJSON() ([]byte, error) {
	if p.First == p.Last {
		return json.Marshal(p.First)
	}
	return json.Marshal(p.String())
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Ports) UnmarshalJSON(text []byte) error {
	if string(text) == "null" { // by convention
		return nil
	}
	from, to, ranged := strings.Cut(strings.Trim(string(text), `"`), "-")
	if !ranged {
		to = from
	}
	first, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return fmt.Errorf("reading ports %s: %w", text, err)
	}
	last, err := strconv.ParseUint(to, 10, 16)
	if err != nil {
		return fmt.Errorf("reading ports %s: %w", text, err)
	}
	*p = Ports{uint16(first), uint16(last)}
	return nil
}
