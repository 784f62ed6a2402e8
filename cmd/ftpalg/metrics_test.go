package main_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// metrics returns the lines that the daemon serves.
func (g *gateway) metrics() string {
	g.t.Helper()
	out, err := run(g.t, g.Gateway, "curl -sSf http://127.0.0.1:9921/metrics")
	if err != nil {
		g.t.Fatal(err, out)
	}
	return "\n" + out
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "metrics.listen = '127.0.0.1:9921'\n[control]\nworkers = 2\n")
	want := func(lines ...string) {
		t.Helper()
		eventually(t, 5*time.Second, strings.Join(lines, ", "), func() bool {
			all := g.metrics()
			for _, line := range lines {
				if !strings.Contains(all, "\nftpalg_"+line+"\n") {
					return false
				}
			}
			return true
		})
	}
	want(`sessions{state="dialogue"} 0`, `pinholes_opened_total{mode="active"} 0`, `queue_length{queue="21000"} 0`,
		`queue_length{queue="21001"} 0`, `queue_dropped_total{full="queue",queue="21000"} 0`, `config_last_reload_successful 1`)
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	want(`sessions{state="dialogue"} 1`, `sessions_started_total 1`, `pinholes_open 0`)
	c.transfer(f)
	want(`pinholes_open 1`, `pinholes_announced_total{mode="active"} 1`, `pinholes_opened_total{mode="active"} 1`,
		`pinholes_used_total{mode="active"} 0`, `pinhole_open_seconds_count 0`)
	c.wantData(f, true, "as announced")
	c.s("226 ok")
	want(`pinholes_open 0`, `pinholes_used_total{mode="active"} 1`, `pinholes_closed_total{reason="completed"} 1`,
		`pinhole_open_seconds_count 1`)
	c.c("PORT 10,1,4,4,0,22")
	want(`pinholes_refused_total{reason="min_port"} 1`, `violations_total{reason="min_port"} 0`, `packets_total{verdict="dropped"} 0`)
	all := g.metrics()
	for _, never := range []string{`packets_total{verdict="accepted"} 0`, `verdict_seconds_count 0`, `nft_commit_seconds_count 0`} {
		if strings.Contains(all, "\nftpalg_"+never+"\n") {
			t.Errorf("%s:\n%s", never, all)
		}
	}
	if out, err := run(t, g.Gateway, "curl -sSf http://127.0.0.1:9921/healthz"); err != nil || out != "ok\n" {
		t.Errorf("%v, %q", err, out)
	}
	if err := g.daemon.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMetricsTellOfALineThatWasRemoved(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "metrics.listen = '127.0.0.1:9921'\n")
	if out, err := run(t, g.Gateway, "nft flush chain inet filter forward"); err != nil {
		t.Fatal(err, out)
	}
	eventually(t, 5*time.Second, "the accept line was put back", func() bool {
		return strings.Contains(g.metrics(), "\nftpalg_accept_line_restored_total 1\n")
	})
}
