package main_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// bare returns a program that runs the daemon as the unit does: as somebody who has
// CAP_NET_ADMIN and nothing else, but the folder of the control socket.
func bare(t *testing.T) string {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "ftpalg-bare")
	text := "#!/bin/sh\nchmod a+x /run/lab; chmod a+w $NOTIFY_SOCKET\n" +
		"exec 3</proc/self/net/netfilter/nfnetlink_queue\nexport LISTEN_FDS=1 LISTEN_FDNAMES=queues LISTEN_PID=$$\nmkdir -p -m 750 /run/ftpalg && chown -R 65534 /run/ftpalg && exec setpriv --reuid=65534 --regid=65534 --clear-groups" +
		" --bounding-set=-all,+net_admin --inh-caps=-all,+net_admin --ambient-caps=-all,+net_admin --no-new-privs " + bin + " \"$@\"\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return script
}

// With CAP_NET_ADMIN alone the server of a connection that is ended is told, also where it is
// translated. The client is not, as that would come from a port below 1024; it is said so.
func TestResetsWithoutRawSockets(t *testing.T) {
	t.Parallel()
	for _, in := range append([]arrangement{untranslated}, arrangements...) {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			g := &gateway{Lab: newLab(t), t: t, in: in}
			var err error
			g.daemon, err = g.StartDaemon(t.Context(), lab.DaemonOptions{Binary: bare(t), Config: "[policy]\non_violation = \"reset\"\n"})
			if err != nil {
				t.Fatal(err)
			}
			in.apply(t, g.Lab)
			g.wantResets(false)
			time.Sleep(200 * time.Millisecond) // events are gathered
			log := g.daemon.Log()
			if n := strings.Count(log, "could not be sent"); n < 1 || n > 2 { // once for each worker
				t.Errorf("%d times it is told that a reset could not be sent:\n%s", n, log)
			}
			if !strings.Contains(log, "without CAP_NET_RAW the client") {
				t.Errorf("it is not told at the start:\n%s", log)
			}
		})
	}
}

// As its own user the daemon does all that it does otherwise: transfers, the accept line, the
// questions, and a restart that takes the sessions up where they were.
func TestTheDaemonAsItsOwnUser(t *testing.T) {
	t.Parallel()
	g := &gateway{Lab: newLab(t), t: t, in: untranslated}
	const config = "metrics.listen = '127.0.0.1:9921'\n"
	start := func() {
		t.Helper()
		var err error
		if g.daemon, err = g.StartDaemon(t.Context(), lab.DaemonOptions{Binary: bare(t), Config: config}); err != nil {
			t.Fatal(err)
		}
	}
	start()
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.transfer(f)
	c.wantData(f, true, "as another user")
	c.s("226 ok")
	if out, err := run(t, g.Gateway, "ftpalg sessions"); err != nil || !strings.Contains(out, "dialogue") {
		t.Errorf("%v: %s", err, out)
	}
	g.reload(config+"pinhole.source_port = 0\n", inForce)
	if all := g.metrics(); !strings.Contains(all, "\nftpalg_queue_length{queue=\"21000\"} 0\n") {
		t.Errorf("%s", all)
	}
	if err := g.daemon.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	start()
	c.transfer(f)
	c.wantData(f, true, "after a restart")
	if log := g.daemon.Log(); !strings.Contains(log, `"sessions":1`) || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("%s", log)
	}
}
