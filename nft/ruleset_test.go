package nft

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpalg/ftpalg/alg"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// variants are the tables that the golden files show.
var variants = map[string]func(*Config){
	"defaults": func(*Config) {},
	"tag":      func(c *Config) { c.Tag = Tag{Label: 7, Mark: 0x80} },
	"any_port": func(c *Config) { c.SourcePorts = []alg.Ports{{}} },
	"source_ports": func(c *Config) {
		c.SourcePorts = []alg.Ports{{}, {First: 1, Last: 1023}, port20, {First: 21, Last: 21}, port20}
	},
	"ftps": func(c *Config) {
		c.SourcePorts, c.FTPS = nil, []alg.Ports{{First: 50000, Last: 50100}, {First: 990, Last: 990}, {}}
	},
	"placed":      func(c *Config) { c.Before, c.After, c.Group = -20, 30, 7 },
	"single_host": func(c *Config) { c.Hooks = []string{"input", "output"} },
	"ports":       func(c *Config) { c.Ports, c.SetSize = []uint16{2121, 21, 2121}, 1000 },
	"drop":        func(c *Config) { c.Bypass, c.Workers = false, 1 },
}

// What Install puts in place is what `nft list ruleset` shows in testdata.
func TestInstallGolden(t *testing.T) {
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			cfg := defaults()
			change(&cfg)
			caps := probe(t)
			caps.Persist = false // a flag that older kernels lack
			install(t, cfg, caps)
			got, file := listing(t, cfg), filepath.Join("testdata", name+".nft")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-%s +installed:\n%s", file, diff)
			}
		})
	}
}

// What Text prints is, loaded by the nft program, what Install puts in place: the same
// listing, and the same instructions for the kernel.
func TestTextIsWhatIsInstalled(t *testing.T) {
	for name, change := range variants {
		for _, all := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				inNamespace(t)
				cfg := defaults()
				change(&cfg)
				caps := probe(t)
				caps.InnerHeader, caps.Log = caps.InnerHeader && all, caps.Log && all
				install(t, cfg, caps)
				wantText, wantCode := normal(cfg, listing(t, cfg)), code(t)

				inNamespace(t)
				text := flags.ReplaceAllString(Text(cfg, caps), "")
				if !caps.Queue {
					text = strings.ReplaceAll(text, queueFrom(cfg.GuardQueue(), cfg.Workers, false, caps).text, "counter")
					text = strings.ReplaceAll(text, queue(cfg, caps).text, "counter")
				}
				load(t, text)
				load(t, text)                                                                         // it replaces itself
				loaded := strings.ReplaceAll(normal(cfg, listing(t, cfg)), ". integer\n", ". mark\n") // see key.decl
				if diff := cmp.Diff(wantText, loaded); diff != "" {
					t.Errorf("-installed +loaded:\n%s", diff)
				}
				if diff := cmp.Diff(wantCode, code(t)); diff != "" {
					t.Errorf("-installed +loaded:\n%s", diff)
				}
			})
		}
	}
}

var (
	flags    = regexp.MustCompile(`(?m)^\tflags .*\n\n?`)
	counter  = regexp.MustCompile(`counter packets \d+ bytes \d+`)
	handles  = regexp.MustCompile(`(?m)^(inet ftpalg\w* \w+)[ \d]+$`)
	diverted = regexp.MustCompile(`\[ (target name NFQUEUE rev 3|counter pkts 0 bytes 0|queue num .*) \]`)
)

// normal takes out what a text and an installed table may differ in: the owner, and how
// this kernel diverts.
func normal(cfg Config, listing string) string {
	listing = flags.ReplaceAllString(listing, "")
	for _, q := range []string{queueFrom(cfg.GuardQueue(), cfg.Workers, false, Caps{}).text, queue(cfg, Caps{}).text} {
		listing = strings.ReplaceAll(listing, q, "diverted")
	}
	return counter.ReplaceAllString(listing, "diverted")
}

// code returns the instructions of all rules.
func code(t *testing.T) string {
	listing := nft(t, "--debug=netlink", "list", "ruleset")
	listing, _, _ = strings.Cut(listing, "table inet")
	return diverted.ReplaceAllString(handles.ReplaceAllString(listing, "$1"), "[ divert ]")
}

// The text of the defaults, for its reader.
func TestTextGolden(t *testing.T) {
	got := Text(defaults(), Caps{Owner: true, InnerHeader: true, Log: true, NAT: true, Count: true})
	file := filepath.Join("testdata", "rules.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-%s +Text:\n%s", file, diff)
	}
}

// A table that must outlive the program is not owned, or persistent.
func TestTableFlags(t *testing.T) {
	for _, tt := range []struct {
		caps   Caps
		bypass bool
		want   string
	}{
		{Caps{}, true, ""},
		{Caps{Owner: true}, true, "\tflags owner\n"},
		{Caps{Owner: true, Persist: true}, true, "\tflags owner\n"},
		{Caps{Owner: true}, false, ""},
		{Caps{Owner: true, Persist: true}, false, "\tflags owner,persist\n"},
	} {
		cfg := defaults()
		cfg.Bypass = tt.bypass
		if got := regexp.MustCompile(`\tflags owner.*\n`).FindString(Text(cfg, tt.caps)); got != tt.want {
			t.Errorf("%+v, bypass %v: %q, want %q", tt.caps, tt.bypass, got, tt.want)
		}
	}
}

// The queues are a range from the first number on, and fit into 16 bits.
func TestQueueText(t *testing.T) {
	for _, tt := range []struct {
		workers int
		bypass  bool
		want    string
	}{
		{1, true, "queue flags bypass to 21000"},
		{4, true, "queue flags bypass to 21000-21003"},
		{1, false, "queue to 21000"},
	} {
		cfg := defaults()
		cfg.Workers, cfg.Bypass = tt.workers, tt.bypass
		if got := queue(cfg, Caps{}).text; got != tt.want {
			t.Errorf("%d workers, bypass %v: %q, want %q", tt.workers, tt.bypass, got, tt.want)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no port":          func(c *Config) { c.Ports = nil },
		"port 0":           func(c *Config) { c.Ports = []uint16{21, 0} },
		"no hook":          func(c *Config) { c.Hooks = nil },
		"unknown hook":     func(c *Config) { c.Hooks = []string{"prerouting"} },
		"no queue":         func(c *Config) { c.Workers = 0 },
		"queue above":      func(c *Config) { c.Queue, c.Workers, c.Hooks = 65535, 2, []string{"input"} },
		"guard above":      func(c *Config) { c.Queue, c.Workers = 65533, 2 },
		"label above":      func(c *Config) { c.Tag.Label = 127 }, // there is no next one
		"no mark":          func(c *Config) { c.Tag.Mark = 0 },
		"mark of two bits": func(c *Config) { c.Tag.Mark = 0x300 },
		"ports from 0 on":  func(c *Config) { c.SourcePorts = []alg.Ports{{Last: 20}} },
		"ports backwards":  func(c *Config) { c.FTPS = []alg.Ports{{First: 21, Last: 20}} },
		"in wrong order":   func(c *Config) { c.Before, c.After = 5, 5 },
	} {
		cfg := defaults()
		change(&cfg)
		if _, err := Install(cfg, Caps{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	cfg := defaults()
	for _, last := range []struct {
		queue uint16
		hook  string
	}{{65535, "input"}, {65534, "forward"}} {
		cfg.Queue, cfg.Workers, cfg.Hooks = last.queue, 1, []string{last.hook}
		if err := cfg.check(); err != nil {
			t.Errorf("the last queue of %s: %v", last.hook, err)
		}
	}
}
