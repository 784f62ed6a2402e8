package main

import (
	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/top"
)

func showTop() *cobra.Command {
	c := &cobra.Command{Use: "top", Short: "Show the running daemon on the terminal, live", Args: cobra.NoArgs}
	socket := socketFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return top.Run(c.Context(), *socket) }
	return c
}

// socketFlag adds --socket to a command.
func socketFlag(c *cobra.Command) *string {
	return c.Flags().String("socket", config.Default().Socket, "control socket of the daemon")
}
