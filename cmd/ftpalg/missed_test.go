package main_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// A connection that nearly had a pinhole is told, with the setting that would have
// helped it (design, section 2: near misses are heard).

// wantMissed waits for the event and checks that its reason names a setting.
func (c *control) wantMissed(setting string) {
	c.t.Helper()
	client := netip.MustParseAddrPort(c.client.LocalAddr().String())
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
	defer cancel()
	e, err := c.g.daemon.AwaitEvent(ctx, func(e lab.Event) bool { return e.Event == "pinhole.missed" && e.Client == client })
	if err != nil {
		c.t.Errorf("pinhole.missed with %s is not told: %v", setting, ctx.Err())
		return
	}
	if !strings.Contains(e.Reason, setting) {
		c.t.Errorf("the reason %q does not name %s", e.Reason, setting)
	}
}

func TestADataConnectionFromAnotherPortIsMissed(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		announced := netip.AddrPortFrom(f.client, announcedPort)
		listen(t, g.Client, announced)
		c := g.login(f)
		c.transfer(f)
		if reaches(t, g.Server, netip.AddrPortFrom(f.server, 33333), announced) {
			t.Error(f.name, "port 33333 of the server got through")
		}
		c.wantMissed("source_port")
		c.wantData(f, true, "from port 20 after all")
		c.close()
	}
}

func TestADataConnectionBeforeTheTransferCommandIsMissed(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		c := g.login(f)
		c.c(f.port())
		c.wantData(f, false, "before the transfer command")
		c.wantMissed("open_on")
		c.s("200 ok")
		c.c("RETR x")
		c.wantData(f, true, "after the transfer command")
		c.close()
	}
}

func TestWhatNobodyAnnouncedIsNoMiss(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort+1))
	c := g.login(f)
	c.transfer(f)
	for _, from := range []uint16{20, 33333} {
		if reaches(t, g.Server, netip.AddrPortFrom(f.server, from), netip.AddrPortFrom(f.client, announcedPort+1)) {
			t.Errorf("port %d got through to a port that nobody announced", from)
		}
	}
	c.s("425 x")
	for _, e := range g.daemon.Events() {
		if e.Event == "pinhole.missed" {
			t.Errorf("told: %+v", e)
		}
	}
}
