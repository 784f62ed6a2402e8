package config

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft"
)

// contract is the configuration with every key at its default, as documented.
const contract = `
[control]
ports       = [21]
hooks       = ["forward"]     # "forward" for a gateway; "input", "output" for a single host
queue       = 21000           # first NFQUEUE number
workers     = 0               # queues; 0 = one per CPU, at most 4
on_absence  = "pass"          # or "drop": control packets while no daemon listens
on_overload = "drop"          # or "pass"

[firewall]
anchor   = "insert"           # or "manual": the operator's ruleset already has the accept line
table    = "inet filter"      # where to insert it
chains   = ["forward"]
label    = 126                # conntrack label of admitted data flows
# mark   = "0x200/0x200"      # a conntrack mark instead

[pinhole]
modes        = ["active", "passive"]
source_port  = 20             # of active data connections; 0 = any
open_on      = "transfer"     # or "port"
timeout      = "30s"          # unused pinholes
min_port     = 1024
deny_ports   = [1433, 1521, 2049, 3306, 3389, 5432, 5900, 5985, 6000, 6379, 8080, 9200, 11211, 27017]

[policy]
clients        = []           # prefixes that may be helped; empty = all
servers        = []
require_login  = true         # no pinhole before 230/232
auth_tls       = "allow"      # or "deny"
on_violation   = "ignore"     # or "reset"
max_sessions            = 100000
max_sessions_per_client = 1000

[log]
level  = "info"
format = "auto"               # text on a terminal, JSON otherwise

[metrics]
listen = ""                   # e.g. "127.0.0.1:9921"; empty = off

[api]
socket = "/run/ftpalg/ftpalg.sock"
`

// The documented defaults are those of an empty file, and no key is undocumented.
func TestDefaults(t *testing.T) {
	c, err := Parse("contract.toml", []byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	c.Policy.Clients, c.Policy.Servers = nil, nil // an empty list is none
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("the contract says\n%+v, but the defaults are\n%+v", c, want)
	}
	for _, document := range []string{"", "\n# nothing\n", "[control]\n[api]\n"} {
		c, err := Parse("empty.toml", []byte(document))
		if err != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q: %+v, %v", document, c, err)
		}
	}
	for key := range c.settings() {
		section, name, _ := strings.Cut(key, ".")
		_, rest, ok := strings.Cut(contract, "["+section+"]")
		if !ok || !strings.Contains(rest, "\n"+name+" ") && key != "firewall.mark" {
			t.Errorf("%s is not in the contract", key)
		}
	}
}

// Every key reaches its place.
func TestSettings(t *testing.T) {
	const document = `
[control]
ports = [21, 2121]
hooks = ["input", "output"]
queue = 7
workers = 3
on_absence = "drop"
on_overload = "pass"
[firewall]
anchor = "manual"
table = "ip mangle"
chains = ["INPUT", "OUTPUT"]
mark = "0x200/0x300"
[pinhole]
modes = ["passive"]
source_port = 0
open_on = "port"
timeout = "1m30s"
min_port = 2000
deny_ports = []
[policy]
clients = ["10.0.0.0/8", "2001:db8::/32"]
servers = ["192.0.2.1/32"]
require_login = false
auth_tls = "deny"
on_violation = "reset"
max_sessions = 10
max_sessions_per_client = 5
[log]
level = "debug"
format = "json"
[metrics]
listen = "127.0.0.1:9921"
[api]
socket = "/tmp/s"
`
	c, err := Parse("full.toml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	c.Policy.DenyPorts = nil
	want := &Config{
		Policy: alg.Policy{
			Ports: []uint16{21, 2121}, Modes: []alg.Mode{alg.Passive},
			OpenOnPort: true, Timeout: 90 * time.Second, MinPort: 2000,
			Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
			Servers: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
			DenyTLS: true, Reset: true, MaxSessions: 10, MaxSessionsPerClient: 5,
		},
		Table: nft.Config{
			Ports: []uint16{21, 2121}, Hooks: []string{"input", "output"}, Queue: 7, Workers: 3,
			Tag: nft.Tag{Mark: 0x200, Mask: 0x300},
		},
		Anchor:   Anchor{Table: "ip mangle", Chains: []string{"INPUT", "OUTPUT"}},
		Log:      Log{Level: slog.LevelDebug, Format: "json"},
		Metrics:  "127.0.0.1:9921",
		Socket:   "/tmp/s",
		FailOpen: true,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// The ways to write TOML make no difference.
func TestForms(t *testing.T) {
	for _, document := range []string{
		"control = { queue = 5, workers = 1 }",
		"control.queue = 5\ncontrol.workers = 1",
		"[ control ]\r\n'queue' = 0x5\r\n\"workers\" = +1\r\n",
		"log.level = 'info'\n[control]\nqueue = 5\nworkers = 1",
	} {
		c, err := Parse("form.toml", []byte(document))
		if err != nil || c.Table.Queue != 5 || c.Table.Workers != 1 {
			t.Errorf("%q: %+v, %v", document, c, err)
		}
	}
}

// The number of queues that the machine suggests fits the numbers there are.
func TestAutomaticWorkers(t *testing.T) {
	c, err := Parse("x.toml", []byte("control.queue = 65535"))
	if err != nil || c.Table.Workers != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if n := Default().Table.Workers; n < 1 || n > 4 {
		t.Errorf("%d workers", n)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ftpalg.toml")
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(file, []byte("[control]\nqueue = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil || c.Table.Queue != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}

// FuzzParse: no document makes it panic, and every problem has a line.
func FuzzParse(f *testing.F) {
	f.Add(contract)
	for _, c := range problems {
		f.Add(c.document)
	}
	f.Fuzz(func(t *testing.T, document string) {
		_, err := Parse("f.toml", []byte(document))
		var ps Problems
		if err != nil && !errors.As(err, &ps) {
			t.Errorf("an error without problems: %v", err)
		}
		for _, p := range ps {
			if p.Line < 1 || p.Line > strings.Count(document, "\n")+1 || p.Text == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
