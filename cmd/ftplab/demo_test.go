package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

func TestDemo(t *testing.T) {
	captures := filepath.Join(t.TempDir(), "new", "captures")
	out := run(t, 0, "demo", "--no-color", "--pcap", captures)
	for _, want := range []string{"\n1. The detour", "\n9. Securing it", "\n10. Behind masquerade", "  Response: 220 (vsFTPd 3.0.3)\n", "\nWhat was shown\n"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q is not there once", want)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("there are colours")
	}
	for _, name := range []string{"client", "inside", "outside", "masquerade-client", "masquerade-server"} {
		if s, err := os.Stat(filepath.Join(captures, name+".pcapng")); err != nil || s.Size() == 0 {
			t.Errorf("%s.pcapng: %v", name, err)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestDemoStep(t *testing.T) {
	out := run(t, 0, "demo", "--step", "4")
	if !strings.HasPrefix(out, "\n4. The PORT command") || strings.Contains(out, "\n5. ") || strings.Contains(out, "\x1b") {
		t.Error(out)
	}
	for _, number := range []string{"0", "11", "-1"} {
		if out := run(t, 1, "demo", "--step", number); !strings.Contains(out, "there is no step "+number) {
			t.Error(out)
		}
	}
	run(t, 1, "demo", "--step", "1", "--json")
}

func TestDemoJSON(t *testing.T) {
	var s story.Story
	if err := json.Unmarshal([]byte(run(t, 0, "demo", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != story.StepCount || len(s.Transfers) != 3 || len(s.Port.Bytes) != 89 {
		t.Errorf("%d steps, %d transfers, %d bytes of PORT", len(s.Steps), len(s.Transfers), len(s.Port.Bytes))
	}
}

// TestDemoPause goes on at the end of each line, and where there is no more input.
func TestDemoPause(t *testing.T) {
	c := ftplab(t, "demo", "--pause")
	c.Stdin = strings.NewReader("\nand so on\n\n")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil || !strings.Contains(string(out), "What was shown") {
		t.Fatalf("%v: %s%s", err, out, &errs)
	}
	if n := strings.Count(errs.String(), "[ Enter: the next step ]"); n != story.StepCount-1 {
		t.Errorf("%d pauses: %q", n, &errs)
	}
}

func TestDemoLacks(t *testing.T) {
	c := ftplab(t, "demo")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := os.Chmod(binDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "the lab needs root") {
		t.Errorf("without rights: %v: %s", err, out)
	}
	c = ftplab(t, "demo")
	lftp, err := exec.LookPath("lftp")
	if err != nil {
		t.Skip(err)
	}
	hidden := exec.Command("unshare", "-m", "sh", "-c", `mount --bind /dev/null "$0" && exec "$1" demo`, lftp, c.Path)
	if out, err := hidden.CombinedOutput(); err == nil || string(out) != "ftplab: lftp is not installed: it is in the Debian package lftp\n" {
		t.Errorf("without lftp: %v: %s", err, out)
	}
}

// TestSignals ends the demo in the middle, wherever that is. A Ctrl-C reaches every
// program that the terminal knows of.
func TestSignals(t *testing.T) {
	for _, signal := range []struct {
		syscall.Signal
		after []time.Duration // ms
	}{
		{syscall.SIGINT, []time.Duration{5, 40, 90, 150, 250, 400}},
		{syscall.SIGTERM, []time.Duration{100}},
		{syscall.SIGHUP, []time.Duration{100}},
		{syscall.SIGKILL, []time.Duration{40, 200}},
	} {
		for _, after := range signal.after {
			captures := filepath.Join(t.TempDir(), "captures")
			c := ftplab(t, "demo", "--pcap", captures)
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var out bytes.Buffer
			c.Stdout, c.Stderr = &out, &out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after * time.Millisecond)
			_ = syscall.Kill(-c.Process.Pid, signal.Signal)
			done := c.Wait() == nil // it was faster than the signal
			if code := c.ProcessState.ExitCode(); !done && code != 130 && code != -1 {
				t.Errorf("%v after %d ms: exit status %d: %s", signal, after, code, &out)
			}
			if left := awaitNone(t, c.Process.Pid); len(left) > 0 {
				t.Errorf("%v after %d ms leaves %+v", signal, after, left)
			}
			if _, err := os.Stat(captures); err == nil && !done && !strings.Contains(out.String(), "1. ") {
				t.Errorf("%v after %d ms leaves captures", signal, after)
			}
		}
	}
}

// terminal is a demo on a terminal of its own.
type terminal struct {
	*exec.Cmd
	master, slave *os.File
	screen        screen
}

func startOnTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	d := &terminal{Cmd: ftplab(t, args...)}
	d.master, d.slave = openPTY(t)
	d.Stdin, d.Stdout, d.Stderr = d.slave, d.slave, d.slave
	d.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=")
	d.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() { _, _ = io.Copy(&d.screen, d.master) }()
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	return d
}

// prompt is what a pause asks for.
const prompt = "[ any key: the next step ]"

func TestDemoTerminal(t *testing.T) {
	d := startOnTerminal(t, "demo", "--pause")
	before := settings(t, d.slave)
	for n := 1; n < story.StepCount; n++ {
		d.screen.await(t, prompt, n)
		if _, err := d.master.WriteString("\x1b[B"); err != nil { // one key, three bytes
			t.Fatal(err)
		}
	}
	if err := d.Wait(); err != nil {
		t.Error(err)
	}
	d.screen.await(t, "What was shown", 1)
	for _, want := range []string{"... building two networks", "... with lftp: upload", "\x1b[1m9. Securing it"} {
		if !strings.Contains(d.screen.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if settings(t, d.slave) != before {
		t.Error("the terminal is not as it was")
	}
	if t.Failed() {
		t.Log(d.screen.String())
	}
}

func TestDemoTerminalInterrupted(t *testing.T) {
	d := startOnTerminal(t, "demo", "--pause")
	before := settings(t, d.slave)
	d.screen.await(t, prompt, 1)
	if _, err := d.master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	_ = d.Wait()
	if code := d.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit status %d: %s", code, d.screen.String())
	}
	if settings(t, d.slave) != before {
		t.Error("the terminal is not as it was")
	}
}
