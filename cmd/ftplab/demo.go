package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/demo"
	"github.com/spf13/cobra"
)

func demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the reference dialogue through the gateway, and show what ftpalg did at each line",
		Args:  cobra.NoArgs,
	}
	flag := daemonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		binary, err := daemon(*flag)
		if err != nil {
			return err
		}
		story, err := demo.Run(c.Context(), binary)
		if err != nil {
			return err
		}
		return story.Print(c.OutOrStdout())
	}
	return c
}

// daemonFlag adds --ftpalg to a command.
func daemonFlag(c *cobra.Command) *string {
	return c.Flags().String("ftpalg", "", "`path` of ftpalg (default: beside ftplab)")
}

// daemon returns the path of ftpalg.
func daemon(flag string) (string, error) {
	path := flag
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find ftpalg beside ftplab: %w", err)
		}
		path = filepath.Join(filepath.Dir(self), "ftpalg")
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("there is no ftpalg at %s; build it, or name it with --ftpalg: %w", path, os.ErrNotExist)
	}
	return filepath.Abs(path)
}
