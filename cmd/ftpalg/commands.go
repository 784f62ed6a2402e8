package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/daemon"
	"github.com/ftpalg/ftpalg/cmd/internal/version"
	"github.com/ftpalg/ftpalg/nft"
)

func root() *cobra.Command {
	c := &cobra.Command{
		Use:               "ftpalg",
		Version:           version.Line("ftpalg"),
		Short:             "FTP through a firewall: pinholes for exactly the announced data connections",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	c.SetVersionTemplate("{{.Version}}\n")
	c.AddCommand(run(), lookAround(), rules(), status(), sessions(), pinholes(), events(), showTop(), replayFile(), tellVersion())
	return c
}

// configured is a command that works on a configuration.
func configured(use, short string, do func(*cobra.Command, *config.Config) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	file := c.Flags().String("config", "", "configuration `file` (default "+config.DefaultFile+", if it exists)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("config") && *file == "" {
			return errors.New("--config names no file")
		}
		conf, err := config.Load(*file)
		if err != nil {
			return err
		}
		return do(c, conf)
	}
	return c
}

func run() *cobra.Command {
	return configured("run", "Run the gateway in the foreground", func(c *cobra.Command, conf *config.Config) error {
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, unix.SIGHUP)
		log, level := daemon.NewLogger(os.Stderr, conf.Log)
		return daemon.Run(c.Context(), conf, log, daemon.Reload{Asked: hangup, Level: level, Read: func() (*config.Config, error) {
			file, err := c.Flags().GetString("config")
			if err != nil {
				return nil, err
			}
			return config.Load(file)
		}})
	})
}

func rules() *cobra.Command {
	return configured("rules", "Print, in nft syntax, what run would install", func(c *cobra.Command, conf *config.Config) error {
		caps, err := nft.Probe()
		if err != nil {
			c.PrintErrf("ftpalg: the kernel could not be asked (%v): these are the rules for one that can do everything\n", err)
			caps = nft.Caps{Owner: true, Persist: true, Queue: true, InnerHeader: true, Destroy: true, NAT: true}
		}
		if before, after, err := nft.Placement(conf.Table.Hooks); err == nil {
			conf.Table.Before, conf.Table.After = before, after
		}
		accept := nft.AnchorText(conf.Anchor.Table, conf.Anchor.Chains, conf.Table.Tag)
		if conf.Anchor.Insert {
			accept = "\n# in your chains, put back when you load them anew:\n" + accept
		} else {
			accept = "\n# what your chains need:\n# " + strings.ReplaceAll(strings.TrimSpace(accept), "\n", "\n# ") + "\n"
		}
		_, err = fmt.Fprint(c.OutOrStdout(), nft.Text(conf.Table, caps), accept)
		return err
	})
}

func tellVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), c.Root().Version)
			return err
		},
	}
}
