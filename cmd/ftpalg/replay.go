package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/replay"
	"github.com/spf13/cobra"
)

func replayFile() *cobra.Command {
	var asJSON bool
	c := configured("replay FILE", "Run the engine over a capture (pcap or pcapng): one line per decision", func(c *cobra.Command, conf *config.Config) error {
		out := bufio.NewWriter(c.OutOrStdout())
		write := event.NewText(out).Write
		if asJSON {
			lines := json.NewEncoder(out)
			write = func(e event.JSON) error { return lines.Encode(e) }
		}
		return play(c, conf.Policy, c.Flags().Arg(0), out, write)
	})
	c.Args = cobra.ExactArgs(1)
	c.Flags().BoolVar(&asJSON, "json", false, "write each event as a JSON object")
	return c
}

// play replays a file: events to out by way of write, everything else to stderr.
func play(c *cobra.Command, policy alg.Policy, file string, out *bufio.Writer, write func(event.JSON) error) error {
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	summary, err := replay.File(ctx, file, policy, func(e alg.Event) {
		if err := write(event.From(e)); err != nil {
			cancel(fmt.Errorf("write the events: %w", err))
		}
	})
	if flushed := out.Flush(); flushed != nil && err == nil {
		err = fmt.Errorf("write the events: %w", flushed)
	}
	if err != nil && summary.Packets == 0 {
		return err
	}
	for _, w := range summary.Warnings() {
		fmt.Fprintf(c.ErrOrStderr(), "ftpalg: replay %s: %s\n", file, w)
	}
	fmt.Fprintln(c.ErrOrStderr(), &summary)
	return err
}
