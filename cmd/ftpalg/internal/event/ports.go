package event

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ftpalg/ftpalg/alg"
)

// Ports is a range of source ports as events and the control socket write it: a number
// where it is one port, 0 where it is any, and text where it is a range, "1-1023".
type Ports alg.Ports

// String returns "any", "20" or "1-1023".
func (p Ports) String() string { return alg.Ports(p).String() }

// MarshalJSON writes a number, or the text of a range. It never fails.
func (p Ports) MarshalJSON() ([]byte, error) {
	switch port, one := alg.Ports(p).Single(); {
	case one:
		return json.Marshal(port)
	case alg.Ports(p).Any():
		return []byte("0"), nil
	}
	return json.Marshal(p.String())
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Ports) UnmarshalJSON(b []byte) error {
	if !strings.HasPrefix(string(b), `"`) {
		var port uint16
		if err := json.Unmarshal(b, &port); err != nil {
			return err
		}
		*p = Ports{First: port, Last: port}
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	var r Ports
	if _, err := fmt.Sscanf(text, "%d-%d", &r.First, &r.Last); err != nil || r.First == 0 || r.First >= r.Last || r.String() != text {
		return fmt.Errorf("%q is not a range of ports", text)
	}
	*p = r
	return nil
}
