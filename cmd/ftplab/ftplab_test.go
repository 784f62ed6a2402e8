package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// binDir holds ftplab and ftpalg, side by side as they are shipped.
var binDir string

func TestMain(m *testing.M) {
	var err error
	if binDir, err = os.MkdirTemp("", "ftplab"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(binDir)
	os.Exit(status)
}

var build = sync.OnceValue(func() error {
	c := exec.Command("go", "build", "-o", binDir, ".", "../ftpalg")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// ftplab prepares the program.
func ftplab(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip("needs root:", err)
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return exec.Command(filepath.Join(binDir, "ftplab"), args...)
}

// run runs the program and compares its exit status.
func run(t *testing.T, status int, args ...string) string {
	t.Helper()
	c := ftplab(t, args...)
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != status {
		t.Fatalf("ftplab %s: exit status %d, want %d: %s", strings.Join(args, " "), got, status, out)
	}
	return string(out)
}

// labsOf returns the labs that a process has made.
func labsOf(t *testing.T, owner int) []lab.Info {
	t.Helper()
	all, err := lab.List()
	if err != nil {
		t.Fatal(err)
	}
	var found []lab.Info
	for _, i := range all {
		if i.Owner == owner {
			found = append(found, i)
		}
	}
	return found
}

// awaitNone gives the kernel the moment that it needs after SIGKILL.
func awaitNone(t *testing.T, owner int) (left []lab.Info) {
	t.Helper()
	for range 100 {
		if left = labsOf(t, owner); len(left) == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return left
}

func TestUpAndDown(t *testing.T) {
	name := fmt.Sprintf("test-%d", os.Getpid())
	guide := run(t, 0, "up", "--lab", name)
	t.Cleanup(func() { _ = ftplab(t, "down", "--lab", name).Run() })
	if !strings.Contains(guide, "shell --lab "+name+" client") {
		t.Error(guide)
	}
	if out := run(t, 0, "status"); !strings.Contains(out, name) {
		t.Errorf("status: %s", out)
	}
	if out := run(t, 1, "up", "--lab", name); !strings.Contains(out, "stands already") {
		t.Error(out)
	}
	script := "set ftp:passive-mode off; get R1.cfg"
	run(t, 0, "shell", "--lab", name, "client", "--", "lftp", "-u", "ftpuser,ftppass", "-e", script+"; exit", "server")
	if out := run(t, 0, "shell", "--lab", name, "client", "cat", "R1.cfg"); out != lab.R1 {
		t.Errorf("R1.cfg: %q", out)
	}
	if out := run(t, 0, "shell", "--lab", name, "gateway", "nft", "list", "ruleset"); !strings.Contains(out, "ct label 126") {
		t.Error(out)
	}
	run(t, 0, "shell", "--lab", name, "gateway", "ftpalg", "version")
	run(t, 3, "shell", "--lab", name, "server", "sh", "-c", "exit 3")
	run(t, 128+15, "shell", "--lab", name, "server", "sh", "-c", "kill -TERM $$")
	if out := run(t, 1, "shell", "--lab", name, "nobody"); !strings.Contains(out, "gateway") {
		t.Error(out)
	}
	run(t, 0, "down", "--lab", name)
	if out := run(t, 0, "status"); strings.Contains(out, name) {
		t.Errorf("status after down: %s", out)
	}
	if out := run(t, 1, "shell", "--lab", name, "client"); !strings.Contains(out, "ftplab up") {
		t.Error(out)
	}
	if out := run(t, 1, "down", "--lab", name); !strings.Contains(out, "no lab called "+name) {
		t.Error(out)
	}
}

// TestUpNAT downloads through each way to translate, and through both, and keeps it with
// another firewall.
func TestUpNAT(t *testing.T) {
	for _, c := range []struct{ nat, dialled, told, seen string }{
		{"masquerade", "server", "translates addresses: masquerade.", "[fd00:1:4::4]:* ([fd00:2:5::1]:*)  [fd00:2:5::5]:21 "},
		{"forward", "gateway", "translates addresses: forward.", "[fd00:1:4::4]:*  [fd00:2:5::5]:21 ([fd00:3:3::2]:21) "},
		{"masquerade,forward", "gateway", "translates addresses: masquerade and forward.", "[fd00:1:4::4]:* ([fd00:2:5::1]:*)  [fd00:2:5::5]:21 ([fd00:3:3::2]:21) "},
	} {
		t.Run(c.nat, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("nat-%s-%d", c.nat, os.Getpid())
			guide := run(t, 0, "up", "--lab", name, "--nat", c.nat)
			t.Cleanup(func() { _ = ftplab(t, "down", "--lab", name).Run() })
			if !strings.Contains(guide, "ftppass "+c.dialled+" ") {
				t.Error(guide)
			}
			if out := run(t, 0, "firewall", "--lab", name); !strings.Contains(out, c.told) {
				t.Error(out)
			}
			script := "set ftp:passive-mode off; get R1.cfg; !ftpalg sessions; exit"
			out := run(t, 0, "shell", "--lab", name, "client", "lftp", "-u", "ftpuser,ftppass", "-e", script, c.dialled)
			if got := regexp.MustCompile(`(::[14]\]:)\d{3,}`).ReplaceAllString(out, "$1*"); !strings.Contains(got, c.seen) {
				t.Errorf("sessions: %s, without %q", out, c.seen)
			}
			if out := run(t, 0, "shell", "--lab", name, "client", "cat", "R1.cfg"); out != lab.R1 {
				t.Errorf("R1.cfg: %q", out)
			}
			run(t, 0, "firewall", "--lab", name, "open")
			if out := run(t, 0, "firewall", "--lab", name); !strings.Contains(out, c.told) {
				t.Error(out)
			}
			if out := run(t, 0, "shell", "--lab", name, "gateway", "nft", "list", "tables"); strings.Count(out, "ing\n") != 1+strings.Count(c.nat, ",") {
				t.Error(out)
			}
		})
	}
	if out := run(t, 1, "up", "--lab", "never", "--nat", "stateful"); !strings.Contains(out, "there is no NAT") {
		t.Error(out)
	}
}

// TestUpFails leaves nothing behind and says why.
func TestUpFails(t *testing.T) {
	name := fmt.Sprintf("fails-%d", os.Getpid())
	if out := run(t, 1, "up", "--lab", name, "--ftpalg", "/does/not/exist"); !strings.Contains(out, "/does/not/exist") {
		t.Error(out)
	}
	if out := run(t, 1, "up", "--lab", name, "--ftpalg", "/bin/false"); !strings.Contains(out, "exit status 1") {
		t.Error(out)
	}
	if _, err := lab.Attach(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lab is left: %v", err)
	}
}

// Flags that exclude each other are refused in plain words, and what is not there is said once.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"demo", "--json", "--html", "x.html"}, "ftplab: --json and --html do not go together: give one of them\n"},
		{[]string{"demo", "--step", "3", "--pause", "--json"}, "ftplab: --step, --pause and --json do not go together: give one of them\n"},
		{[]string{"attack", "--details", "--json"}, "ftplab: --details and --json do not go together: give one of them\n"},
		{[]string{"bench", "--json", "--html", "x.html"}, "ftplab: --json and --html do not go together: give one of them\n"},
		{[]string{"demo", "--ftpalg", "/nowhere/ftpalg"}, "ftplab: there is no ftpalg at /nowhere/ftpalg; build it, or name it with --ftpalg\n"},
		{[]string{"shell", "--lab", "nowhere", "client"}, "ftplab: no lab called nowhere stands here; `ftplab up` builds one\n"},
	} {
		if out := run(t, 1, c.args...); out != c.want {
			t.Errorf("ftplab %s:\n%s, want\n%s", strings.Join(c.args, " "), out, c.want)
		}
	}
}
