package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
)

func attackCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "attack",
		Short: "Measure what each firewall lets through: transfers that should work, attacks that should not",
		Args:  cobra.NoArgs,
	}
	flag := daemonFlag(c)
	var o attack.Options
	var plain, details, asJSON bool
	c.Flags().StringSliceVar(&o.Firewalls, "firewall", nil, "measure only the firewall `NAME`: "+strings.Join(attack.Names(), ", ")+"; may be repeated")
	c.Flags().BoolVar(&details, "details", false, "tell of every cell what was tried, and what came of it")
	c.Flags().BoolVar(&plain, "no-color", false, "no colours; so does NO_COLOR in the environment")
	c.Flags().BoolVar(&asJSON, "json", false, "print the table as JSON")
	exclusive(c, "details", "json")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if err := attack.Missing(); err != nil {
			return err
		}
		if o.Daemon, err = daemon(*flag); err != nil {
			return err
		}
		o.Progress = progress(os.Stderr)
		m, err := attack.Run(c.Context(), o)
		if err != nil {
			return fmt.Errorf("measure the firewalls: %w", err)
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), m)
		}
		p := attack.Printer{Writer: c.OutOrStdout(), Details: details}
		if isTerminal(os.Stdout) {
			p.Width, p.Color = width(os.Stdout), !plain && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		}
		return p.Matrix(m)
	}
	return c
}
