package attack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// givesUpAfter is how long the server (in active mode) and the client (in passive mode)
// wait for a data connection that does not come, in whole seconds.
const givesUpAfter = 3 * time.Second

// transferWithin is how long a transfer may take.
const transferWithin = 10 * time.Second

// The client of the download listens at one of these ports, which tell it from the others.
const lowestPort, highestPort = 46197, 46296

var services = []row{
	{
		name: "download", about: "lftp fetches a file in active mode: the server connects to the port that the client has announced.",
		stage:   serving,
		measure: download,
	},
	{
		name: "listing", about: "lftp lists a directory in active mode.",
		stage: serving,
		measure: func(ctx context.Context, c *column) (Cell, error) {
			return c.lftp(ctx, "ls", func(out string) error {
				if !strings.Contains(out, "R1.cfg\n") {
					return fmt.Errorf("no R1.cfg in the listing %q", out)
				}
				return nil
			})
		},
	},
	{
		name: "upload", about: "lftp stores a file in active mode.",
		stage: serving,
		measure: func(ctx context.Context, c *column) (Cell, error) {
			return c.lftp(ctx, "put R3.cfg", func(string) error { return c.arrived(lab.ServerFiles+"/R3.cfg", lab.R3) })
		},
	},
	{
		name: "passive mode", about: "curl fetches a file in passive mode: the client connects to a port that the server has announced.",
		stage: serving,
		measure: func(ctx context.Context, c *column) (Cell, error) {
			return c.curl(ctx, "R1.cfg", func(out string) error { return same(out, lab.R1) })
		},
	},
}

// download also notes for how long the port was open.
func download(ctx context.Context, c *column) (Cell, error) {
	outside, err := c.Gateway.Capture("outside")
	if err != nil {
		return Cell{}, err
	}
	commands := fmt.Sprintf("set ftp:port-range %d-%d; get R1.cfg", lowestPort, highestPort)
	cell, err := c.lftp(ctx, commands, func(string) error { return c.arrived(c.Client.Home()+"/R1.cfg", lab.R1) })
	if err = errors.Join(err, outside.Stop()); err == nil && cell.Result == Works {
		c.transfer, err = c.openUntilUsed(ctx, outside.Packets())
	}
	return cell, err
}

// startServers starts vsftpd on the server, and on the outsider proftpd, where it is
// installed.
func (c *column) startServers(ctx context.Context) (end func() error, err error) {
	p, err := c.StartVSFTPD(ctx, lab.VSFTPDOptions{Settings: map[string]string{"connect_timeout": seconds(givesUpAfter)}})
	if err != nil || lab.Require("proftpd") != nil {
		return p.Kill, err
	}
	other, err := c.StartProFTPD(ctx, lab.ProFTPDOptions{Host: c.Outsider})
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return func() error { return errors.Join(p.Kill(), other.Kill()) }, nil
}

// lftp runs a transfer in active mode.
func (c *column) lftp(ctx context.Context, commands string, check func(out string) error) (Cell, error) {
	within, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	return transferred(ctx, c.Client.LFTP(within, commands), "lftp", check)
}

// curl runs a transfer in passive mode.
func (c *column) curl(ctx context.Context, path string, check func(out string) error) (Cell, error) {
	within, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	url := fmt.Sprintf("ftp://%s:%s@%s/%s", lab.User, lab.Password, c.Server.IPv4, path)
	return transferred(ctx, c.Client.Command(within, "curl", "-sS", "--connect-timeout", seconds(givesUpAfter), url), "curl", check)
}

func seconds(d time.Duration) string { return fmt.Sprint(int(d.Seconds())) }

// transferred runs a program. Where it succeeds, check must find the right thing done;
// where it fails, it must have waited in vain.
func transferred(ctx context.Context, cmd *lab.Cmd, program string, check func(out string) error) (Cell, error) {
	begin := time.Now()
	out, err := cmd.Output()
	took := time.Since(begin)
	waited := cmd.ProcessState != nil && !cmd.ProcessState.Success() && took > givesUpAfter/2
	switch {
	case ctx.Err() != nil:
		return Cell{}, ctx.Err()
	case waited:
		return Cell{Blocked, fmt.Sprintf("%s gave up after %.1f s", program, took.Seconds())}, nil
	case err != nil:
		said := ""
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			said = string(exit.Stderr)
		}
		return Cell{}, fmt.Errorf("running %s: %w: %s", program, err, said)
	}
	if err := check(string(out)); err != nil {
		return Cell{}, fmt.Errorf("look at what %s has transferred: %w", program, err)
	}
	return Cell{Works, fmt.Sprintf("%s in %d ms", program, took.Milliseconds())}, nil
}

// arrived compares a file of the lab with what it should hold.
func (c *column) arrived(path, want string) error {
	got, err := os.ReadFile(c.Path(path))
	if err != nil {
		return err
	}
	return same(string(got), want)
}

func same(got, want string) error {
	if got != want {
		return fmt.Errorf("%q arrived, not %q", got, want)
	}
	return nil
}
