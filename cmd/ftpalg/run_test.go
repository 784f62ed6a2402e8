package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/nft/queue"
)

// While it runs, the table and the accept line are there; after a signal they are gone.
func TestRun(t *testing.T) {
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			namespace(t)
			p := start(t, guarded)
			p.await("msg", "ready")
			text := ruleset(t)
			if !strings.Contains(text, "table inet ftpalg {") || !strings.Contains(text, "policy drop;\n\t\tct label 126 meta mark & 0x01000000 == 0x01000000 accept") {
				t.Errorf("the ruleset while ftpalg runs:\n%s", text)
			}
			p.stop(signal)
			if got := ruleset(t); got != operators {
				t.Errorf("the ruleset after ftpalg has ended:\n%s", got)
			}
			p = start(t, guarded) // nothing is in its way
			p.await("msg", "ready")
			p.stop(signal)
		})
	}
}

// The operator reloads the ruleset: the table stays, the line comes back.
func TestReload(t *testing.T) {
	namespace(t)
	p := start(t, guarded)
	p.await("msg", "ready")
	for range 3 {
		load(t, "flush ruleset\n"+operators)
		reloaded := time.Now()
		eventually(t, "the accept line", func() bool {
			text := ruleset(t)
			if !strings.Contains(text, "table inet ftpalg {") {
				t.Fatalf("the table is gone:\n%s", text)
			}
			return strings.Contains(text, "ct label 126 meta mark & 0x01000000 == 0x01000000 accept")
		})
		if d := time.Since(reloaded); d > time.Second {
			t.Errorf("the accept line was away for %v", d)
		}
	}
	p.await("msg", "accept line put back")
	p.stop(unix.SIGTERM)
	if got := ruleset(t); got != operators {
		t.Errorf("the ruleset after ftpalg has ended:\n%s", got)
	}
}

// With anchor = "manual" the operator's table is left alone, and a missing line is
// told along with what adds it.
func TestManual(t *testing.T) {
	namespace(t)
	manual := guarded + "firewall.anchor = 'manual'\n"
	p := start(t, manual)
	p.await("msg", "ready")
	warning := p.await("finding", "accept-line")
	if warning["level"] != "WARN" {
		t.Fatalf("the log: %v", p.log)
	}
	if strings.Contains(ruleset(t), "ct label 126 meta mark & 0x01000000 == 0x01000000 accept") {
		t.Error("the line was inserted")
	}
	mend, _ := warning["mend"].([]any)
	if len(mend) != 1 {
		t.Fatalf("nothing mends it: %v", warning)
	}
	command, _ := mend[0].(string)
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	p.stop(unix.SIGTERM)

	p = start(t, manual)
	p.await("msg", "checked")
	if warning := p.find("finding", "accept-line"); warning != nil {
		t.Errorf("the line is there, but: %v", warning)
	}
	p.stop(unix.SIGTERM)
	if !strings.Contains(ruleset(t), "ct label 126 meta mark & 0x01000000 == 0x01000000 accept") {
		t.Error("the operator's line was taken away")
	}

	load(t, "flush ruleset\n") // nothing filters, and no line is needed
	p = start(t, manual)
	p.await("msg", "checked")
	if warning := p.find("level", "WARN"); warning != nil {
		t.Errorf("without a firewall: %v", warning)
	}
	p.stop(unix.SIGTERM)
}

// A crash leaves nothing that helps anyone, and nothing in the way of a new start.
func TestKill(t *testing.T) {
	namespace(t)
	p := start(t, guarded)
	p.await("msg", "ready")
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.exit()
	eventually(t, "the end of the table", func() bool { return !strings.Contains(ruleset(t), "ftpalg {") })
	p = start(t, guarded)
	p.await("msg", "ready")
	p.stop(unix.SIGTERM)
	if got := ruleset(t); got != operators {
		t.Errorf("the ruleset after ftpalg has ended:\n%s", got)
	}
}

// With on_absence = "drop" the rules outlive the daemon, and the next one takes over.
func TestAbsenceDrop(t *testing.T) {
	namespace(t)
	config := guarded + "control.on_absence = 'drop'\n"
	for range 2 {
		p := start(t, config)
		p.await("msg", "ready")
		p.stop(unix.SIGTERM)
		text := ruleset(t)
		if !strings.Contains(text, "table inet ftpalg {") || strings.Contains(text, "ct label 126 meta mark & 0x01000000 == 0x01000000 accept") {
			t.Errorf("the ruleset after ftpalg has ended:\n%s", text)
		}
	}
	p := start(t, guarded)
	p.await("msg", "ready")
	p.stop(unix.SIGTERM)
	if got := ruleset(t); got != operators {
		t.Errorf("the ruleset after the last ftpalg has ended:\n%s", got)
	}
}

