package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

func TestCommand(t *testing.T) {
	l := newLab(t, lab.Options{})
	out, err := l.Client.Command(t.Context(), "sh", "-c", "pwd; echo $HOME; getent hosts 10.2.5.5; cat R3.cfg; id -un 1000").Output()
	if want := "/run/lab/client\n/run/lab/client\n10.2.5.5        server\n" + lab.R3 + "ftpuser\n"; err != nil || string(out) != want {
		t.Errorf("%v\n%q, want\n%q", err, out, want)
	}
	exit := (*exec.ExitError)(nil)
	if _, err := l.Client.Command(t.Context(), "sh", "-c", "echo no >&2; exit 3").Output(); !errors.As(err, &exit) || exit.ExitCode() != 3 || string(exit.Stderr) != "no\n" {
		t.Errorf("%v, %+v", err, exit)
	}
	missing := (*lab.MissingError)(nil)
	err = l.Client.Command(t.Context(), "no-such-program").Run()
	if !errors.As(err, &missing) || missing.Program != "no-such-program" || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a missing program: %v", err)
	}
	if err := lab.Require("sh", "no-such-program"); !errors.As(err, &missing) {
		t.Errorf("a missing program: %v", err)
	}
	// A machine without vsftpd says what to install.
	if text := (&lab.MissingError{Program: "nft", Package: "nftables"}).Error(); !strings.Contains(text, "nftables") {
		t.Error(text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := l.Client.Command(ctx, "sleep", "100").Run(); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("ended with %v after %v", err, time.Since(begin))
	}
}

func TestAttach(t *testing.T) {
	l := newLab(t, lab.Options{})
	other, err := lab.Attach(l.Name)
	if err != nil {
		t.Fatal(err)
	}
	if other.Done() != nil {
		t.Error("the lab of another would tell its end")
	}
	out, err := other.Gateway.Command(t.Context(), "ip", "-br", "-4", "address", "show", "inside").Output()
	if err != nil || !strings.Contains(string(out), "10.3.3.2/24") {
		t.Errorf("%v: %s", err, out)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Client.Command(t.Context(), "true").Run(); err != nil {
		t.Errorf("the lab went with another's hold on it: %v", err)
	}
}

// TestRulesets transfers files in active mode, which all firewalls but one admit.
func TestRulesets(t *testing.T) {
	for _, name := range lab.Rulesets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, lab.Options{})
			if err := l.Gateway.LoadRuleset(t.Context(), lab.Ruleset(name)); err != nil {
				if name == "helper" {
					t.Skip("this kernel has no FTP helper:", err)
				}
				t.Fatal(err)
			}
			startVSFTPD(t, l)
			out, err := l.Client.LFTP(t.Context(), "set net:timeout 1; get R1.cfg; ls; put R3.cfg").CombinedOutput()
			if works := name != "stateful"; works != (err == nil) {
				t.Errorf("active mode: %v: %s", err, out)
			}
			// A second time: a ruleset takes the place of the one before.
			if err := l.Gateway.LoadRuleset(t.Context(), lab.Ruleset(name)); err != nil {
				t.Error(err)
			}
		})
	}
	l := newLab(t, lab.Options{})
	if err := l.Gateway.LoadRuleset(t.Context(), "nonsense"); err == nil || !strings.Contains(err.Error(), "syntax error") {
		t.Errorf("nonsense was loaded: %v", err)
	}
}

func TestSeveralServers(t *testing.T) {
	l := newLab(t, lab.Options{})
	startVSFTPD(t, l)
	p, err := l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{
		Host: l.Outsider, Port: 2121, Settings: map[string]string{"ftpd_banner": "another"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"ftp://10.2.5.66:2121/R1.cfg", "ftp://[fd00:2:5::5]/R1.cfg"} {
		out, err := l.Client.Command(t.Context(), "curl", "-sS", "--ftp-port", "-", "-u", lab.User+":"+lab.Password, url).CombinedOutput()
		if err != nil || string(out) != lab.R1 {
			t.Errorf("%s: %v: %s", url, err, out)
		}
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	_, err = l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{Port: 22, Settings: map[string]string{"nonsense": "YES"}})
	if err == nil || !strings.Contains(err.Error(), "500 OOPS") {
		t.Errorf("a bad setting: %v", err)
	}
}

// fakeDaemon does what the lab relies on ftpalg to do.
func fakeDaemon() int {
	fmt.Fprintf(os.Stderr, "%s\n", os.Args[1:])
	if os.Getenv("FAIL") != "" {
		return 7
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, state := range []string{"STATUS=almost", "STATUS=now\nREADY=1"} {
		_, _ = conn.Write([]byte(state))
	}
	fmt.Fprintln(os.Stderr, `{"time":"2025-01-02T03:04:05.000000006Z","event":"pinhole.closed","session":7,"client":"10.1.4.4:1025","source":"10.2.5.5","source_port":20,"port":46197,"used":true,"lifetime":"1.5ms"}`)
	fmt.Fprintln(os.Stderr, `{"time":"2025-01-02T03:04:05Z","event":"pinhole.missed","session":7,"source_port":"1-1023","something":"new"}`)
	<-stop
	return 0
}

func TestDaemon(t *testing.T) {
	l := newLab(t, lab.Options{})
	o := lab.DaemonOptions{Binary: os.Args[0], Env: []string{roleVar + "=daemon"}}
	d, err := l.StartDaemon(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "pinhole.closed" })
	if err != nil {
		t.Fatal(err)
	}
	if e.Session != 7 || e.Client.Port() != 1025 || e.Source != l.Server.IPv4 || e.Port != 46197 || !e.Used ||
		e.SourcePort != (lab.Ports{First: 20, Last: 20}) ||
		e.Lifetime != 1500*time.Microsecond || e.Time.Nanosecond() != 6 {
		t.Errorf("read as %+v", e)
	}
	e, err = d.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "pinhole.missed" })
	if err != nil || e.SourcePort != (lab.Ports{First: 1, Last: 1023}) {
		t.Errorf("read as %+v, %v", e, err)
	}
	if out, err := l.Gateway.Command(t.Context(), "sh", "-c", "command -v ftpalg").Output(); err != nil {
		t.Errorf("a shell does not find ftpalg: %v %s", err, out)
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if !strings.HasPrefix(d.Log(), "[run --config ") || len(d.Events()) != 2 {
		t.Errorf("log: %s", d.Log())
	}
	o.Env = append(o.Env, "FAIL=1")
	if _, err := l.StartDaemon(t.Context(), o); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("a daemon that fails: %v", err)
	}
}
