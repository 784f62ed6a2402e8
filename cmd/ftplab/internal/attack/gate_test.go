package attack

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestGate puts one firewall after the other in force, in one lab.
func TestGate(t *testing.T) {
	binary := program(t)
	l, err := lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &column{Lab: l, gate: NewGate(l, binary)}
	for _, name := range []string{FTPALG, Open, FTPALG, Stateless, Helper, Stateful, FTPALG, FTPALG} {
		err := c.gate.Switch(t.Context(), name)
		if errors.Is(err, ErrNoHelper) {
			t.Log(err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		checkGate(t, c, name)
	}
	before := c.gate.Daemon()
	if err := c.gate.Switch(t.Context(), "moat"); err == nil {
		t.Error("there is a firewall of that name")
	}
	if c.gate.Name() != FTPALG || c.gate.Daemon() != before {
		t.Errorf("an unknown name has put %q in force", c.gate.Name())
	}
	if err := before.Kill(); err != nil {
		t.Fatal(err)
	}
	if about := c.gate.About(); !strings.Contains(about, "ended") {
		t.Errorf("of a daemon that was killed: %s", about)
	}
	if err := c.gate.Switch(t.Context(), Stateful); err != nil {
		t.Error(err)
	}
	c.gate.binary = "/bin/false"
	if err := c.gate.Switch(t.Context(), FTPALG); err == nil || c.gate.Name() != "" {
		t.Errorf("with a daemon that does not start: %q, %v", c.gate.Name(), err)
	}
}

// checkGate looks whether the firewall is in force, the daemon beside it, and nothing
// of the firewall before.
func checkGate(t *testing.T, c *column, name string) {
	t.Helper()
	if c.gate.Name() != name || (c.gate.Daemon() != nil) != (name == FTPALG) || c.gate.About() == "" {
		t.Errorf("%q is in force, with %+v: %s", c.gate.Name(), c.gate.Daemon(), c.gate.About())
	}
	out, err := c.Gateway.Command(t.Context(), "nft", "list", "ruleset").Output()
	if err != nil {
		t.Fatal(err)
	}
	if rules := string(out); strings.Contains(rules, "ct label") != (name == FTPALG) || strings.Contains(rules, "ct helper") != (name == Helper) {
		t.Errorf("%s: %s", name, rules)
	}
	// What was announced under the firewall before is not admitted any more.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	target := netip.AddrPortFrom(c.Client.IPv4, 78<<8|80)
	cell, err := c.attempt(ctx, c.Server, netip.AddrPortFrom(c.Server.IPv4, 20), target)
	if err != nil {
		t.Fatal(err)
	}
	if want := name == Open || name == Stateless; (cell.Result == Reached) != want {
		t.Errorf("%s: %+v", name, cell)
	}
	announce(t, c)
}

// announce says PORT 10,1,4,4,78,80 and leaves it at that.
func announce(t *testing.T, c *column) {
	t.Helper()
	end, err := c.startHostileServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = end() }()
	d, err := c.dial(t.Context(), c.Client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	if err := d.play(login + "C: PORT 10,1,4,4,78,80\nS: 200 ok\nC: RETR x"); err != nil {
		t.Fatal(err)
	}
}
