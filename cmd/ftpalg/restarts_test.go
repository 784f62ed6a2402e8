package main_test

import (
	"fmt"
	"net/netip"
	"testing"
)

// What has not gone on since a restart outlives the next end of a daemon as it outlived the
// last one, and what is said in it meanwhile does not pass unread.
func TestRestartsWithNothingSaidBetween(t *testing.T) {
	t.Parallel()
	ways := map[bool]string{false: "stop", true: "kill"}
	for _, a := range []arrangement{untranslated, arrangements[0], arrangements[1]} {
		for first, one := range ways {
			for second, other := range ways {
				t.Run(fmt.Sprintf("%s %s %s", a.name, one, other), func(t *testing.T) {
					t.Parallel()
					g := newGatewayIn(t, a, passing)
					f := g.families()[0]
					listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
					c := g.login(f)
					if a.forwards {
						c.c("PASV")
					}
					g.ends(first)
					g.daemon = g.start(passing)
					g.ends(second)
					if !restartedTwice(c, a, first) {
						return
					}
					if first { // after a command and its reply
						c.c("NOOP")
						c.s("200 ok")
					}
					c.transfer(f)
					c.wantData(f, true, "after two restarts")
				})
			}
		}
	}
}

// restartedTwice starts the daemon, after an announcement where that is translated. It
// returns false where the connection is over.
func restartedTwice(c *control, a arrangement, crashed bool) bool {
	c.t.Helper()
	if a == untranslated {
		c.g.daemon = c.g.start(passing)
		return true
	}
	from, to, line := c.announce(c.f)
	if _, err := fmt.Fprintf(from, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
	c.wantNothing(to, "while no daemon runs")
	c.g.daemon = c.g.start(passing)
	goesOn := c.rewrittenOrOver(c.f, to, line, crashed)
	switch {
	case !goesOn && !crashed:
		c.t.Error("the connection is over")
	case goesOn && a.masquerades:
		c.s("200 ok")
	}
	return goesOn
}
