package attack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/ti-mo/conntrack"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// ErrNoHelper says that this kernel has no FTP helper.
var ErrNoHelper = errors.New("this kernel has no FTP helper (nf_conntrack_ftp)")

// stopWithin is how long ftpalg may take to end.
const stopWithin = 10 * time.Second

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
		return "No firewall is in force as it should be."
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
	if refused := (*exec.ExitError)(nil); f.expects && ctx.Err() == nil && errors.As(err, &refused) {
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
	within, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	if err := d.Stop(within); err != nil {
		return errors.Join(fmt.Errorf("stopping ftpalg: %w", err), d.Kill())
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
