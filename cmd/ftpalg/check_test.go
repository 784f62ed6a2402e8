package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/check"
)

// runCheck runs ftpalg check with a configuration, and returns its exit code.
func runCheck(t *testing.T, config string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ftpalg.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, err strings.Builder
	c := exec.Command("ftpalg", append([]string{"check", "--config", file}, args...)...)
	c.Stdout, c.Stderr = &out, &err
	if failed := c.Run(); failed != nil && !errors.As(failed, new(*exec.ExitError)) {
		t.Fatal(failed)
	}
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

// The exit code says whether all is well, something is not, or that is not known.
func TestCheckExits(t *testing.T) {
	const manual = guarded + "firewall.anchor = 'manual'\n"
	for _, c := range []struct {
		name, config string
		args         []string
		before       func(t *testing.T)
		code         int
		stdout       string
		stderr       string
	}{
		{name: "all is well", config: guarded, stdout: "\nno problems found\n"},
		{name: "a line is missing", config: manual, code: 1, stdout: "\n    nft 'insert rule inet filter input ct label 126 meta mark & 0x01000000 == 0x01000000 accept'\n1 problem found\n"},
		{name: "the file is named", config: guarded, stdout: "/ftpalg.toml is valid\n"},
		{name: "what is asked for and not there", config: "cluster.peers = ['10.9.0.2:4248']\n" + guarded, stdout: "ftpalg.toml:1: cluster.peers: this version serves one gateway alone"},
		{name: "a bad configuration", config: "control.queue = 'x'\n", code: 2, stderr: "ftpalg.toml:1: control.queue: "},
		{name: "an unknown flag", config: guarded, args: []string{"--colour"}, code: 2, stderr: "unknown flag: --colour"},
		{name: "an argument", config: guarded, args: []string{"all"}, code: 2, stderr: `unknown command "all"`},
		{
			name: "no privilege", config: guarded, code: 2, stdout: "CAP_NET_ADMIN",
			before: func(t *testing.T) {
				// Root without it, for what this thread starts.
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_ADMIN, 0, 0, 0); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			namespace(t)
			if c.before != nil {
				c.before(t)
			}
			code, stdout, stderr := runCheck(t, c.config, c.args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit %d, want %d; %q\n%s", code, c.code, stderr, stdout)
			}
		})
	}
}

// The same in JSON.
func TestCheckJSON(t *testing.T) {
	namespace(t)
	code, stdout, stderr := runCheck(t, guarded+"firewall.anchor = 'manual'\n", "--json")
	var r check.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 1 || stderr != "" {
		t.Fatalf("exit %d, %q, %v\n%s", code, stderr, err, stdout)
	}
	isLine := func(f check.Finding) bool { return f.ID == "accept-line" && f.Problem && len(f.Mend) == 1 }
	if !strings.HasSuffix(r.File, "/ftpalg.toml") || len(r.Kernel) == 0 || r.Problems() != 1 || !slices.ContainsFunc(r.Findings, isLine) {
		t.Errorf("%+v", r)
	}
}
