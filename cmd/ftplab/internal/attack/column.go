package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// row is how one row of the matrix is measured.
type row struct {
	name, about string
	attack      bool
	stage       stage
	needs       string // a program, without which the row is left out; empty: none beside those of Missing
	measure     func(context.Context, *column) (Cell, error)
}

// rows are all there are, in the order in which they are shown.
var rows = slices.Concat(services, scans, dialogues())

// stage is a part of the measurements. What is of one stage is measured at the same time.
// Scans come first, while no FTP session has been: what they find, they find at any hour.
type stage int

const (
	scanning stage = iota
	serving        // with real FTP servers
	playing        // with a hostile one
	stageCount
)

// column is one firewall and what was measured of it.
type column struct {
	firewall firewall
	progress func(string)

	*lab.Lab
	gate     *Gate
	expected *expectations
	ftp      *net.TCPListener // of the hostile server
	dialing  sync.Mutex       // one dialogue at a time begins

	rows    []row // what to measure
	cells   []Cell
	missing string // why there are none

	scanned  int           // ports that the stranger's scan has reached
	served   int           // ports that the server's scan has reached
	stolen   bool          // the stranger has reached a port that was open for the server
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
	if err := loosen(c.Gateway); err != nil {
		return err
	}
	return c.stages(ctx)
}

// stages measures the rows.
func (c *column) stages(ctx context.Context) error {
	c.cells = make([]Cell, len(c.rows))
	for n, part := range [stageCount]struct {
		what  string
		begin func(context.Context) (end func() error, err error)
	}{
		scanning: {"scanning every port of the client, twice", c.listenOnClient},
		serving:  {"transferring files, and asking for strange names", c.startServers},
		playing:  {"playing hostile dialogues", c.startHostileServer},
	} {
		c.progress(part.what)
		end, err := part.begin(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(c.together(ctx, stage(n)), end()); err != nil {
			return err
		}
	}
	return nil
}

// together measures the rows of a stage.
func (c *column) together(ctx context.Context, of stage) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range c.rows {
		if r.stage != of {
			continue
		}
		group.Go(func() (err error) {
			if c.cells[i], err = r.measure(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}
