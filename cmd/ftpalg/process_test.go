package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An operator's ordinary ruleset, as `nft list ruleset` prints it. It guards this
// host, not a network behind it: the tests have no other.
const operators = `table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		tcp dport 21 accept
	}
}
`

// guarded is the configuration that goes with it.
const guarded = `
control.hooks = ["input"]
control.workers = 2
firewall.chains = ["input"]
`

// namespace puts the test's goroutine, which may not be left, into a new network
// namespace with the operator's ruleset. The programs it starts are there too.
func namespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a network namespace")
	}
	runtime.LockOSThread() // for good: the thread ends with the test, and its namespace too
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	load(t, operators)
}

// load gives nft a script.
func load(t *testing.T, script string) {
	t.Helper()
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(script)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
}

// ruleset lists all tables, as far as that is allowed.
func ruleset(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").Output()
	if err != nil && !strings.Contains(err.Error(), "exit status") {
		t.Fatalf("nft list ruleset: %v", err)
	}
	return string(out)
}

// process is a running `ftpalg run` and its log.
type process struct {
	*exec.Cmd
	t *testing.T

	mu     sync.Mutex
	log    []map[string]any // JSON records
	stderr []string         // other lines
	read   chan struct{}    // closed at the end of stderr
}

// start runs ftpalg with a configuration. It is killed with the test.
func start(t *testing.T, config string) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ftpalg.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command("ftpalg", "run", "--config", file), t: t, read: make(chan struct{})}
	p.begin()
	return p
}

// begin starts the program and reads its log. It is killed with the test.
func (p *process) begin() {
	t := p.t
	t.Helper()
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var record map[string]any
			err := json.Unmarshal(lines.Bytes(), &record)
			p.mu.Lock()
			if err == nil {
				p.log = append(p.log, record)
			} else {
				p.stderr = append(p.stderr, lines.Text())
			}
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = p.Process.Kill() })
}

// find returns the first record that has the value under the key.
func (p *process) find(key, value string) map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.log {
		if r[key] == value {
			return r
		}
	}
	return nil
}

// await waits for a record.
func (p *process) await(key, value string) map[string]any {
	p.t.Helper()
	var r map[string]any
	eventually(p.t, key+"="+value+" in the log", func() bool {
		r = p.find(key, value)
		return r != nil
	})
	return r
}

// exit waits for the end, and returns the exit code and what was said besides the log.
func (p *process) exit() (code int, said string) {
	p.t.Helper()
	select {
	case <-p.read:
	case <-time.After(10 * time.Second):
		p.t.Fatal("ftpalg does not end")
	}
	_ = p.Wait()
	return p.ProcessState.ExitCode(), strings.Join(p.stderr, "\n")
}

// stop sends a signal and wants a clean end.
func (p *process) stop(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	if code, said := p.exit(); code != 0 || said != "" {
		p.t.Errorf("after %v: exit %d, %q", s, code, said)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	const patience = 30 * time.Second // of what has to come, on a processor that is emulated too
	for deadline := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
