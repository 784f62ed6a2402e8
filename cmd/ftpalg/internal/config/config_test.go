package config

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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
paths       = "strict"        # or "loose": packets of one side may come in elsewhere than its first did

[firewall]
anchor   = "insert"           # or "manual": the operator's ruleset already has the accept line
table    = "inet filter"      # where to insert it
chains   = ["forward"]        # default: the names of [control] hooks
mark     = "0x01000000"       # the bit of the packet mark that says: admitted
label    = 126                # conntrack label of data flows; the next one marks control flows that may be taken up again

[pinhole]
modes        = ["active", "passive"]
source_port  = 20             # of active data connections; 0 = any; "1-1023" = a range
open_on      = "transfer"     # or "port"
timeout      = "30s"          # unused pinholes; at most 5m
min_port     = 1024
deny_ports   = [1433, 1521, 2049, 3306, 3389, 5432, 5900, 5985, 6000, 6379, 8080, 9200, 11211, 27017]

[policy]
clients        = []           # prefixes that may be helped; empty = all
servers        = []
require_login  = true
auth_tls       = "allow"      # or "deny"
on_violation   = "ignore"     # or "reset"
verbs          = []           # commands beside the known ones that are FTP here
max_sessions            = 100000
max_sessions_per_client = 1000

[[server]]                    # any number; the longest prefix that holds the server decides
addresses   = ["10.2.5.5"]    # what is not named here is as above
source_port = 0
open_on     = "port"
passive_ports = "50000-50100" # 227/229 of this server may name these alone
ftps_ports  = "50000-50100"   # after AUTH 234: client -> this server, these ports, while the control connection lives

[log]
level  = "info"
format = "auto"               # text on a terminal, journal fields under systemd, JSON otherwise

[metrics]
listen = ""                   # e.g. "127.0.0.1:9921"; empty = off

[api]
socket = "/run/ftpalg/ftpalg.sock"

