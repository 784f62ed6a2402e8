package lab

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Cmd is a program on a host of the lab. It is an exec.Cmd in all but its
// namespaces: fields may be set before it starts, Env and Dir too, with paths as the
// lab has them. One goroutine uses it at a time, except for Wait.
type Cmd struct {
	*exec.Cmd
	host *Host
	wait sync.Once
	err  error
}

// Command prepares a program on the host. It runs in the host's home directory with
// a small environment of its own. It is killed when ctx ends, and at the latest when
// the lab is closed. A name that is not found yields an error at the start that names
// the Debian package.
func (h *Host) Command(ctx context.Context, name string, args ...string) *Cmd {
	path, err := h.lookPath(name)
	c := exec.CommandContext(ctx, path, args...)
	c.Args[0] = name
	c.Err = err
	c.Dir = h.Home()
	c.WaitDelay = time.Second // a child of a killed shell may hold the output open
	c.Env = []string{
		"HOME=" + h.Home(), "USER=root", "SHELL=/bin/sh", "PATH=" + binDir + ":" + searchPath,
		"TERM=" + os.Getenv("TERM"), "LC_ALL=C.UTF-8", "TZ=UTC",
	}
	return &Cmd{Cmd: c, host: h}
}

// Home returns the host's directory for files, as the lab's programs see it.
func (h *Host) Home() string { return "/run/lab/" + h.Name }

// Start starts the program and does not wait for it.
func (c *Cmd) Start() error {
	l := c.host.lab
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := c.host.enter(c.Cmd.Start); err != nil {
		return err
	}
	l.running[c] = struct{}{}
	return nil
}

// Wait waits for the end of the program. Every caller gets the same answer.
func (c *Cmd) Wait() error {
	c.wait.Do(func() {
		c.err = c.Cmd.Wait()
		l := c.host.lab
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.running, c)
	})
	return c.err
}

// Run starts the program and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it wrote to standard output. Where
// Stderr is not set, an *exec.ExitError carries what it wrote there.
func (c *Cmd) Output() ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout = &stdout
	own := c.Stderr == nil
	if own {
		c.Stderr = &stderr
	}
	err := c.Run()
	if exit := (*exec.ExitError)(nil); own && errors.As(err, &exit) {
		exit.Stderr = stderr.Bytes()
	}
	return stdout.Bytes(), err
}

// CombinedOutput runs the program and returns what it wrote to standard output and
// standard error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}
