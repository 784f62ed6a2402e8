package attack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// atOnce is how many firewalls are measured at the same time: while one waits for what
// never comes, the other works.
const atOnce = 2

// Options are the choices of Run.
type Options struct {
	Daemon    string       // path of ftpalg
	Firewalls []string     // which of Names; empty: all
	Progress  func(string) // is told what comes next, one call at a time; nil: nobody
}

// Missing returns nil where Run can work, and otherwise says what lacks: the rights of
// root, or programs, by their Debian packages.
func Missing() error {
	errs := []error{lab.Available()}
	for _, program := range []string{"mount", "nft", "vsftpd", "lftp", "curl", "nmap"} {
		errs = append(errs, lab.Require(program))
	}
	return errors.Join(errs...)
}

// Run builds a lab for each firewall, lets real programs transfer files through it and
// real attackers try it, and takes the labs away again. The firewalls are in the order
// of Names. One that this kernel does not have is left out, and a note says so. An
// ended ctx ends Run early, with ctx's error.
func Run(ctx context.Context, o Options) (*Matrix, error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	chosen, err := choose(o.Firewalls)
	if err != nil {
		return nil, err
	}
	there, notes := available()
	columns := make([]*column, len(chosen))
	var mu sync.Mutex
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, f := range slices.Backward(chosen) { // the last take longest
		c := &column{firewall: f, rows: there, progress: func(string) {}}
		if o.Progress != nil {
			c.progress = func(what string) {
				mu.Lock()
				defer mu.Unlock()
				o.Progress(f.name + ": " + what)
			}
		}
		columns[i] = c
		group.Go(func() error {
			if err := c.measure(within, o.Daemon); err != nil {
				return fmt.Errorf("firewall %s: %w", f.name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		return nil, err
	}
	return join(columns, there, notes), nil
}

// available returns the rows for which the programs are there, and notes of the others.
func available() (there []row, notes []string) {
	for _, r := range rows {
		if r.needs != "" {
			if err := lab.Require(r.needs); err != nil {
				notes = append(notes, fmt.Sprintf("There is no row %q: %v.", r.name, err))
				continue
			}
		}
		there = append(there, r)
	}
	return there, notes
}

// choose returns the named firewalls, in the order of Names.
func choose(names []string) ([]firewall, error) {
	for _, name := range names {
		if _, err := find(name); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(firewalls), func(f firewall) bool {
		return len(names) > 0 && !slices.Contains(names, f.name)
	}), nil
}

// join makes a matrix of its columns.
func join(columns []*column, rows []row, notes []string) *Matrix {
	m := &Matrix{Notes: notes}
	for _, r := range rows {
		m.Rows = append(m.Rows, Row{Name: r.name, Attack: r.attack, About: r.about})
	}
	for _, c := range columns {
		if c.missing != "" {
			m.Notes = append(m.Notes, c.missing)
			continue
		}
		m.Firewalls = append(m.Firewalls, Firewall{
			Name: c.firewall.name, Title: c.firewall.title, About: c.about(), Exposure: c.exposure(), ToServer: c.toServer(),
		})
		for i := range m.Rows {
			m.Rows[i].Cells = append(m.Rows[i].Cells, c.cells[i])
		}
	}
	return m
}
