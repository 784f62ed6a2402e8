package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure what each gateway costs FTP: transfers, round trips, logins, throughput, CPU and memory",
		Args:  cobra.NoArgs,
	}
	flag := daemonFlag(c)
	var o bench.Options
	var asJSON bool
	c.Flags().StringSliceVar(&o.Columns, "column", nil, "measure only the gateway `NAME`: "+strings.Join(bench.Names(), ", ")+"; may be repeated")
	c.Flags().StringSliceVar(&o.Measures, "measure", nil, "take only the measure `NAME`, or those that begin so: "+strings.Join(bench.MeasureNames(), ", ")+"; may be repeated")
	c.Flags().IntVar(&o.Rounds, "rounds", 0, "how often every gateway is measured (default: 5, or 2 with --quick)")
	c.Flags().BoolVar(&o.Quick, "quick", false, "less of everything: a look, in under a minute")
	c.Flags().BoolVar(&asJSON, "json", false, "print all figures as JSON")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if err := bench.Missing(); err != nil {
			return err
		}
		if o.FTPALG, err = daemon(*flag); err != nil {
			return err
		}
		o.Progress = progress(os.Stderr)
		r, err := bench.Run(c.Context(), o)
		if err != nil {
			return fmt.Errorf("measuring the gateways: %w", err)
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), r)
		}
		return bench.Print(c.OutOrStdout(), r)
	}
	return c
}

// benchPart is how the benchmark starts its own processes.
func benchPart() *cobra.Command {
	return &cobra.Command{
		Use: bench.PartCommand + " NAME ORDER", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return bench.Part(c.Context(), c.InOrStdin(), c.OutOrStdout(), args[0], args[1])
		},
	}
}
