package main_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// reload gives the daemon another configuration, and waits until the log has a record with
// that text.
func (g *gateway) reload(config, text string) {
	g.t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", g.daemon.PID()))
	if err != nil {
		g.t.Fatal(err)
	}
	words := bytes.Split(bytes.TrimSuffix(line, []byte{0}), []byte{0})
	file := fmt.Sprintf("/proc/%d/root%s", g.daemon.PID(), words[len(words)-1])
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		g.t.Fatal(err)
	}
	before := strings.Count(g.daemon.Log(), text)
	if err := g.daemon.Signal(unix.SIGHUP); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, 10*time.Second, text, func() bool { return strings.Count(g.daemon.Log(), text) > before })
}

const inForce = "the configuration was read again, and is in force"

// A session goes on through reloads, by the rules of the last good one. What is said to
// mend a miss mends it without a restart.
func TestReloadUnderASession(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "metrics.listen = '127.0.0.1:9921'\n")
	for _, f := range g.families() {
		announced := netip.AddrPortFrom(f.client, announcedPort)
		listen(t, g.Client, announced)
		c := g.login(f)
		c.transfer(f)
		if reaches(t, g.Server, netip.AddrPortFrom(f.server, 33333), announced) {
			t.Error(f.name, "port 33333 of the server got through")
		}
		c.wantMissed("source_port")
		c.s("425 x")

		g.reload("metrics.listen = '127.0.0.1:9921'\npinhole.source_port = 0\npinhole.min_port = 2000\n", inForce)
		c.transfer(f)
		if !reached(t, g.Server, netip.AddrPortFrom(f.server, 33333), announced) {
			t.Error(f.name, "port 33333 of the server did not get through after the reload")
		}
		c.s("226 ok")

		g.reload("pinhole.source_port = -1\n", "the new configuration is refused")
		if out := g.metrics(); !strings.Contains(out, "\nftpalg_config_last_reload_successful 0\n") {
			t.Errorf("%s", out)
		}
		c.transfer(f)
		if !reached(t, g.Server, netip.AddrPortFrom(f.server, 33333), announced) {
			t.Error(f.name, "the old configuration does not stay in force")
		}
		c.s("226 ok")

		g.reload("metrics.listen = '127.0.0.1:9921'\n", inForce)
		c.transfer(f)
		if reaches(t, g.Server, netip.AddrPortFrom(f.server, 33333), announced) {
			t.Error(f.name, "port 33333 of the server got through after the second reload")
		}
		c.wantData(f, true, "from port 20, after the reloads")
		c.s("226 ok")

		// What is open and not admitted any more is closed.
		c.transfer(f)
		g.reload("metrics.listen = '127.0.0.1:9921'\npinhole.deny_ports = [46197]\n", inForce)
		c.wantData(f, false, "denied by a reload")
		g.reload("metrics.listen = '127.0.0.1:9921'\n", inForce)
		c.close()
	}
	for _, e := range g.daemon.Events() {
		if e.Event == "session.end" && e.Reason != "FIN" && e.Reason != "RST" {
			t.Errorf("a session ended: %+v", e)
		}
	}
}

// Reloads under traffic, each with other rules, take nothing from it.
func TestReloadsUnderTraffic(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	for i := range 20 {
		g.reload(fmt.Sprintf("pinhole.min_port = %d\n[[server]]\naddresses = ['10.9.9.9']\nsource_port = '1-%d'\n", 1024+i, 1000+i%3), inForce)
		c.transfer(f)
		c.wantData(f, true, fmt.Sprintf("after reload %d", i+1))
		c.s("226 ok")
	}
	if _, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "pinhole.closed" }); err != nil {
		t.Error(err)
	}
}
