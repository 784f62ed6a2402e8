// Package demo runs the reference dialogue of active FTP through a gateway with
// ftpalg, and tells from the packets captured there and from the daemon's events what
// happened.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// eventsWithin is how long after the last reply the daemon's last event may come.
const eventsWithin = 5 * time.Second

// Run builds a lab, runs the reference dialogue with the daemon in it, takes the
// lab away, and returns what happened. An ended ctx ends it early, with ctx's error.
func Run(ctx context.Context, binary string) (_ *Story, err error) {
	if err := lab.Available(); err != nil {
		return nil, err
	}
	if err := lab.Require("nft", "vsftpd", "lftp"); err != nil {
		return nil, err
	}
	l, err := lab.New(ctx, lab.Options{Ruleset: lab.Ruleset("stateful")})
	if err != nil {
		return nil, cause(ctx, err)
	}
	defer func() { err = cause(ctx, errors.Join(err, l.Close())) }()
	if _, err := l.StartVSFTPD(ctx, lab.VSFTPDOptions{}); err != nil {
		return nil, err
	}
	daemon, err := l.StartDaemon(ctx, lab.DaemonOptions{Binary: binary})
	if err != nil {
		return nil, err
	}
	inside, err := l.Gateway.Capture("inside")
	if err != nil {
		return nil, err
	}
	outside, err := l.Gateway.Capture("outside")
	if err != nil {
		return nil, err
	}
	for _, s := range lab.Reference {
		if out, err := l.Client.LFTP(ctx, s.Commands).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s with lftp: %w: %s\nthe daemon's log:\n%s", s.Title, err, out, daemon.Log())
		}
	}
	if err := checkFiles(l); err != nil {
		return nil, err
	}
	if err := awaitEnds(ctx, daemon, len(lab.Reference)); err != nil {
		return nil, err
	}
	if err := errors.Join(inside.Stop(), outside.Stop()); err != nil {
		return nil, err
	}
	return tell(lab.Connections(lab.Merge(inside, outside)), daemon.Events()), nil
}

// cause puts the end of ctx in place of the errors that come of it.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// checkFiles compares what was transferred with what should have been.
func checkFiles(l *lab.Lab) error {
	for path, want := range map[string]string{
		l.Client.Home() + "/R1.cfg": lab.R1,
		lab.ServerFiles + "/R3.cfg": lab.R3,
	} {
		got, err := os.ReadFile(l.Path(path))
		if err != nil {
			return fmt.Errorf("look at what was transferred: %w", err)
		}
		if string(got) != want {
			return fmt.Errorf("%s arrived as %q", path, got)
		}
	}
	return nil
}

// awaitEnds waits until the daemon has told the end of every session.
func awaitEnds(ctx context.Context, d *lab.Daemon, n int) error {
	ctx, cancel := context.WithTimeout(ctx, eventsWithin)
	defer cancel()
	ended := map[uint64]bool{}
	_, err := d.AwaitEvent(ctx, func(e lab.Event) bool {
		if e.Event == "session.end" {
			ended[e.Session] = true
		}
		return len(ended) == n
	})
	return err
}
