package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/ftpalg/ftpalg/nft"
)

// restoreEvery is how often the table is looked for, where the kernel does not keep
// other programs from taking it away.
const restoreEvery = time.Second

// openAnchor looks at the operator's chains before anything is changed.
func (d *daemon) openAnchor() error {
	c := d.config.Anchor
	anchor, err := nft.OpenAnchor(c.Table, c.Chains, d.config.Table.Tag)
	if err != nil {
		return err
	}
	d.later(anchor.Close)
	chains, err := anchor.Accepts()
	switch {
	case c.Insert:
		d.anchor = anchor
		return err
	case err != nil:
		d.log.Warn("whether the firewall accepts data connections is not known", "line", d.line(), "error", err)
	}
	for _, chain := range chains {
		if !chain.Accepts {
			d.log.Warn("the firewall does not accept data connections: a line is missing",
				"table", c.Table, "chain", chain.Name, "line", d.line(),
				"command", fmt.Sprintf("nft 'insert rule %s %s %s'", c.Table, chain.Name, d.line()))
		}
	}
	return nil
}

// line is what the operator's chains have to have.
func (d *daemon) line() string { return d.config.Table.Tag.String() + " accept" }

// ensureAnchor puts the line in place.
func (d *daemon) ensureAnchor() error {
	if d.anchor == nil {
		return nil
	}
	inserted, err := d.anchor.Ensure()
	if err != nil {
		return err
	}
	d.later(d.anchor.Remove)
	if inserted {
		d.log.Info("accept line inserted", "table", d.config.Anchor.Table, "chains", d.config.Anchor.Chains, "line", d.line())
	}
	return nil
}

// keepAnchor puts the line back after the operator has loaded a ruleset without it.
func (d *daemon) keepAnchor(ctx context.Context) error {
	if d.anchor == nil {
		return nil
	}
	return d.anchor.Watch(ctx, func(err error) {
		if err != nil {
			d.log.Error("the accept line could not be put back", "line", d.line(), "error", err)
			return
		}
		d.counts.lineRestored.Add(1)
		d.log.Info("accept line put back", "line", d.line())
	})
}

// keepTable puts our table back after another program has taken it away, and moves its
// chains where the operator's have come to stand elsewhere.
func (d *daemon) keepTable(ctx context.Context) error {
	ticker := time.NewTicker(restoreEvery)
	defer ticker.Stop()
	failing := false
	var seen uint32
	stuck := false // that the chains could not be moved was told
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		restored, err := d.table.Restore()
		switch {
		case err != nil && !failing:
			d.log.Error("the state of our table is not known", "error", err)
		case restored:
			d.counts.tableRestored.Add(1)
			d.log.Warn("another program removed our table: it is back")
		}
		failing = err != nil
		d.follow(&seen, &stuck)
	}
}

// follow moves our chains if the ruleset's generation is not the one that was seen.
func (d *daemon) follow(seen *uint32, stuck *bool) {
	generation, err := d.table.Generation()
	if err != nil || generation == *seen {
		return
	}
	switch moved, err := d.table.Follow(); {
	case err != nil && *stuck:
	case err != nil:
		*stuck = true
		d.log.Error("our chains could not be moved to where the operator's have come to stand", "error", err)
	case moved:
		d.log.Info("our chains were moved: the operator's have come to stand elsewhere")
	default:
		*seen, *stuck = generation, false
	}
}
