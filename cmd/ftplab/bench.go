package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/report"
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
	var page string
	c.Flags().StringSliceVar(&o.Columns, "column", nil, "measure only the gateway `NAME`: "+strings.Join(bench.Names(), ", ")+"; may be repeated")
	c.Flags().StringSliceVar(&o.Measures, "measure", nil, "take only the measure `NAME`, or those that begin so: "+strings.Join(bench.MeasureNames(), ", ")+"; may be repeated")
	c.Flags().IntVar(&o.Rounds, "rounds", 0, "how often every gateway is measured (default: 5, or 2 with --quick)")
	c.Flags().BoolVar(&o.Quick, "quick", false, "less of everything: a look, in under a minute")
	c.Flags().BoolVar(&asJSON, "json", false, "print all figures as JSON")
	c.Flags().StringVar(&page, "html", "", "write all as a page for the browser to `FILE`")
	exclusive(c, "json", "html")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if _, err := os.Stat(filepath.Dir(page)); err != nil { // of no page, "."
			return fmt.Errorf("writing a page: %w", err)
		}
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
		if page != "" {
			var b bytes.Buffer
			if err := report.WriteBench(&b, r); err != nil {
				return err
			}
			if err := os.WriteFile(page, b.Bytes(), 0o644); err != nil {
				return fmt.Errorf("writing the page: %w", err)
			}
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
