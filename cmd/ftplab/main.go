// Ftplab runs real FTP programs through a firewall, in a network of its own, and shows
// what happens there.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/internal/version"
)

// defaultLab is the name of the lab that `up` leaves standing.
const defaultLab = "lab"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// The first signal ends what is going on, in good order. The second ends ftplab,
	// and the kernel cleans up behind it.
	context.AfterFunc(ctx, stop)
	os.Exit(status(root().ExecuteContext(ctx)))
}

// status tells the user what went wrong and returns the exit status.
func status(err error) int {
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "ftplab: interrupted; nothing is left behind")
		return 130
	case errors.As(err, &exit) && errors.Is(err, errInShell):
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return 128 + int(s.Signal())
		}
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "ftplab:", err)
		return 1
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "ftplab",
		Version:       version.Line("ftplab"),
		Short:         "A network lab for active FTP and the firewall between its two ends",
		SilenceUsage:  true,
		SilenceErrors: true,

		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	c.SetVersionTemplate("{{.Version}}\n")
	c.AddCommand(demoCommand(), attackCommand(), benchCommand(), benchPart(), up(), keep(), firewallCommand(), shell(), list(), down())
	return c
}

// exclusive has a command refuse more than one of the flags. cobra would do so too, in words that
// name the flags as a group; it is told of them for the shell completions.
func exclusive(c *cobra.Command, flags ...string) {
	c.MarkFlagsMutuallyExclusive(flags...)
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		var given []string
		for _, name := range flags {
			if c.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) < 2 {
			return nil
		}
		return fmt.Errorf("%s and %s do not go together: give one of them", strings.Join(given[:len(given)-1], ", "), given[len(given)-1])
	}
}

// labFlag adds --lab to a command.
func labFlag(c *cobra.Command) *string {
	return c.Flags().String("lab", defaultLab, "`name` of the lab")
}
