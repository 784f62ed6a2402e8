package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// errInShell says that what failed is the user's own command.
var errInShell = errors.New("the command failed")

func shell() *cobra.Command {
	c := &cobra.Command{
		Use:   "shell HOST [COMMAND...]",
		Short: "Open a shell, or run a command, on a host of a standing lab",
		Args:  cobra.MinimumNArgs(1),
	}
	name := labFlag(c)
	c.Flags().SetInterspersed(false) // what follows HOST is the command's
	c.RunE = func(_ *cobra.Command, args []string) error {
		l, err := lab.Attach(*name)
		if err != nil {
			return hint(err)
		}
		h := l.Host(args[0])
		if h == nil {
			err = fmt.Errorf("the lab has no host %s: client, neighbour, router, gateway, server, outsider", args[0])
			return errors.Join(err, l.Close())
		}
		if args = args[1:]; len(args) > 0 && args[0] == "--" {
			args = args[1:]
		}
		if len(args) == 0 {
			args = []string{"bash", "--norc"}
		}
		return errors.Join(interact(h, args), l.Close())
	}
	return c
}

// interact runs a command on this terminal. Ctrl-C is the command's, as everywhere.
func interact(h *lab.Host, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGQUIT)
	cmd := h.Command(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(cmd.Env, `PS1=`+h.Name+`:\w# `)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running %s on %s: %w", args[0], h.Name, err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %w", errInShell, err)
	}
	return nil
}

func list() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "List the labs that stand on this machine",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			labs, err := lab.List()
			if err != nil {
				return err
			}
			if len(labs) == 0 {
				_, err := fmt.Fprintln(c.OutOrStdout(), "no lab stands here")
				return err
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "LAB\tOWNER\tKEEPER\tSTATE")
			for _, l := range labs {
				state := "stands"
				if l.Stale {
					state = "stale: its owner is gone"
				}
				fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", l.Name, l.Owner, l.Keeper, state)
			}
			return w.Flush()
		},
	}
}

func down() *cobra.Command {
	c := &cobra.Command{
		Use:   "down",
		Short: "Take a standing lab away",
		Args:  cobra.NoArgs,
	}
	name := labFlag(c)
	all := c.Flags().Bool("all", false, "every lab on this machine, those of running tests too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := lab.Available(); err != nil {
			return err
		}
		labs, err := lab.List()
		if err != nil {
			return err
		}
		var errs []error
		found := *all
		for _, l := range labs {
			if *all || l.Name == *name {
				found = true
				errs = append(errs, l.End(c.Context()))
			}
		}
		if !found {
			return fmt.Errorf("no lab called %s stands here", *name)
		}
		return errors.Join(errs...)
	}
	return c
}

// hint tells the user how to come by a lab.
func hint(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; `ftplab up` builds one", err)
	}
	return err
}
