package daemon

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/nft"
)

// openAnchor looks at the operator's chains before anything is changed, if the line is to be
// put there. Where it is not, look tells whether it is missing.
func (d *daemon) openAnchor() (err error) {
	c := d.config.Anchor
	if !c.Insert {
		return nil
	}
	if d.anchor, err = nft.OpenAnchor(c.Table, c.Chains, d.config.Table.Tag); err != nil {
		return err
	}
	d.later(d.anchor.Close)
	if _, err = d.anchor.Accepts(); errors.Is(err, unix.ENOENT) { // the operator's ruleset may be loaded after this
		return nil
	}
	return err
}

// line is what the operator's chains have to have.
func (d *daemon) line() string { return d.config.Table.Tag.String() + " accept" }

// ensureAnchor puts the line in place. Where the chains are not there yet, keepRuleset does
// so as soon as they are: until then the firewall has no line that admits anything.
func (d *daemon) ensureAnchor() error {
	if d.anchor == nil {
		return nil
	}
	d.later(d.anchor.Remove)
	inserted, err := d.anchor.Ensure()
	switch {
	case errors.Is(err, unix.ENOENT):
		d.unplaced = trouble{since: time.Now(), told: err.Error()}
		d.log.Warn("no data connection is admitted before the accept line has its place", "line", d.line(), "error", err)
	case err != nil:
		return err
	case inserted:
		d.log.Info("accept line inserted", "table", d.config.Anchor.Table, "chains", d.config.Anchor.Chains, "line", d.line())
	}
	return nil
}

// lookAgain is how soon it is tried again to mend what others changed.
const lookAgain = time.Second

// keepRuleset mends what others change: it puts back the accept line and our table, and moves
// our chains where the operator's have come to stand elsewhere.
func (d *daemon) keepRuleset(ctx context.Context) error {
	changes, err := d.table.Changes()
	if err != nil {
		return err
	}
	defer func() { _ = changes.Close() }()
	var table, chains trouble
	for {
		// First: a data connection that comes while the line is away is lost.
		if d.anchor != nil {
			inserted, err := d.anchor.Ensure()
			switch {
			case d.unplaced.news(err, time.Now()):
				d.log.Error("the accept line could not be put back", "line", d.line(), "error", err)
			case inserted:
				d.counts.lineRestored.Add(1)
				d.log.Info("accept line put back", "line", d.line())
			}
		}
		restored, err := d.table.Restore()
		switch {
		case table.news(err, time.Now()):
			d.log.Error("the state of our table is not known", "error", err)
		case restored:
			d.counts.tableRestored.Add(1)
			d.log.Warn("another program removed our table: it is back")
		}
		moved, err := d.table.Follow()
		switch {
		case chains.news(err, time.Now()):
			d.log.Error("our chains could not be moved to where the operator's have come to stand", "error", err)
		case moved:
			d.log.Info("our chains were moved: the operator's have come to stand elsewhere")
		}
		var atMost time.Duration
		if table.stands() || chains.stands() || d.unplaced.stands() {
			atMost = lookAgain
		}
		if _, err := changes.Wait(ctx, atMost); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// trouble is what could not be mended: since when, and what was told of last.
type trouble struct {
	since time.Time
	told  string
}

// stands reports whether the last error was not nil.
func (t *trouble) stands() bool { return !t.since.IsZero() }

// news reports whether an error has to be told: one that has stood for a while, as a program
// that makes its rules anew (firewalld) may be in the midst of it, and was not told yet.
func (t *trouble) news(err error, now time.Time) bool {
	if err == nil {
		*t = trouble{}
		return false
	}
	if !t.stands() {
		t.since = now
	}
	if now.Sub(t.since) < lookAgain || t.told == err.Error() {
		return false
	}
	t.told = err.Error()
	return true
}
