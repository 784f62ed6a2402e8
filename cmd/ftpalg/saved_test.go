package main_test

import (
	"net/netip"
	"os"
	"testing"
)

// A folder that everybody may write to (api.socket = "/tmp/ftpalg.sock") is no place for what is believed.
func TestAWorldWritableFolderIsNoPlaceForSessions(t *testing.T) {
	t.Parallel()
	config := "[api]\nsocket = \"/run/pub/ftpalg.sock\"\n"
	g := &gateway{Lab: newLab(t), t: t}
	if err := os.Mkdir(g.Path("/run/pub"), 0o777); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(g.Path("/run/pub"), 0o1777)
	g.daemon = g.start(config)
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	g.login(f)
	g.stopped()
	if _, err := os.Stat(g.Path("/run/pub/sessions")); err == nil {
		t.Error("sessions were written into a folder that everybody may write to")
	}
}
