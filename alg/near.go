package alg

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// ends are the end that connects, without its port, and the one that waits.
type ends struct {
	from netip.Addr
	to   netip.AddrPort
}

func (s *session) near() ends { return ends{s.announced.pinhole.Source, s.announced.pinhole.Dest} }

// Missed takes note of a SYN that found no pinhole, and tells if it nearly had one, and
// which setting would have admitted it. It is called between batches; the event goes to
// the sink at once.
func (w *Worker) Missed(now time.Time, from, to netip.AddrPort) {
	s := w.nearby[ends{from.Addr(), to}]
	if s == nil || s.announced.nearly || s.announced.stage == used {
		return
	}
	a := s.announced
	early := a.stage != closed && !s.rules.OpenOnPort
	var reason string
	switch fits := a.pinhole.SourcePorts.Contains(from.Port()); {
	case !fits && early && a.stage == waiting:
		reason = fmt.Sprintf("the data connection came from port %d, not %v, and before the transfer command: see source_port and open_on",
			from.Port(), a.pinhole.SourcePorts)
	case !fits:
		reason = fmt.Sprintf("the data connection came from port %d, not %v: see source_port", from.Port(), a.pinhole.SourcePorts)
	case early:
		reason = "the data connection came before the transfer command: see open_on"
	default:
		return // no setting would have helped
	}
	a.nearly = true
	w.now = now
	e := s.pinholeEvent(PinholeMissed, reason)
	e.Missed = from
	w.send(&e)
}

// Ends returns both ends of a TCP packet of which only the beginning is there, as the
// packet filter's log has it.
func Ends(beginning []byte) (from, to netip.AddrPort, ok bool) { return tcp.Ends(beginning) }
