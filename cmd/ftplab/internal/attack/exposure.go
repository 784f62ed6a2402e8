package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// exposure is what the measurements come to for a stranger, in an hour in which the client
// makes one transfer and announces one port that the server refuses. What the scan has
// found before there was any session is open all the hour; what a session opens is one
// port, and not for him unless he got in there too.
func (c *column) exposure() Exposure {
	if !c.stolen {
		return exposed(c.scanned, 0)
	}
	return exposed(c.scanned, c.transfer+c.refused)
}

// toServer is the same for the server that the client talks to.
func (c *column) toServer() Exposure { return exposed(c.served, c.transfer+c.refused) }

// exposed returns what these ports, open always, come to; or where there are none, one
// that a session opens for some time.
func exposed(always int, opened time.Duration) Exposure {
	e := Exposure{Ports: always, Seconds: time.Hour.Seconds()}
	if always == 0 {
		e.Seconds = opened.Seconds()
		if e.Seconds > 0 {
			e.Ports = 1
		}
	}
	e.PortSeconds = float64(e.Ports) * e.Seconds
	return e
}

// about describes the firewall, and what its exposures are made of.
func (c *column) about() string {
	whom := "to the server alone"
	if c.stolen {
		whom = "to anybody"
	}
	made := "Nothing was ever open."
	switch {
	case c.scanned > 0:
		made = fmt.Sprintf("The %d ports were reached while there was no FTP session at all: they are open all the time.", c.scanned)
	case c.served > 0:
		made = fmt.Sprintf("The server reached %d ports while there was no FTP session at all: they are open to it all the time.", c.served)
	case c.refused > 0:
		made = fmt.Sprintf("The transfer left its port open for %.2f ms, an announcement that the server refused left another open for %.0f s, %s.",
			milliseconds(c.transfer), c.refused.Seconds(), whom)
	case c.transfer > 0:
		made = fmt.Sprintf("The transfer left its port open for %.2f ms, %s; an announcement that the server refused opened none.",
			milliseconds(c.transfer), whom)
	}
	return c.firewall.about + " " + made
}

// openUntilUsed returns for how long the port of the download was open until the server's
// connection came, which is among the packets of the gateway's outside. It takes the
// opening away with its first packet.
func (c *column) openUntilUsed(ctx context.Context, packets []lab.Packet) (time.Duration, error) {
	for _, conn := range lab.Connections(packets) {
		port := conn.To.Port()
		if conn.From.Port() != 20 || port < lowestPort || port > highestPort {
			continue
		}
		switch {
		case c.firewall.expects:
			return c.expected.stood(ctx, port)
		case c.gate.daemon == nil:
			return 0, nil
		}
		ctx, cancel := context.WithTimeout(ctx, newsWithin)
		defer cancel()
		opened, err := c.gate.daemon.AwaitEvent(ctx, func(e lab.Event) bool { return e.Event == "pinhole.open" && e.Port == port })
		return conn.Segments[0].Time.Sub(opened.OpenedAt), err
	}
	return 0, errNoTransfer
}

var errNoTransfer = errors.New("the data connection of the download was not captured")

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

// reason returns why ftpalg admits nothing any more for the client's control connection;
// empty where it did not say.
func (c *column) reason(client netip.AddrPort) string {
	if c.gate.daemon == nil {
		return ""
	}
	reason := ""
	for _, e := range c.gate.daemon.Events() {
		if e.Client != client {
			continue
		}
		switch e.Event {
		case "pinhole.refused", "pinhole.closed", "violation", "session.not_ftp", "session.passive_off":
			reason = e.Reason
		}
	}
	return reason
}
