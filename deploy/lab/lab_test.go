package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// roleVar makes the test binary play a part in the lab instead.
const roleVar = "LAB_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "daemon":
		os.Exit(fakeDaemon())
	case "owner":
		os.Exit(owner())
	}
	os.Exit(m.Run())
}

func newLab(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	needsRoot(t)
	l, err := lab.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func needsRoot(t *testing.T) {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip("needs root:", err)
	}
}

func startVSFTPD(t *testing.T, l *lab.Lab) *lab.Process {
	t.Helper()
	p, err := l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// traces are what a lab could leave: identities of namespaces, as in /proc/PID/ns.
func traces(t *testing.T, l *lab.Lab) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, name := range []string{"switch", "client", "neighbour", "router", "gateway", "server", "outsider"} {
		s, err := os.Stat(l.Path("/run/netns/" + name))
		if err != nil {
			t.Fatal(err)
		}
		found[fmt.Sprintf("net:[%d]", s.Sys().(*syscall.Stat_t).Ino)] = true
	}
	for _, ns := range []string{"mnt", "pid"} {
		id, err := os.Readlink(l.Path("/proc/1/ns/" + ns))
		if err != nil {
			t.Fatal(err)
		}
		found[id] = true
	}
	return found
}

// held returns those of the namespaces that some thread on the machine is in.
func held(namespaces map[string]bool) []string {
	var found []string
	links, _ := filepath.Glob("/proc/[0-9]*/task/*/ns/[mnp]*")
	for _, link := range links {
		if id, err := os.Readlink(link); err == nil && namespaces[id] {
			found = append(found, link+" is "+id)
		}
	}
	return found
}

// eventually waits until f returns nothing. After an owner was killed, that takes as
// long as the machine's first process takes to reap its children.
func eventually(t *testing.T, what string, f func() []string) {
	t.Helper()
	var left []string
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if left = f(); len(left) == 0 {
			return
		}
	}
	t.Errorf("%s: %q", what, left)
}

// outside is what a person sees of the machine.
func outside(t *testing.T) string {
	t.Helper()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range links {
		fmt.Fprintln(&b, l.Index, l.Name)
	}
	for _, file := range []string{"/proc/self/mountinfo", "/etc/passwd", "/etc/hosts", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_default_ttl"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n%s", file, text)
	}
	for _, dir := range []string{"/home", "/run"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, dir, entries)
	}
	return b.String()
}

func TestLeavesNothing(t *testing.T) {
	needsRoot(t)
	before := outside(t)
	l := newLab(t, lab.Options{Ruleset: lab.Ruleset("stateful")})
	startVSFTPD(t, l)
	namespaces := traces(t, l)
	if len(held(namespaces)) == 0 {
		t.Fatal("the lab is not to be seen even while it stands")
	}
	forgotten := l.Client.Command(context.Background(), "sleep", "1000")
	if err := forgotten.Start(); err != nil {
		t.Fatal(err)
	}
	orphan := "sleep 1000 >/dev/null 2>&1 &" // its parent is the keeper, then
	if out, err := l.Server.Command(t.Context(), "sh", "-c", orphan).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	during := outside(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-l.Done()
	eventually(t, "left behind", func() []string { return held(namespaces) })
	if during != before || outside(t) != before {
		t.Errorf("the machine has changed.\nbefore:\n%s\nwith the lab:\n%s\nafter:\n%s", before, during, outside(t))
	}
	if err := l.Client.Do(func() error { return nil }); err == nil {
		t.Error("a closed lab can be entered")
	}
}

// owner builds a lab, says so, and waits to be killed.
func owner() int {
	l, err := lab.New(context.Background(), lab.Options{Name: os.Args[1]})
	if err == nil {
		_, err = l.StartVSFTPD(context.Background(), lab.VSFTPDOptions{})
	}
	fmt.Println("built", err)
	select {}
}

// startOwner returns a process that owns a lab.
func startOwner(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	needsRoot(t)
	c := exec.Command(os.Args[0], name)
	c.Env = append(os.Environ(), roleVar+"=owner")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	buf := make([]byte, 1000)
	if n, err := out.Read(buf); err != nil || string(buf[:n]) != "built <nil>\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	return c
}

func named(t *testing.T, name string) []lab.Info {
	t.Helper()
	all, err := lab.List()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(i lab.Info) bool { return i.Name != name })
}

func TestOwnerKilled(t *testing.T) {
	name := fmt.Sprintf("killed-%d", os.Getpid())
	c := startOwner(t, name)
	l, err := lab.Attach(name)
	if err != nil {
		t.Fatal(err)
	}
	namespaces := traces(t, l)
	if err := l.Close(); err != nil { // or we would hold them ourselves
		t.Fatal(err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	eventually(t, "left behind", func() []string { return held(namespaces) })
	if left := named(t, name); len(left) > 0 {
		t.Errorf("a keeper is left: %+v", left)
	}
}

func TestEnd(t *testing.T) {
	name := fmt.Sprintf("ended-%d", os.Getpid())
	c := startOwner(t, name)
	found := named(t, name)
	if len(found) != 1 || found[0].Owner != c.Process.Pid || found[0].Stale {
		t.Fatalf("found %+v, made by %d", found, c.Process.Pid)
	}
	if _, err := lab.New(t.Context(), lab.Options{Name: name}); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second lab of the same name: %v", err)
	}
	// It cannot ask an owner that is stopped, which is what a stuck one looks like.
	stale := found[0]
	stale.Stale = true
	if err := stale.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := named(t, name); len(left) > 0 {
		t.Errorf("a keeper is left: %+v", left)
	}
	if _, err := lab.Attach(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("attached to a lab that is gone: %v", err)
	}
}

func TestTwoLabs(t *testing.T) {
	for range 2 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			l := newLab(t, lab.Options{})
			startVSFTPD(t, l)
			for range 3 {
				if out, err := l.Client.LFTP(t.Context(), "get R1.cfg; ls; put R3.cfg").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			got, err := os.ReadFile(l.Path(lab.ServerFiles + "/R3.cfg"))
			if err != nil || string(got) != lab.R3 {
				t.Errorf("R3.cfg arrived as %q, %v", got, err)
			}
		})
	}
}

func TestSpeed(t *testing.T) {
	needsRoot(t)
	begin := time.Now()
	newLab(t, lab.Options{Ruleset: lab.Ruleset("stateful")})
	t.Logf("built in %v", time.Since(begin))
}
