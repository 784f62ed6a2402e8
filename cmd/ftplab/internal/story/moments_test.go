package story

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestPinholeMoments tells when it was found used from when it was closed, whatever the
// order in which the events name them.
func TestPinholeMoments(t *testing.T) {
	at := netip.MustParseAddrPort("10.1.4.4:46197")
	begin := time.Unix(1e9, 0)
	after := func(d time.Duration) time.Time { return begin.Add(d * time.Millisecond) }
	event := func(kind string, ms time.Duration) lab.Event {
		return lab.Event{
			Event: kind, Time: after(ms), Address: at.Addr(), Port: at.Port(), OpenedAt: begin,
			Source: netip.MustParseAddr("10.2.5.5"), SourcePort: lab.Ports{First: 20, Last: 20}, Lifetime: 3 * time.Millisecond,
		}
	}
	other := event("pinhole.used", 2)
	other.Port++
	for _, c := range []struct {
		name          string
		events        []lab.Event
		found, closed time.Time
		existed       time.Duration
	}{
		{"found at the 150", []lab.Event{other, event("pinhole.open", 0), event("pinhole.used", 3), event("pinhole.closed", 9)}, after(3), after(9), 3},
		{"found at the 226", []lab.Event{event("pinhole.open", 0), event("pinhole.used", 9), event("pinhole.closed", 9)}, after(9), after(9), 9},
		{"never used", []lab.Event{event("pinhole.open", 0), event("pinhole.closed", 9)}, time.Time{}, after(9), 9},
	} {
		h, ok := pinhole(c.events, at)
		if !ok || !h.FoundAt.Equal(c.found) || !h.ClosedAt.Equal(c.closed) || !h.OpenedAt.Equal(begin) || h.Existed() != c.existed*time.Millisecond {
			t.Errorf("%s: %t, %+v, existed for %v", c.name, ok, h, h.Existed())
		}
	}
	if h, ok := pinhole([]lab.Event{event("pinhole.open", 0), event("pinhole.used", 3)}, at); ok {
		t.Errorf("not closed, and told as %+v", h)
	}
}

func TestFrom(t *testing.T) {
	for want, ports := range map[string]lab.Ports{
		"10.2.5.5:20": {First: 20, Last: 20}, "10.2.5.5, ports 1-1023": {First: 1, Last: 1023}, "10.2.5.5, any port": {},
	} {
		h := Pinhole{Source: netip.MustParseAddr("10.2.5.5"), SourcePort: ports}
		if got := h.From(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
