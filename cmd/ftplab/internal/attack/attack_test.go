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
}

// exposed is between what an exposure should be: ports, and seconds from and to.
var exposed = map[string]struct {
	ports    int
	from, to float64
}{
	Open:      {65535, 3600, 3600},
	Stateless: {65535 - 1023, 3600, 3600},
	Stateful:  {0, 0, 0},
	FTPALG:    {1, 1e-6, 1},
	Helper:    {1, 298, 301}, // nf_conntrack_ftp.c: ftp_exp_policy
}

func TestMatrix(t *testing.T) {
	m, err := Run(t.Context(), Options{Daemon: program(t), Progress: func(what string) { t.Log(what) }})
	if err != nil {
		t.Fatal(err)
	}
	names := Names()
	if len(m.Notes) > 0 {
		t.Log(m.Notes)
		names = slices.DeleteFunc(names, func(name string) bool { return name == Helper })
	}
	for i, f := range m.Firewalls {
		if f.Name != names[i] || f.Title == "" || f.About == "" {
			t.Errorf("firewall %d is %+v, want %s", i, f, names[i])
		}
		want, got := exposed[f.Name], f.Exposure
		if got.Ports != want.ports || got.Seconds < want.from || got.Seconds > want.to || got.PortSeconds != float64(got.Ports)*got.Seconds {
			t.Errorf("%s: exposure %+v, want %+v", f.Name, got, want)
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
			if r.Good(c) != (r.Attack == (want[i] == 'b')) {
				t.Errorf("%s, %s: good is %v", r.Name, m.Firewalls[i].Name, r.Good(c))
			}
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