// What cannot work is said in one sentence, and nothing is left behind.
func TestSurroundings(t *testing.T) {
	for _, c := range []struct {
		name, config string
		before       func(t *testing.T)
		want         string // a regular expression
	}{
		{
			"a second ftpalg", guarded,
			func(t *testing.T) { start(t, guarded).await("msg", "ready") },
			"^another ftpalg is running in this network namespace$",
		},
		{
			"queue taken", guarded,
			func(t *testing.T) {
				q, err := queue.Open(queue.Config{Number: 21001})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = q.Close() })
			},
			`^opening NFQUEUE 21001: taken by another program \(.*\)$`,
		},
		{
			"no privilege", guarded,
			func(t *testing.T) {
				// Root without CAP_NET_ADMIN, for what this thread starts.
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_ADMIN, 0, 0, 0); err != nil {
					t.Fatal(err)
				}
			},
			"CAP_NET_ADMIN",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			namespace(t)
			c.before(t)
			before := ruleset(t)
			code, said := start(t, c.config).exit()
			if code != 1 || !regexp.MustCompile(c.want).MatchString(strings.TrimPrefix(said, "ftpalg: ")) || strings.Contains(said, "\n") {
				t.Errorf("exit %d, %q", code, said)
			}
			t.Log(said)
			if after := ruleset(t); after != before {
				t.Errorf("the ruleset was\n%s\nand is\n%s", before, after)
			}
		})
	}
}

// The log names what is configured but not there yet.
func TestWhatIsNotThereIsAnnounced(t *testing.T) {
	namespace(t)
	p := start(t, guarded+"cluster.listen = '127.0.0.1:9921'\nlog.level = 'warn'\nlog.format = 'text'\n")
	eventually(t, "the warning", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.stderr) > 0
	})
	if err := p.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, said := p.exit(); code != 0 || !strings.Contains(said, "level=WARN") || !strings.Contains(said, "cluster.listen") {
		t.Errorf("exit %d, %q", code, said)
	}
}

// An address that cannot be listened on ends the start, before anything is changed.
func TestMetricsOnABadAddress(t *testing.T) {
	namespace(t)
	p := start(t, guarded+"metrics.listen = '192.0.2.1:9921'\n")
	if code, said := p.exit(); code != 1 || said != "ftpalg: metrics.listen: listen tcp 192.0.2.1:9921: bind: cannot assign requested address" {
		t.Errorf("exit %d, %q", code, said)
	}
	if now := ruleset(t); now != operators {
		t.Errorf("the ruleset was touched:\n%s", now)
	}
}

// systemd is told when the daemon is ready, how many sessions it has, and when it stops.
func TestNotify(t *testing.T) {
	namespace(t)
	next := manager(t)
	p := start(t, guarded)
	if got, want := next(), "READY=1\nSTATUS=0 sessions, 0 open pinholes"; got != want {
		t.Errorf("systemd was told %q, want %q", got, want)
	}
	server, err := net.Listen("tcp", "127.0.0.1:21")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("tcp", "127.0.0.1:21")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	answering, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answering.Write([]byte("220 hello\r\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := next(), "STATUS=1 sessions, 0 open pinholes"; got != want {
		t.Errorf("systemd was told %q, want %q", got, want)
	}
	answering.Close()
	if got, want := next(), "STATUS=0 sessions, 0 open pinholes"; got != want {
		t.Errorf("systemd was told %q, want %q", got, want)
	}
	p.stop(unix.SIGTERM)
	if got := next(); got != "STOPPING=1" {
		t.Errorf("systemd was told %q", got)
	}
}

// manager listens as systemd does, and returns what a daemon tells next that is started
// after it.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	timeout := unix.NsecToTimeval((10 * time.Second).Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	return func() string {
		b := make([]byte, 200)
		n, err := unix.Read(fd, b)
		if err != nil {
			return fmt.Sprint(os.NewSyscallError("read", err))
		}
		return string(b[:n])
	}
}

// The operator's firewall may come after the daemon, or be without its chains for a while.
func TestStartedBeforeTheFirewall(t *testing.T) {
	namespace(t)
	for _, before := range []string{"flush ruleset\n", "flush ruleset\ntable inet filter {\n}\n"} {
		load(t, before)
		p := start(t, guarded)
		p.await("msg", "no data connection is admitted before the accept line has its place")
		p.await("msg", "ready")
		if text := ruleset(t); strings.Contains(text, "ct label 126 meta mark & 0x01000000 == 0x01000000 accept") {
			t.Errorf("who made the chain?\n%s", text)
		}
		load(t, operators)
		eventually(t, "the accept line", func() bool {
			return strings.Contains(ruleset(t), "policy drop;\n\t\tct label 126 meta mark & 0x01000000 == 0x01000000 accept")
		})
		p.await("msg", "accept line put back")
		if p.find("level", "ERROR") != nil {
			t.Errorf("told as an error: %v", p.find("level", "ERROR"))
		}
		p.stop(unix.SIGTERM)
		if got := ruleset(t); got != operators {
			t.Errorf("the ruleset after ftpalg has ended:\n%s", got)
		}
	}
}
