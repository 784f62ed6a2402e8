package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// question is a command that asks the running daemon. It prints what answer returns as
// JSON, or by text for people.
func question[T any](use, short string, ask func(context.Context, *api.Client) (T, error), text func(io.Writer, T)) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	client, asJSON := asking(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		answer, err := ask(c.Context(), client())
		if err != nil {
			return err
		}
		if *asJSON {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(answer)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		text(w, answer)
		return w.Flush()
	}
	return c
}

// asking adds the flags of a command that asks.
func asking(c *cobra.Command) (client func() *api.Client, asJSON *bool) {
	socket := socketFlag(c)
	asJSON = c.Flags().Bool("json", false, "print JSON")
	return func() *api.Client { return api.NewClient(*socket) }, asJSON
}

func status() *cobra.Command {
	return question("status", "Ask the running daemon how it is doing",
		func(ctx context.Context, c *api.Client) (api.Status, error) { return c.Status(ctx) },
		func(w io.Writer, s api.Status) {
			fmt.Fprintf(w, "version\t%s\nrunning for\t%s\nsessions\t%d\nopen pinholes\t%d\ntransfers\t%d, %d announcements refused, %d connections missed\n",
				s.Version, time.Since(s.StartedAt).Round(time.Second), s.Sessions, s.Pinholes, s.Transfers, s.Refused, s.Missed)
			for _, q := range s.Queues {
				fmt.Fprintf(w, "queue %d\t%d packets, %d waiting, %d overrun, %d held, %d of them in vain; %d conflicts, %d unreadable, %d unhelped, %d failures\n",
					q.Number, q.Worker.Packets, q.Waiting, q.Dropped, q.Worker.Held, q.Worker.Expired, q.Worker.Conflicts, q.Worker.Unreadable, q.Worker.Unhelped, q.Worker.Failures)
			}
		})
}

func sessions() *cobra.Command {
	return question("sessions", "List the control connections that are followed",
		func(ctx context.Context, c *api.Client) ([]api.Session, error) { return c.Sessions(ctx) },
		func(w io.Writer, list []api.Session) {
			fmt.Fprintln(w, "SESSION\tCLIENT\tSERVER\tSTATE\tLOGIN")
			for _, s := range list {
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%v\n", s.Session, seen(s.Client, s.OutsideClient), seen(s.Server, s.OutsideServer), s.State, s.Login)
			}
		})
}

// seen is an end of a connection, and in brackets how the other end knows it where that is
// by another address.
func seen(own, outside netip.AddrPort) string {
	if !outside.IsValid() || outside == own {
		return own.String()
	}
	return fmt.Sprintf("%v (%v)", own, outside)
}

func pinholes() *cobra.Command {
	return question("pinholes", "List the last announcement of each session",
		func(ctx context.Context, c *api.Client) ([]api.Pinhole, error) { return c.Pinholes(ctx) },
		func(w io.Writer, list []api.Pinhole) {
			fmt.Fprintln(w, "SESSION\tSTATE\tMODE\tCLIENT\tSERVER\tFROM PORT\tTO\tOPENED")
			for _, p := range list {
				opened := "never"
				if !p.OpenedAt.IsZero() {
					opened = p.OpenedAt.Local().Format("15:04:05.000")
				}
				to := seen(netip.AddrPortFrom(p.Address, p.Port), netip.AddrPortFrom(p.OutsideAddress, p.OutsidePort))
				fmt.Fprintf(w, "%d\t%s\t%s\t%v\t%v\t%s\t%s\t%s\n", p.Session, p.State, p.Mode, p.Client, p.Server, p.SourcePort, to, opened)
			}
		})
}

func events() *cobra.Command {
	c := &cobra.Command{Use: "events", Short: "Follow events as they happen", Args: cobra.NoArgs}
	client, asJSON := asking(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		write := event.NewText(c.OutOrStdout()).Write
		if *asJSON {
			e := json.NewEncoder(c.OutOrStdout())
			write = func(j event.JSON) error { return e.Encode(j) }
		}
		err := client().Events(c.Context(), write)
		if errors.Is(err, io.EOF) {
			return errors.New("the daemon has ended")
		}
		return err
	}
	return c
}
