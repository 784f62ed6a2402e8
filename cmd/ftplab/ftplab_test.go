package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

func TestDemo(t *testing.T) {
	out := run(t, 0, "demo")
	for _, want := range []string{
		"220 (vsFTPd 3.0.3)", "530 Please login with USER and PASS.",
		"PORT 10,1,4,4,180,117", "PORT 10,1,4,4,128,195", "PORT 10,1,4,4,174,123",
		"38 bytes from the server", "64 bytes from the server", "48 bytes from the client",
	} {
		if strings.Count(out, want) == 0 {
			t.Errorf("%q is missing", want)
		}
	}
	// What the ALG did stands beside the line that made it do so.
	for _, pair := range [][2]string{
		{"PORT 10,1,4,4,180,117 ", "10.1.4.4:46197 wants to be reached"},
		{"RETR R1.cfg ", "opens: 10.2.5.5:20 to 10.1.4.4:46197, once"},
		{"LIST ", "opens: 10.2.5.5:20 to 10.1.4.4:32963, once"},
		{"STOR R3.cfg ", "opens: 10.2.5.5:20 to 10.1.4.4:44667, once"},
		{"226 Transfer complete. ", "closes: "},
		{"LIST ", " 10.2.5.5:20 to 10.1.4.4:32963 "}, // of the table of pinholes
	} {
		if !together(out, pair) {
			t.Errorf("%q does not stand beside %q", pair[1], pair[0])
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func together(out string, pair [2]string) bool {
	for line := range strings.Lines(out) {
		if strings.Contains(line, pair[0]) && strings.Contains(line, pair[1]) {
			return true
		}
	}
	return false
}

// TestSignals ends the demo in the middle, wherever that is.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
		for _, after := range []time.Duration{5, 40, 90, 150, 200} {
			c := ftplab(t, "demo")
			var out bytes.Buffer
			c.Stdout, c.Stderr = &out, &out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after * time.Millisecond)
			_ = c.Process.Signal(sig)
			err := c.Wait()
			done := err == nil // it was faster than the signal
			if code := c.ProcessState.ExitCode(); !done && code != 130 && code != -1 {
				t.Errorf("%v after %v ms: %v: %s", sig, int(after), err, out.String())
			}
			if left := awaitNone(t, c.Process.Pid); len(left) > 0 {
				t.Errorf("%v after %v ms leaves %+v", sig, int(after), left)
			}
		}
	}
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
