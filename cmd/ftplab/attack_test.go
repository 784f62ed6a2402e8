package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
)

// TestAttackJSON reads back what was written.
func TestAttackJSON(t *testing.T) {
	c := ftplab(t, "attack", "--firewall", "stateful", "--json")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var m attack.Matrix
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Firewalls) != 1 || m.Firewalls[0].Name != attack.Stateful || len(m.Rows) == 0 {
		t.Errorf("%+v", m)
	}
	for _, r := range m.Rows {
		if len(r.Cells) != 1 || r.Cells[0].Result != attack.Blocked {
			t.Errorf("%+v", r)
		}
	}
	again, err := json.MarshalIndent(m, "", "  ")
	if err != nil || string(again)+"\n" != string(out) {
		t.Errorf("%v: %s\nbecame\n%s", err, out, again)
	}
}

func TestAttackRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"there is no firewall": {"attack", "--firewall", "moat"},
		"/does/not/exist":      {"attack", "--ftpalg", "/does/not/exist"},
		"--details and --json": {"attack", "--details", "--json"},
	} {
		if out := run(t, 1, args...); !strings.Contains(out, want) {
			t.Errorf("%s: %s", args, out)
		}
	}
}

// TestAttackSignals ends the program in the middle.
func TestAttackSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		for _, after := range []time.Duration{50 * time.Millisecond, time.Second} {
			c := ftplab(t, "attack")
			var out bytes.Buffer
			c.Stdout, c.Stderr = &out, &out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after)
			_ = c.Process.Signal(sig)
			_ = c.Wait()
			if code := c.ProcessState.ExitCode(); code != 130 && code != -1 {
				t.Errorf("%v after %v: exit status %d: %s", sig, after, code, out.String())
			}
			if left := awaitNone(t, c.Process.Pid); len(left) > 0 {
				t.Errorf("%v after %v leaves %+v", sig, after, left)
			}
		}
	}
}

// TestFirewall gives a standing lab each firewall.
func TestFirewall(t *testing.T) {
	name := fmt.Sprintf("walls-%d", os.Getpid())
	run(t, 0, "up", "--lab", name)
	t.Cleanup(func() { _ = ftplab(t, "down", "--lab", name).Run() })
	firewall := func(status int, args ...string) string {
		t.Helper()
		return run(t, status, append([]string{"firewall", "--lab", name}, args...)...)
	}
	if out := firewall(0); !strings.Contains(out, "ftpalg is in force") || !strings.Contains(out, "/run/log/ftpalg") {
		t.Error(out)
	}
	for _, want := range append(attack.Names(), attack.FTPALG) {
		c := ftplab(t, "firewall", "--lab", name, want)
		out, err := c.CombinedOutput()
		if err != nil && want == attack.Helper && strings.Contains(string(out), "no FTP helper") {
			t.Logf("%s", out)
			continue
		}
		if err != nil || !strings.Contains(string(out), want+" is in force") || firewall(0) != string(out) {
			t.Errorf("%s: %v: %s", want, err, out)
		}
		daemons := run(t, 0, "shell", "--lab", name, "gateway", "sh", "-c", "pidof ftpalg | wc -w")
		if runs := want == attack.FTPALG; runs != (daemons == "1\n") {
			t.Errorf("%s: %s processes of ftpalg", want, daemons)
		}
		if want == attack.Stateful {
			continue // a transfer would only wait
		}
		script := "set cmd:fail-exit yes; set xfer:clobber yes; set ftp:passive-mode off; get R1.cfg; exit"
		run(t, 0, "shell", "--lab", name, "client", "lftp", "-u", "ftpuser,ftppass", "-e", script, "server")
	}
	if out := firewall(1, "moat"); !strings.Contains(out, "moat") || !strings.Contains(out, "stateless") {
		t.Error(out)
	}
	if out := firewall(0); !strings.Contains(out, "ftpalg is in force") {
		t.Error(out)
	}
	firewall(1, "open", "stateless")
	run(t, 0, "down", "--lab", name)
	if out := firewall(1); !strings.Contains(out, "ftplab up") {
		t.Error(out)
	}
}
