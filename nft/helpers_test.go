package nft

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

var (
	port20 = alg.Ports{First: 20, Last: 20}
	tag126 = Tag{Label: 126, Mark: 0x01000000}
)

// defaults is the table of an empty configuration file.
func defaults() Config {
	return Config{
		Ports: []uint16{21}, Hooks: []string{"forward"}, Queue: 21000, Workers: 2,
		Bypass: true, Tag: tag126, SourcePorts: []alg.Ports{port20},
	}
}

// inNamespace gives the test a network namespace of its own. It is gone with the
// test's thread, which is never used again.
func inNamespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: puts rules into network namespaces of its own")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
}

// probe returns what the kernel at hand can do.
func probe(t testing.TB) Caps {
	t.Helper()
	caps, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	return caps
}

// install puts the table into the namespace for the time of the test.
func install(t testing.TB, cfg Config, caps Caps) *Table {
	t.Helper()
	table, err := Install(cfg, caps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	if err := table.Guard(true); err != nil {
		t.Fatal(err)
	}
	return table
}

// nft runs the nft program in the namespace and returns what it prints.
func nft(t testing.TB, args ...string) string {
	t.Helper()
	return nftInput(t, "", args...)
}

// load has the nft program load a ruleset.
func load(t testing.TB, rules string) {
	t.Helper()
	nftInput(t, rules, "-f", "-")
}

func nftInput(t testing.TB, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("nft", args...)
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("nft %s: %v: %s\n%s", strings.Join(args, " "), err, stderr.String(), input)
	}
	return string(out)
}

var (
	progname = regexp.MustCompile(` # progname .*`)
	noted    = regexp.MustCompile(`(?m)^# Warning: .*\n`)
)

var translatedQueue = regexp.MustCompile(`queue num \S+( bypass)?$`)

// listing returns `nft list ruleset` as it is on every kernel. The nft program prints the
// xtables NFQUEUE target in its own words where iptables is installed. Elsewhere it cannot,
// and leaves a space at the end of the line. Either gets the queue statement here.
func listing(t testing.TB, cfg Config) string {
	t.Helper()
	text := progname.ReplaceAllString(noted.ReplaceAllString(nft(t, "list", "ruleset"), ""), "")
	ours, guards := queue(cfg, Caps{}).text, queueFrom(cfg.GuardQueue(), cfg.Workers, false, Caps{}).text
	statement := ours
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		switch name, isChain := strings.CutPrefix(line, "\tchain "); {
		case isChain && strings.HasPrefix(name, "guard_"):
			statement = guards
		case isChain:
			statement = ours
		}
		line = translatedQueue.ReplaceAllString(line, "")
		if line == "\t\t" || !strings.HasPrefix(line, "\tflags") && strings.HasSuffix(line, " ") {
			lines[i] = line + statement
		}
	}
	return strings.Join(lines, "\n")
}
