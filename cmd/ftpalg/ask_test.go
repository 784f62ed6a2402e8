package main_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

func TestAskingTheRunningDaemon(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(question string, v any) {
		t.Helper()
		out, err := run(t, g.Gateway, bin+" "+question+" --json")
		if err != nil {
			t.Fatalf("%s: %v\n%s", question, err, out)
		}
		if err := json.Unmarshal([]byte(out), v); err != nil {
			t.Fatalf("%s: %v\n%s", question, err, out)
		}
	}
	follow := g.Gateway.Command(t.Context(), bin, "events", "--json")
	var followed strings.Builder
	follow.Stdout = &followed
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	var sessions []api.Session
	if ask("sessions", &sessions); sessions == nil || len(sessions) != 0 {
		t.Errorf("%+v", sessions)
	}
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.c(f.port())
	c.s("200 ok")
	for _, step := range []struct {
		state string
		do    func()
	}{
		{"accepted", func() {}},
		{"open", func() { c.c("RETR x") }},
		{"used", func() { c.data(f); c.s("150 x") }},
		{"closed", func() { c.s("226 x") }},
	} {
		step.do()
		var pinholes []api.Pinhole
		ask("pinholes", &pinholes)
		if len(pinholes) != 1 {
			t.Fatalf("%+v", pinholes)
		}
		p := pinholes[0]
		if p.State != step.state || p.Mode != "active" || p.SourcePort != (event.Ports{First: 20, Last: 20}) || p.Address != f.client ||
			p.Port != announcedPort || p.Server != netip.AddrPortFrom(f.server, 21) || p.OpenedAt.IsZero() != (step.state == "accepted") {
			t.Errorf("%+v, want it %s", p, step.state)
		}
	}
	if ask("sessions", &sessions); len(sessions) != 1 || !sessions[0].Login || sessions[0].State != "dialogue" {
		t.Errorf("%+v", sessions)
	}
	var status api.Status
	if ask("status", &status); status.Sessions != 1 || status.Pinholes != 0 || len(status.Queues) == 0 || status.StartedAt.IsZero() {
		t.Errorf("%+v", status)
	}
	for _, question := range []string{"status", "sessions", "pinholes"} {
		if out, err := run(t, g.Gateway, bin+" "+question); err != nil || !strings.Contains(strings.ToLower(out), "session") {
			t.Errorf("%s: %v\n%s", question, err, out)
		}
	}
	if err := g.daemon.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := follow.Wait(); err == nil {
		t.Error("following goes on although the daemon has ended")
	}
	var kinds []string
	for line := range strings.Lines(followed.String()) {
		var e event.JSON
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, string(e.Event))
	}
	want := "[session.start pinhole.announced pinhole.open pinhole.used pinhole.closed session.end]"
	if fmt.Sprint(kinds) != want {
		t.Errorf("followed %v, want %s", kinds, want)
	}
	const absent = "ftpalg: no daemon answers at /run/ftpalg/ftpalg.sock: is it running?\n"
	if out, err := run(t, g.Gateway, bin+" status"); err == nil || out != absent {
		t.Errorf("%v\n%s", err, out)
	}
}

// What is translated is told by both addresses.
func TestAskingAboutATranslation(t *testing.T) {
	t.Parallel()
	g := newGatewayIn(t, arrangements[0], "")
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	f := g.families()[0]
	c := g.login(f)
	c.c(f.port())
	for question, want := range map[string]string{
		"sessions":        "(" + f.seen.String() + ":",
		"pinholes":        fmt.Sprintf("%v:%d (%v:%[2]d)", f.client, announcedPort, f.seen),
		"sessions --json": `"outside_client": "` + f.seen.String(),
		"pinholes --json": `"outside_address": "` + f.seen.String(),
		"rules":           "dnat ip to ip saddr . ip daddr . tcp dport map @dnat4",
		"check":           "translates addresses of control connections",
	} {
		if out, err := run(t, g.Gateway, bin+" "+question); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: %s, want %q", question, err, out, want)
		}
	}
}
