package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

const guide = `The lab stands: client 10.1.4.4 - router - gateway - server 10.2.5.5,
with vsftpd on the server and ftpalg on the gateway.

  ftplab shell%[4]s client      a shell on a host: client, neighbour, router, gateway, server, outsider
      lftp -u %[1]s,%[2]s %[5]s        then: set ftp:passive-mode off; ls; get R1.cfg; put R3.cfg
  ftplab shell%[4]s gateway
      nft list ruleset            the operator's firewall, and the table of ftpalg
      ftpalg pinholes             what was announced last; also: sessions, events, status
      tcpdump -ni outside         the gateway's side of the server; "inside" is the client's
      tail -f %[3]s
      conntrack -L
  ftplab firewall%[4]s NAME     another firewall: open, stateless, stateful, ftpalg, helper
  ftplab down%[4]s              takes everything away
`

// forwarded is how clients reach the server where the gateway forwards: by its own address.
const forwarded = "gateway"

// ready is what the keeper of a standing lab reports.
const ready = "ready"

// up starts a copy of this program that keeps the lab, and returns when it stands.
func up() *cobra.Command {
	c := &cobra.Command{
		Use:   "up",
		Short: "Build a lab and leave it standing, with vsftpd and ftpalg running in it",
		Args:  cobra.NoArgs,
	}
	name, flag, nat := labFlag(c), daemonFlag(c), natFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := lab.Available(); err != nil {
			return err
		}
		binary, err := daemon(*flag)
		if err != nil {
			return err
		}
		log, err := startKeep(c, *name, binary, *nat)
		if err != nil {
			return err
		}
		which := ""
		if *name != defaultLab {
			which = " --lab " + *name
		}
		server := "server"
		if slices.Contains(*nat, "forward") {
			server = forwarded
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), guide, lab.User, lab.Password, log, which, server)
		return err
	}
	return c
}

// natFlag adds --nat to a command.
func natFlag(c *cobra.Command) *[]string {
	return c.Flags().StringSlice("nat", nil, "have the gateway translate addresses: `WAY` is "+strings.Join(lab.NATs, " or ")+"; may be repeated")
}

// startKeep returns where the daemon's log is, in the lab.
func startKeep(c *cobra.Command, name, binary string, nat []string) (log string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	k := exec.Command("/proc/self/exe", "keep", "--lab", name, "--ftpalg", binary, "--nat", strings.Join(nat, ","))
	k.Dir = "/"
	k.ExtraFiles = []*os.File{w}
	k.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives the terminal
	err = k.Start()
	_ = w.Close()
	if err != nil {
		return "", fmt.Errorf("starting the keeper of the lab: %w", err)
	}
	// Interrupted here, it would stand although nobody was told so.
	stop := context.AfterFunc(c.Context(), func() { _ = k.Process.Signal(syscall.SIGTERM) })
	report, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("reading what the keeper of the lab reports: %w", err)
	}
	if log, ok := strings.CutPrefix(string(report), ready+" "); ok && stop() {
		return log, nil
	}
	_ = k.Wait()
	if c.Context().Err() != nil {
		return "", c.Context().Err()
	}
	return "", errors.New(string(report))
}

// keep is the copy: it owns the lab until SIGTERM. It reports on file descriptor 3.
func keep() *cobra.Command {
	c := &cobra.Command{Use: "keep", Args: cobra.NoArgs, Hidden: true}
	name, flag, nat := labFlag(c), daemonFlag(c), natFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		const fd = 3
		syscall.CloseOnExec(fd)
		report := os.NewFile(fd, "report")
		l, gate, err := build(c.Context(), *name, *flag, *nat)
		if err != nil {
			fmt.Fprint(report, err)
			return err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		orders, err := takeOrders(l)
		if err != nil {
			fmt.Fprint(report, err)
			return err
		}
		_, err = fmt.Fprint(report, ready+" "+gate.Daemon().LogFile)
		if err = errors.Join(err, report.Close()); err != nil {
			return err
		}
		return obey(c.Context(), l, gate, *nat, orders)
	}
	return c
}

// build builds a lab with vsftpd, guarded by ftpalg.
func build(ctx context.Context, name, binary string, nat []string) (_ *lab.Lab, _ *attack.Gate, err error) {
	l, err := lab.New(ctx, lab.Options{Name: name, NAT: nat})
	if err != nil {
		return nil, nil, err
	}
	gate := attack.NewGate(l, binary)
	_, err = l.StartVSFTPD(ctx, lab.VSFTPDOptions{})
	if err == nil {
		err = gate.Switch(ctx, attack.FTPALG)
	}
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return l, gate, nil
}
