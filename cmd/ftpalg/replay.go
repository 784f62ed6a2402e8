package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/replay"
)

// standardInput is the name of no file.
const standardInput = "-"

func replayFile() *cobra.Command {
	var asJSON, anyChecksum bool
	c := configured("replay FILE|-", "Run the engine over a capture (pcap or pcapng): one line per decision", func(c *cobra.Command, conf *config.Config) error {
		return play(c, c.Flags().Arg(0), asJSON, replay.Config{Policy: conf.Policy, AnyChecksum: anyChecksum})
	})
	c.Args = cobra.ExactArgs(1)
	c.Flags().BoolVar(&asJSON, "json", false, "write each event as a JSON object")
	c.Flags().BoolVar(&anyChecksum, "ignore-checksums", false, "read segments whose TCP checksum is wrong")
	return c
}

// play replays a file: events to stdout, everything else to stderr.
func play(c *cobra.Command, file string, asJSON bool, conf replay.Config) error {
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	out := bufio.NewWriter(c.OutOrStdout())
	write := event.NewText(out).Write
	if asJSON {
		lines := json.NewEncoder(out)
		write = func(e event.JSON) error { return lines.Encode(e) }
	}
	conf.Sink = func(e alg.Event) {
		err := write(event.From(e))
		if err == nil && file == standardInput { // it may be a capture that goes on
			err = out.Flush()
		}
		if err != nil {
			cancel(fmt.Errorf("writing the events: %w", err))
		}
	}
	summary, err := read(ctx, c, file, conf)
	if flushed := out.Flush(); flushed != nil && err == nil {
		err = fmt.Errorf("writing the events: %w", flushed)
	}
	if err != nil && summary.Packets == 0 {
		return err
	}
	for _, w := range summary.Warnings() {
		fmt.Fprintf(c.ErrOrStderr(), "ftpalg: %s: %s\n", named(file), w)
	}
	fmt.Fprintln(c.ErrOrStderr(), &summary)
	return err
}

// read replays a file, or what comes in at standard input. Errors name it.
func read(ctx context.Context, c *cobra.Command, file string, conf replay.Config) (replay.Summary, error) {
	if file != standardInput {
		return replay.File(ctx, file, conf)
	}
	s, err := replay.Read(ctx, c.InOrStdin(), conf)
	if err != nil {
		err = fmt.Errorf("replaying %s: %w", named(file), err)
	}
	return s, err
}

func named(file string) string {
	if file == standardInput {
		return "standard input"
	}
	return file
}