[cluster]
name    = ""                  # default: the host's name
listen  = ""                  # e.g. "10.9.0.1:4248"; empty = off
peers   = []                  # ["10.9.0.2:4248"]
ca      = ""                  # PEM files; peers must show a certificate of this authority
cert    = ""
key     = ""
barrier = "5ms"               # longest wait for the peers before a transfer command goes on
on_peer_loss = "serve"        # or "hold"
`

// The documented defaults are those of an empty file, and no key is undocumented.
func TestDefaults(t *testing.T) {
	c, err := Parse("contract.toml", []byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Policy.Overrides) != 1 {
		t.Fatalf("%+v", c.Policy.Overrides)
	}
	before, rest, _ := strings.Cut(contract, "[[server]]") // has no default
	_, after, _ := strings.Cut(rest, "[log]")
	if c, err = Parse("contract.toml", []byte(before+"[log]"+after)); err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("the contract says\n%+v, but the defaults are\n%+v", c, want)
	}
	for _, document := range []string{"", "\n# nothing\n", "[control]\n[api]\n"} {
		c, err := Parse("empty.toml", []byte(document))
		if err != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q: %+v, %v", document, c, err)
		}
	}
	for _, key := range names(c.settings()) {
		section, name, _ := strings.Cut(key, ".")
		_, rest, ok := strings.Cut(contract, "\n"+heading(section))
		rest, _, _ = strings.Cut(rest, "\n[")
		if !ok || !strings.Contains(rest, "\n"+name+" ") {
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
paths = "loose"
[firewall]
anchor = "manual"
table = "ip mangle"
chains = ["INPUT", "OUTPUT"]
mark = "0x200"
label = 0
[pinhole]
modes = ["passive"]
source_port = "1-1023"
open_on = "port"
timeout = "5m"
min_port = 2000
deny_ports = []
[policy]
clients = ["10.0.0.0/8", "2001:db8::/32"]
servers = ["192.0.2.1/32"]
require_login = false
auth_tls = "allow"
on_violation = "reset"
verbs = ["xfoo", "BAR1"]
max_sessions = 10
max_sessions_per_client = 5
[log]
level = "debug"
format = "json"
[metrics]
listen = "127.0.0.1:9921"
[api]
socket = "/tmp/s"
[cluster]
name = "gw1.example.net"
listen = "10.9.0.1:4248"
peers = ["10.9.0.2:4248", "[fd00::3]:4248"]
ca = "/etc/ftpalg/ca.pem"
cert = "/etc/ftpalg/gw1.pem"
key = "/etc/ftpalg/gw1.key"
barrier = "20ms"
on_peer_loss = "hold"
`
	c, err := Parse("full.toml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	c.Warnings = nil // TestWarnings has them
	want := &Config{
		Policy: alg.Policy{
			Rules: alg.Rules{
				Modes: []alg.Mode{alg.Passive}, SourcePort: alg.Ports{First: 1, Last: 1023}, OpenOnPort: true,
				MinPort: 2000, Verbs: []string{"XFOO", "BAR1"},
			},
			Ports: []uint16{21, 2121}, Timeout: 5 * time.Minute,
			Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
			Servers: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
			Reset:   true, Loose: true, MaxSessions: 10, MaxSessionsPerClient: 5,
		},
		Table: nft.Config{
			Ports: []uint16{21, 2121}, Hooks: []string{"input", "output"}, Queue: 7, Workers: 3,
			Tag: nft.Tag{Label: 0, Mark: 0x200}, SourcePorts: []alg.Ports{{First: 1, Last: 1023}}, SetSize: 1024,
		},
		Anchor:   Anchor{Table: "ip mangle", Chains: []string{"INPUT", "OUTPUT"}},
		Log:      Log{Level: slog.LevelDebug, Format: "json"},
		Metrics:  "127.0.0.1:9921",
		Socket:   "/tmp/s",
		FailOpen: true,
		Cluster: Cluster{
			Name: "gw1.example.net", Listen: "10.9.0.1:4248", Peers: []string{"10.9.0.2:4248", "[fd00::3]:4248"},
			CA: "/etc/ftpalg/ca.pem", Cert: "/etc/ftpalg/gw1.pem", Key: "/etc/ftpalg/gw1.key",
			Barrier: 20 * time.Millisecond, Hold: true,
		},
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

// The accept line goes to the chains that are named like the hooks, unless others are.
func TestChainsFollowHooks(t *testing.T) {
	for document, want := range map[string][]string{
		"":                                    {"forward"},
		`control.hooks = ["input", "output"]`: {"input", "output"},
		"[firewall]\nchains = ['FTP']\n[control]\nhooks = ['input', 'output']": {"FTP"},
	} {
		c, err := Parse("x.toml", []byte(document))
		if err != nil || !reflect.DeepEqual(c.Anchor.Chains, want) {
			t.Errorf("%q: %v, %v", document, c.Anchor.Chains, err)
		}
	}
}

// Where AUTH is denied nothing passes unread, and who says otherwise is told so.
func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		document       string
		bypass, failed bool
		want           []string
	}{
		{"policy.auth_tls = 'deny'", false, false, nil},
		{"policy.auth_tls = 'deny'\ncontrol.on_absence = 'drop'\ncontrol.on_overload = 'drop'", false, false, nil},
		{"policy.auth_tls = 'allow'\ncontrol.on_overload = 'pass'", true, true, nil},
		{
			"[control]\non_absence = 'pass'\non_overload = 'pass'\n[policy]\nauth_tls = 'deny'", false, false,
			[]string{
				`w.toml:2: control.on_absence: "pass" lets AUTH by unread: policy.auth_tls = "deny" makes it "drop"`,
				`w.toml:3: control.on_overload: "pass" lets AUTH by unread: policy.auth_tls = "deny" makes it "drop"`,
			},
		},
		{
			"[cluster]\npeers = ['10.9.0.2:4248']\nlisten = '10.9.0.1:4248'", true, false,
			[]string{
				"w.toml:3: cluster.listen: this version serves one gateway alone: nothing is shared with others",
				"w.toml:2: cluster.peers: this version serves one gateway alone: nothing is shared with others",
			},
		},
		{"[cluster]\nname = 'gw1'\npeers = []\nlisten = ''\nbarrier = '1s'", true, false, nil},
	} {
		got, err := Parse("w.toml", []byte(c.document))
		if err != nil {
			t.Fatal(err)
		}
		if got.Table.Bypass != c.bypass || got.FailOpen != c.failed || !slices.Equal(got.Warnings, c.want) {
			t.Errorf("%q: bypass %t, fail-open %t, warnings\n%s", c.document, got.Table.Bypass, got.FailOpen, strings.Join(got.Warnings, "\n"))
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
