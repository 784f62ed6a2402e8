package attack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
	"github.com/ti-mo/conntrack"
)

// The names of the firewalls.
const (
	Open      = "open"
	Stateless = "stateless"
	Stateful  = "stateful"
	FTPALG    = "ftpalg"
	Helper    = "helper"
)

// ErrNoHelper says that this kernel has no FTP helper.
var ErrNoHelper = errors.New("this kernel has no FTP helper (nf_conntrack_ftp)")

// firewall is one way to guard the inside.
type firewall struct {
	name, title, about string
	ruleset            string // of package lab
	daemon             bool   // with ftpalg
}

// firewalls are all there are, in the order in which they are shown.
var firewalls = []firewall{
	{name: Open, title: "open", ruleset: "open", about: "Plain routing: nothing is filtered."},
	{name: Stateless, title: "stateless", ruleset: "stateless", about: "The classic access list judges each packet by itself: " +
		"from anywhere, source port 20, to every port above 1023."},
	{name: Stateful, title: "stateful", ruleset: "stateful", about: "Connection tracking: what belongs to a connection " +
		"that the inside has opened, and nothing else. It does not know FTP."},
	{name: FTPALG, title: "stateful with ftpalg", ruleset: "stateful", daemon: true, about: "The same ruleset, and ftpalg, " +
		"which follows the FTP dialogue and admits each announced connection, once."},
	{name: Helper, title: "in-kernel helper", ruleset: "helper", about: "The same ruleset with the FTP helper of the kernel: " +
		"what it reads in the dialogue is expected, and accepted as related."},
}

// Names returns the names of the firewalls, in the order in which they are shown.
func Names() []string {
	var names []string
	for _, f := range firewalls {
		names = append(names, f.name)
	}
	return names
}

// find returns the firewall of that name.
func find(name string) (firewall, error) {
	for _, f := range firewalls {
		if f.name == name {
			return f, nil
		}
	}
	return firewall{}, fmt.Errorf("there is no firewall %q; there are %s", name, strings.Join(Names(), ", "))
}

// Gate is the firewall in force on the gateway of a lab, with the daemon that belongs to
// it. It is not safe for concurrent use. It needs no end: the lab's is its own.
type Gate struct {
	lab    *lab.Lab
	binary string // path of ftpalg
	name   string
	daemon *lab.Daemon
}

// NewGate returns the gate of a lab in which Switch has not been called yet.
func NewGate(l *lab.Lab, binary string) *Gate { return &Gate{lab: l, binary: binary} }

// Name returns the name of the firewall in force; empty: Switch has failed halfway, or
// was not called yet.
func (g *Gate) Name() string { return g.name }

// About tells in plain words what the firewall in force is.
func (g *Gate) About() string {
	f, err := find(g.name)
	switch {
	case err != nil:
		return "The last attempt to put a firewall in force has failed halfway."
	case g.daemon != nil && ended(g.daemon):
		return f.about + " But ftpalg has ended."
	}
	return f.about
}

// Daemon returns the ftpalg that runs on the gateway, or nil.
func (g *Gate) Daemon() *lab.Daemon { return g.daemon }

// Switch puts the firewall of that name in force, and starts or stops ftpalg with it.
// Connections that passed before are judged anew. An unknown name, and ErrNoHelper,
// leave everything as it was; so does a ruleset that cannot be loaded.
func (g *Gate) Switch(ctx context.Context, name string) error {
	f, err := find(name)
	if err != nil {
		return err
	}
	if err := g.load(ctx, f); err != nil {
		return err
	}
	g.name = ""
	if err := g.stop(ctx); err != nil {
		return err
	}
	// What the kernel remembers of the firewall before, expectations too, is not of this one.
	if err := g.lab.Gateway.Do(forgetConnections); err != nil {
		return fmt.Errorf("forget the connections of the gateway: %w", err)
	}
	if f.daemon {
		if g.daemon, err = g.lab.StartDaemon(ctx, lab.DaemonOptions{Binary: g.binary}); err != nil {
			return err
		}
	}
	g.name = name
	return nil
}

func (g *Gate) load(ctx context.Context, f firewall) error {
	err := g.lab.Gateway.LoadRuleset(ctx, lab.Ruleset(f.ruleset))
	// The text is good: if nft refuses it, the kernel has.
	if refused := (*exec.ExitError)(nil); f.name == Helper && ctx.Err() == nil && errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", ErrNoHelper, err)
	}
	return err
}

// stop ends the daemon. One that has ended by itself is no error.
func (g *Gate) stop(ctx context.Context) error {
	if g.daemon == nil {
		return nil
	}
	d := g.daemon
	g.daemon = nil
	if ended(d) {
		return nil
	}
	if err := d.Stop(ctx); err != nil {
		return fmt.Errorf("stop ftpalg: %w", err)
	}
	return nil
}

func ended(d *lab.Daemon) bool {
	select {
	case <-d.Exited():
		return true
	default:
		return false
	}
}

func forgetConnections() error {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return err
	}
	return errors.Join(conn.Flush(), conn.Close())
}
