package attack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

var dir string

func TestMain(m *testing.M) {
	var err error
	if dir, err = os.MkdirTemp("", "attack"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(dir, "ftpalg")
	c := exec.Command("go", "build", "-o", path, "github.com/ftpalg/ftpalg/cmd/ftpalg")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// program returns the path of ftpalg.
func program(t *testing.T) string {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip("needs root:", err)
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// expected is what every firewall should make of every row: w works, b blocked,
// r reached, in the order of Names.
var expected = map[string]string{
	"download":           "wwbww",
	"listing":            "wwbww",
	"upload":             "wwbww",
	"passive mode":       "wbbww",
	"scan by a stranger": "rrbbb",
	"scan by the server": "rrbbb",
	"bounce":             "rrbbb",
	"low port":           "rbbbr",
	"unsolicited 227":    "rbbbr",
	"refused PORT":       "rrbbr",
	"replayed PORT":      "rrbbr",
	"slipstream":         "rrbbr",
	"left open":          "rrbbr",
	"stolen port":        "rrbbb",

	"forged SYN/ACK":       "rrbbr",
	"reset":                "rrbbr",
	"reset, then quit":     "rrbbr",
	"in the server's name": "rbbbr",
	"in the client's name": "rrbbr",
	"names in STAT":        "rbbbr",
	"names, proftpd":       "rbbbr",
}

// wantExposed is between what an exposure should be: ports, and seconds from and to. A
// stranger has those that are always open.
var wantExposed = map[string]struct {
	stranger, server int
	from, to         float64
}{
	Open:      {65535, 65535, 3600, 3600},
	Stateless: {65535 - 1023, 65535 - 1023, 3600, 3600},
	Stateful:  {0, 0, 0, 0},
	FTPALG:    {0, 1, 1e-6, 1},
	Helper:    {0, 1, 298, 301}, // nf_conntrack_ftp.c: ftp_exp_policy
}

func TestMatrix(t *testing.T) {
	m, err := Run(t.Context(), Options{Daemon: program(t), Progress: func(what string) { t.Log(what) }})
	if err != nil {
		t.Fatal(err)
	}
	names := Names()
	if len(m.Firewalls) == len(names)-1 && len(m.Notes) > 0 {
		t.Log(m.Notes)
		names = slices.DeleteFunc(names, func(name string) bool { return name == Helper })
	}
	if lab.Require("proftpd") != nil && len(m.Notes) > 0 {
		t.Log(m.Notes)
		delete(expected, "names, proftpd")
	}
	for i, f := range m.Firewalls {
		if f.Name != names[i] || f.Title == "" || f.About == "" {
			t.Errorf("firewall %d is %+v, want %s", i, f, names[i])
		}
		want, got := wantExposed[f.Name], f.ToServer
		if got.Ports != want.server || got.Seconds < want.from || got.Seconds > want.to || got.PortSeconds != float64(got.Ports)*got.Seconds {
			t.Errorf("%s: exposure to the server %+v, want %+v", f.Name, got, want)
		}
		got = f.Exposure
		if got.Ports != want.stranger || (got.Seconds > 0) != (want.stranger > 0) || got.PortSeconds != float64(got.Ports)*got.Seconds {
			t.Errorf("%s: exposure to a stranger %+v, want %+v", f.Name, got, want)
		}
	}
	if len(m.Firewalls) != len(names) || len(m.Rows) != len(expected) {
		t.Fatalf("%d firewalls, %d rows, want %d and %d", len(m.Firewalls), len(m.Rows), len(names), len(expected))
	}
	for _, r := range m.Rows {
		if len(r.Cells) != len(names) || r.About == "" {
			t.Errorf("%s: %+v", r.Name, r)
		}
		for i, c := range r.Cells {
			want, ok := expected[r.Name]
			if !ok || c.Result == "" || string(c.Result)[0] != want[i] || c.Detail == "" {
				t.Errorf("%s, %s: %+v", r.Name, m.Firewalls[i].Name, c)
			}
			if strings.Contains(c.Detail, errSilent.Error()) {
				t.Errorf("%s, %s: the attack was not played to its end: %s", r.Name, m.Firewalls[i].Name, c.Detail)
			}
			if r.Good(c) != (r.Attack == (want[i] == 'b')) {
				t.Errorf("%s, %s: good is %v", r.Name, m.Firewalls[i].Name, r.Good(c))
			}
		}
	}
}

// TestNamedPorts looks at the ports that the attacks name: a connection of somebody else
// must not be given one by the kernel. What it gives by itself stands in inet_init_net.
func TestNamedPorts(t *testing.T) {
	ports := []uint16{browserPort, strangePort}
	for _, h := range hostiles {
		ports = append(ports, h.port)
	}
	slices.Sort(ports)
	if len(slices.Compact(slices.Clone(ports))) != len(ports) {
		t.Errorf("two attacks share a port: %d", ports)
	}
	for _, p := range ports {
		if p >= 32768 && p <= 60999 {
			t.Errorf("port %d is one that the kernel hands out", p)
		}
	}
}

// TestExposure tells what a stranger reaches from what the server does.
func TestExposure(t *testing.T) {
	const hour = 3600
	for name, c := range map[string]struct {
		column           *column
		stranger, server Exposure
	}{
		"nothing":              {&column{}, Exposure{}, Exposure{}},
		"a pinhole":            {&column{transfer: time.Second}, Exposure{}, Exposure{1, 1, 1}},
		"left open":            {&column{transfer: time.Second, refused: time.Minute}, Exposure{}, Exposure{1, 61, 61}},
		"left open to anybody": {&column{refused: time.Minute, stolen: true}, Exposure{1, 60, 60}, Exposure{1, 60, 60}},
		"always":               {&column{scanned: 10, served: 20, transfer: time.Second}, Exposure{10, hour, 10 * hour}, Exposure{20, hour, 20 * hour}},
		"always to the server": {&column{served: 20}, Exposure{}, Exposure{20, hour, 20 * hour}},
	} {
		if got := c.column.exposure(); got != c.stranger {
			t.Errorf("%s: a stranger has %+v, want %+v", name, got, c.stranger)
		}
		if got := c.column.toServer(); got != c.server {
			t.Errorf("%s: the server has %+v, want %+v", name, got, c.server)
		}
		if about := c.column.about(); (c.column.transfer+c.column.refused > 0 && c.column.served == 0) != strings.Contains(about, " open for ") {
			t.Errorf("%s: %s", name, about)
		}
	}
}

// TestInterrupted ends a run in its stages.
func TestInterrupted(t *testing.T) {
	binary := program(t)
	for _, stage := range []string{"building", "scanning", "transferring", "playing"} {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{Daemon: binary, Firewalls: []string{FTPALG}}
		o.Progress = func(what string) {
			if strings.Contains(what, stage) {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
		}
		m, err := Run(ctx, o)
		cancel()
		if m != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", stage, err)
		}
		left, err := lab.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range left {
			if l.Owner == os.Getpid() {
				t.Errorf("%s leaves %+v", stage, l)
			}
		}
	}
}

func TestUnknownFirewall(t *testing.T) {
	if _, err := choose([]string{Open, "moat"}); err == nil || !strings.Contains(err.Error(), "moat") || !strings.Contains(err.Error(), Stateless) {
		t.Error(err)
	}
	chosen, err := choose([]string{Helper, Open, Helper})
	if err != nil || len(chosen) != 2 || chosen[0].name != Open || chosen[1].name != Helper {
		t.Errorf("%+v, %v", chosen, err)
	}
}
