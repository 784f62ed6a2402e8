package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
	"golang.org/x/sync/errgroup"
)

// row is how one row of the matrix is measured.
type row struct {
	name, about string
	attack      bool
	measure     func(context.Context, *column) (Cell, error)
}

// rows are all there are, in the order in which they are shown.
var rows = slices.Concat(services, scans, dialogues())

// column is one firewall and what was measured of it.
type column struct {
	firewall firewall
	progress func(string)

	*lab.Lab
	gate     *Gate
	expected *expectations
	ftp      *net.TCPListener // of the hostile server
	dialing  sync.Mutex       // one dialogue at a time begins

	cells   []Cell // of rows
	missing string // why there are none

	scanned  int           // ports that the stranger's scan has reached
	transfer time.Duration // for which one transfer left its port open
	refused  time.Duration // for which a refused announcement left its port open
}

// measure fills the cells, in a lab of its own.
func (c *column) measure(ctx context.Context, binary string) (err error) {
	c.progress("building the lab")
	if c.Lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	c.gate = NewGate(c.Lab, binary)
	if err := c.gate.Switch(ctx, c.firewall.name); errors.Is(err, ErrNoHelper) {
		c.missing = fmt.Sprintf("There is no column %q: %v.", c.firewall.name, ErrNoHelper)
		c.progress("left out: " + ErrNoHelper.Error())
		return nil
	} else if err != nil {
		return err
	}
	if c.expected, err = expect(c.Gateway); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.expected.close()) }()
	return c.stages(ctx)
}

// stages measures the rows. Scans come first, while no FTP session has been: what they
// find, they find at any hour.
func (c *column) stages(ctx context.Context) error {
	first, then := len(services), len(services)+len(scans)
	c.cells = make([]Cell, len(rows))
	for _, stage := range []struct {
		what     string
		from, to int // of rows
		begin    func(context.Context) (end func() error, err error)
	}{
		{"scanning every port of the client, twice", first, then, c.listenOnClient},
		{"transferring files", 0, first, c.startServer},
		{"playing hostile dialogues", then, len(rows), c.startHostileServer},
	} {
		c.progress(stage.what)
		end, err := stage.begin(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(c.together(ctx, stage.from, stage.to), end()); err != nil {
			return err
		}
	}
	return nil
}

// together measures rows at the same time.
func (c *column) together(ctx context.Context, from, to int) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := from; i < to; i++ {
		group.Go(func() (err error) {
			if c.cells[i], err = rows[i].measure(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", rows[i].name, err)
			}
			return nil
		})
	}
	return group.Wait()
}
