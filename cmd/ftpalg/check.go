package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/check"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/daemon"
)

// Exit codes of check, beside 0. Every other command ends with 1 for an error.
const (
	foundProblems = 1
	couldNotLook  = 2 // bad usage and configuration too
)

// exit is an error that has an exit code of its own.
type exit struct {
	error // nil: all has been said
	code  int
}

func (e exit) Unwrap() error { return e.error }

func lookAround() *cobra.Command {
	var asJSON bool
	c := configured("check", "Look at configuration, kernel, ruleset and settings, and say what would not work and how it is mended", func(c *cobra.Command, conf *config.Config) error {
		report := check.Look(conf, check.Daemon{Running: daemon.Running()})
		var err error
		if asJSON {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			err = e.Encode(report)
		} else {
			err = report.Write(c.OutOrStdout(), config.DefaultFile)
		}
		switch {
		case err != nil:
			return fmt.Errorf("writing the report: %w", err)
		case report.Blind != "":
			return exit{code: couldNotLook}
		case report.Problems() > 0:
			return exit{code: foundProblems}
		}
		return nil
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Long = c.Short + ".\n\nExit code: 0 no problems, 1 problems, 2 could not look, or bad usage or configuration."
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error { return blame(run(c, args)) }
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return blame(err) })
	c.Args = func(c *cobra.Command, args []string) error { return blame(cobra.NoArgs(c, args)) }
	return c
}

// blame gives an error of check its exit code.
func blame(err error) error {
	if err == nil || errors.As(err, &exit{}) {
		return err
	}
	return exit{err, couldNotLook}
}
