package main_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// ruleset is what nft lists on the gateway.
func (g *gateway) ruleset() string {
	g.t.Helper()
	out, err := run(g.t, g.Gateway, "nft list ruleset 2>/dev/null")
	if err != nil {
		g.t.Fatal(err, out)
	}
	return out
}

// eventually waits for something that takes a moment.
func eventually(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("not within %v: %s", within, what)
			return
		}
	}
}

const acceptLine = "ct label 126 meta mark & 0x01000000 == 0x01000000 accept"

func TestTheOperatorReloadsTheRuleset(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	for _, reload := range []string{"flush ruleset\n", ""} {
		if err := g.Gateway.LoadRuleset(t.Context(), reload+lab.Ruleset("stateful")); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Second, "the accept line is back", func() bool {
			return strings.Contains(g.ruleset(), acceptLine)
		})
		c.transfer(f)
		c.wantData(f, true, "after a reload in mid-session")
		c.s("226 ok")
	}
}

func TestAStopLeavesNothing(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	before := g.ruleset()
	if !strings.Contains(before, "table inet ftpalg") || !strings.Contains(before, acceptLine) {
		t.Fatalf("not in place:\n%s", before)
	}
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.transfer(f)
	if err := g.daemon.Stop(t.Context()); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if after := g.ruleset(); strings.Contains(after, "ftpalg") || strings.Contains(after, "label") {
		t.Errorf("left behind:\n%s", after)
	}
	c.wantData(f, false, "after the daemon stopped")
	c.s("425 the control connection goes on")
	c.c("NOOP")
}

func TestAKilledDaemonLeavesNoHoleAndAFreshStartHelpsAgain(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.transfer(f)
	if err := g.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	if after := g.ruleset(); strings.Contains(after, "table inet ftpalg") {
		t.Errorf("the table outlived its owner:\n%s", after)
	}
	c.wantData(f, false, "after the daemon was killed")
	c.s("425 the control connection goes on")

	g.daemon = g.start("")
	c.wantData(f, false, "after a fresh start")
	c.c("TYPE I")
	c.s("200 ok")
	c.transfer(f)
	c.wantData(f, true, "the session was picked up")
}

func TestManualAnchorLeavesTheOperatorsTablesAlone(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[firewall]\nanchor = \"manual\"\n")
	if out := g.ruleset(); strings.Contains(out, acceptLine) {
		t.Errorf("a line was inserted:\n%s", out)
	}
	eventually(t, time.Second, "the line that is missing, in the log", func() bool { return strings.Contains(g.daemon.Log(), acceptLine) })
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.transfer(f)
	c.wantData(f, false, "without the accept line")
	c.s("425 x")
	if out, err := run(t, g.Gateway, "nft 'insert rule inet filter forward "+acceptLine+"'"); err != nil {
		t.Fatal(err, out)
	}
	c.transfer(f)
	c.wantData(f, true, "with the accept line")
}

func TestAnotherBitOfTheMark(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[firewall]\nmark = \"0x200\"\n")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.transfer(f)
	c.wantData(f, true, "by the mark")
	c.wantData(f, false, "a second time")
}

func TestUnusedPinholesGoAfterTheirTime(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[pinhole]\ntimeout = \"1s\"\n")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.transfer(f)
	time.Sleep(1100 * time.Millisecond)
	c.wantData(f, false, "after the time-out")
	if _, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool {
		return e.Event == "pinhole.closed" && e.Reason == "timeout"
	}); err != nil {
		t.Error(err)
	}
}

func TestControlConnectionsWhileNoDaemonListens(t *testing.T) {
	t.Parallel()
	for _, absence := range []string{"pass", "drop"} {
		t.Run(absence, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "[control]\non_absence = \""+absence+"\"\n")
			f := g.families()[0]
			for _, end := range []func() error{g.daemon.Kill, func() error { return g.daemon.Stop(t.Context()) }} {
				c := g.login(f)
				if err := end(); err != nil {
					t.Fatal(err)
				}
				_, _ = c.client.Write([]byte("NOOP\r\n"))
				_ = c.server.SetReadDeadline(time.Now().Add(patience))
				_, err := c.in[c.server].ReadString('\n')
				if passed := err == nil; passed != (absence == "pass") {
					t.Errorf("control bytes passed: %v", passed)
				}
				c.close()
				g.daemon = g.start("[control]\non_absence = \"" + absence + "\"\n")
			}
			c := g.login(f) // and a start needs no clean-up
			c.c("NOOP")
		})
	}
}

func TestAnotherQueueNumberAndSeveralPorts(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[control]\nports = [21, 2121]\nqueue = 100\nworkers = 1\n[pinhole]\nsource_port = 0\n")
	if out, err := run(t, g.Gateway, "cat /proc/net/netfilter/nfnetlink_queue"); err != nil || !strings.HasPrefix(strings.TrimSpace(out), "100 ") {
		t.Errorf("%v %s", err, out)
	}
	f := g.families()[0]
	announced := netip.AddrPortFrom(f.client, announcedPort)
	listen(t, g.Client, announced)
	c := g.login(f)
	c.transfer(f)
	if !reaches(t, g.Server, netip.AddrPortFrom(f.server, 2020), announced) {
		t.Error("source_port = 0 does not admit any source port")
	}
	c.wantData(f, false, "a second time")
}
