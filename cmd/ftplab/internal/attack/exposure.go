package attack

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// hour is what the exposure is told for: an hour in which the client makes one transfer,
// and announces one port that the server refuses.
const hour = time.Hour

// exposure is what the measurements come to. What the scans have found before there
// was any session is open all the hour; what a session opens is one port.
func (c *column) exposure() Exposure {
	e := Exposure{Ports: c.scanned, Seconds: hour.Seconds()}
	if c.scanned == 0 {
		e.Seconds = (c.transfer + c.refused).Seconds()
		if e.Seconds > 0 {
			e.Ports = 1
		}
	}
	e.PortSeconds = float64(e.Ports) * e.Seconds
	return e
}

// about adds to the description of the firewall how its exposure was measured.
func (c *column) about() string {
	var b strings.Builder
	b.WriteString(c.firewall.about + " Exposure, in an hour with one transfer and one announcement that the server refuses: ")
	switch {
	case c.scanned > 0:
		fmt.Fprintf(&b, "the %d ports were reached while there was no FTP session at all, so they are open all the time.", c.scanned)
	case c.transfer+c.refused == 0:
		b.WriteString("nothing was ever open.")
	default:
		fmt.Fprintf(&b, "the transfer left its port open for %.2f ms, the refused announcement for %.0f s.",
			milliseconds(c.transfer), c.refused.Seconds())
	}
	return b.String()
}

// openUntilUsed returns for how long the port of the client was open, until the server's
// connection came, which the capture of the gateway's outside has.
func (c *column) openUntilUsed(ctx context.Context, port uint16, outside *lab.Capture) (time.Duration, error) {
	if c.gate.daemon == nil {
		return c.expected.stood(port), nil
	}
	opened, err := c.gate.daemon.AwaitEvent(ctx, func(e lab.Event) bool { return e.Event == "pinhole.open" && e.Port == port })
	if err != nil {
		return 0, err
	}
	// The kernel takes the pinhole away with the first packet that comes through it.
	for _, conn := range lab.Connections(outside.Packets()) {
		if conn.From.Port() == 20 && conn.To.Port() == port {
			return conn.Segments[0].Time.Sub(opened.OpenedAt), nil
		}
	}
	return 0, fmt.Errorf("no connection to port %d was captured", port)
}

// openUnused returns for how long the port of the client has been open, and will be,
// without a connection. What the daemon has opened it must have closed by now.
func (c *column) openUnused(port uint16) (time.Duration, error) {
	if c.gate.daemon == nil {
		since, left, err := c.expected.stands(port)
		return since + left, err
	}
	var open time.Duration
	for _, e := range c.gate.daemon.Events() {
		switch {
		case e.Port != port:
		case e.Event == "pinhole.open":
			open = time.Since(e.OpenedAt)
		case e.Event == "pinhole.closed":
			open = e.Lifetime
		}
	}
	return open, nil
}

// reason returns why ftpalg opened nothing for the dialogue; empty where it did not say.
func (c *column) reason(d *dialogue) string {
	if c.gate.daemon == nil {
		return ""
	}
	reason := ""
	for _, e := range c.gate.daemon.Events() {
		if e.Client.String() != d.client.LocalAddr().String() {
			continue
		}
		switch e.Event {
		case "pinhole.refused", "pinhole.closed", "violation", "session.not_ftp":
			reason = e.Reason
		}
	}
	return reason
}
