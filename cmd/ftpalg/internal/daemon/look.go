package daemon

import (
	"context"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/check"
)

// look logs once what ftpalg check finds, when packets are served already: with a long
// ruleset it takes its time, and the end of the daemon does not wait for it. What is to be
// said of the configuration was logged before.
func (d *daemon) look(ctx context.Context) error {
	found := make(chan *check.Report, 1)
	go func() { found <- check.Look(d.config, check.Daemon{Running: true, Caps: &d.caps}) }()
	var r *check.Report
	select {
	case r = <-found:
	case <-ctx.Done():
		return nil
	}
	for _, f := range r.Findings {
		switch {
		case f.ID == check.Configuration:
		case f.Problem:
			d.log.Warn(f.Text, "finding", f.ID, "mend", f.Mend)
		default:
			d.log.Info(f.Text, "finding", f.ID, "mend", f.Mend)
		}
	}
	if r.Blind != "" {
		d.log.Warn("not everything could be checked", "error", r.Blind)
	}
	d.log.Info("checked", "problems", r.Problems())
	return nil
}
