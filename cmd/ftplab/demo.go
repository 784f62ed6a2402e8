package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/report"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

// demoFlags are the choices of the demo.
type demoFlags struct {
	daemon   *string
	step     int
	pause    bool
	plain    bool
	json     bool
	html     string
	captures string
}

func demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Tell active FTP and its firewall in ten steps, from packets captured as you watch",
		Args:  cobra.NoArgs,
	}
	f := demoFlags{daemon: daemonFlag(c)}
	c.Flags().IntVar(&f.step, "step", 0, fmt.Sprintf("show only step `N`, of 1 to %d", story.StepCount))
	c.Flags().BoolVar(&f.pause, "pause", false, "wait for a key between steps")
	c.Flags().BoolVar(&f.plain, "no-color", false, "no colours; so does NO_COLOR in the environment")
	c.Flags().BoolVar(&f.json, "json", false, "print the story as JSON")
	c.Flags().StringVar(&f.html, "html", "", "compare the firewalls, too, and write all as a page for the browser to `FILE`")
	c.Flags().StringVar(&f.captures, "pcap", "", "write to `DIR` what was captured, a pcapng file for each place: client, inside, outside; masquerade-client, masquerade-server")
	exclusive(c, "step", "pause", "json", "html")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("step") && (f.step < 1 || f.step > story.StepCount) {
			return fmt.Errorf("there is no step %d: they are 1 to %d", f.step, story.StepCount)
		}
		return f.run(c)
	}
	return c
}

func (f *demoFlags) run(c *cobra.Command) error {
	if err := f.missing(); err != nil {
		return err
	}
	binary, err := daemon(*f.daemon)
	if err != nil {
		return err
	}
	s, err := story.Run(c.Context(), story.Options{Daemon: binary, Progress: progress(os.Stderr), PcapDir: f.captures})
	if err != nil {
		return err
	}
	if f.html != "" {
		return f.page(c, s, binary)
	}
	return f.show(c, s)
}

// missing says what is not there, before any time is spent.
func (f *demoFlags) missing() error {
	if f.html == "" {
		return story.Missing()
	}
	if _, err := os.Stat(filepath.Dir(f.html)); err != nil {
		return fmt.Errorf("writing a page: %w", err)
	}
	return attack.Missing() // it needs all that the story needs, and more
}

// page compares the firewalls, and writes the page that shows everything.
func (f *demoFlags) page(c *cobra.Command, s *story.Story, binary string) error {
	m, err := attack.Run(c.Context(), attack.Options{Daemon: binary, Progress: progress(os.Stderr)})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := report.Write(&b, s, m); err != nil {
		return err
	}
	if err := os.WriteFile(f.html, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is written; open it in a browser\n", f.html)
	return err
}

// show writes the story in the form that was asked for.
func (f *demoFlags) show(c *cobra.Command, s *story.Story) error {
	out := c.OutOrStdout()
	if f.json {
		return writeJSON(out, s)
	}
	p := story.Printer{Writer: out}
	if isTerminal(os.Stdout) {
		p.Width, p.Color = width(os.Stdout), !f.plain && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	if f.step > 0 {
		return p.Step(s, f.step)
	}
	if f.pause {
		p.Pause = func() error { return pause(c.Context()) }
	}
	return p.Story(s)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// progress returns what tells a person at a terminal what is going on.
func progress(f *os.File) func(string) {
	if !isTerminal(f) {
		return nil
	}
	return func(what string) { fmt.Fprintf(f, "... %s\n", what) }
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
			return "", fmt.Errorf("finding ftpalg beside ftplab: %w", err)
		}
		path = filepath.Join(filepath.Dir(self), "ftpalg")
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("there is no ftpalg at %s; build it, or name it with --ftpalg", path)
	}
	return filepath.Abs(path)
}
