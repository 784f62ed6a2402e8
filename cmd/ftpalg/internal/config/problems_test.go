package config

import (
	"strings"
	"testing"
)

// problems are documents with something wrong, and what is said of each.
var problems = []struct{ name, document, want string }{
	{"unknown key", "[control]\nqeue = 1", "f.toml:2: control.qeue: unknown key: did you mean queue?"},
	{"unknown section", "[controls]\nqueue = 1\nx = 2", "f.toml:1: controls: unknown section: did you mean [control]?"},
	{"key without section", "queue = 1", "f.toml:1: queue: unknown key: did you mean queue in [control]?"},
	{"section below a section", "[control.queue]\nx = 1", "f.toml:1: control.queue: unknown section: queue is a key in [control], not a section"},
	{"key below a key", "[pinhole]\ntimeout.max = 1", "f.toml:2: pinhole.timeout.max: unknown key: timeout is a key in [pinhole], not a section"},
	{"key with a dot", "\"control.queue\" = 1", "f.toml:1: control.queue: unknown key: did you mean queue in [control]?"},
	{"section below a mistyped one", "[contrl.queue]\nx = 1", "f.toml:1: contrl.queue: unknown section: did you mean [control]?"},
	{"section below a known one", "[control.more]\nx = 1", "f.toml:1: control.more: unknown section"},
	{"mistyped key in a mistyped section", "[pinholes]\ntimout = '1s'", "f.toml:1: pinholes: unknown section: did you mean [pinhole]?"},
	{"dotted key in a mistyped section", "pinholes.timeout = '1s'", "f.toml:1: pinholes.timeout: unknown key: did you mean timeout in [pinhole]?"},
	{"key below a mistyped one", "[log.levl]\nx = 1", "f.toml:1: log.levl: unknown section"},
	{"value for a section", "control = 5", "f.toml:1: control: is a section: write [control]"},
	{"list of sections", "[[control]]\nqueue = 5", "f.toml:1: control: is a section: write [control]"},
	{"not TOML", "[control]\nqueue =\n", "f.toml:2: unexpected character U+000A at start of value"},
	{"key twice", "[control]\nqueue = 1\nqueue = 2", "f.toml:3: key queue is already defined"},
	{"number too large for TOML", "[control]\nqueue = 99999999999999999999", "f.toml:2: "},

	{"port too high", "[pinhole]\n\nmin_port = 70000", "f.toml:3: pinhole.min_port: 70000 is not a port (1-65535)"},
	{"port zero", "control.ports = [21, 0]", "f.toml:1: control.ports: 0 is not a port (1-65535)"},
	{"port as text", `pinhole.min_port = "1024"`, `f.toml:1: pinhole.min_port: "1024" is not a port (1-65535)`},
	{"port as a float", "pinhole.min_port = 1024.0", "f.toml:1: pinhole.min_port: 1024 is not a port (1-65535)"},
	{"ports not a list", "control.ports = 21", "f.toml:1: control.ports: 21 is not a list"},
	{"no ports", "control.ports = []", "f.toml:1: control.ports: the list is empty"},
	{"port twice", "control.ports = [21, 2121, 21]", "f.toml:1: control.ports: 21 is there twice"},
	{"hook unknown", `control.hooks = ["prerouting"]`, `f.toml:1: control.hooks: "prerouting" is none of forward, input, output`},
	{"no hooks", "control.hooks = []", "f.toml:1: control.hooks: the list is empty"},
	{"hook twice", `control.hooks = ["input", "input"]`, `f.toml:1: control.hooks: "input" is there twice`},
	{"queue out of range", "control.queue = 65536", "f.toml:1: control.queue: 65536 is not a queue number (0-65535)"},
	{"workers negative", "control.workers = -1", "f.toml:1: control.workers: -1 is not a number of workers (0-256)"},
	{"queues out of range", "[control]\nqueue = 65530\nworkers = 7", "f.toml:3: control.workers: 7 queues from 65530 on go beyond queue 65535"},
	{"absence", `control.on_absence = "fail"`, `f.toml:1: control.on_absence: "fail" is none of drop, pass`},
	{"overload", `control.on_overload = true`, `f.toml:1: control.on_overload: true is none of drop, pass`},

	{"anchor", `firewall.anchor = "auto"`, `f.toml:1: firewall.anchor: "auto" is none of insert, manual`},
	{"table without family", `firewall.table = "filter"`, `f.toml:1: firewall.table: "filter" is not the family (inet, ip, ip6) and name of a table, such as "inet filter"`},
	{"table of a bridge", `firewall.table = "bridge filter"`, `f.toml:1: firewall.table: "bridge filter" is not the family (inet, ip, ip6) and name of a table, such as "inet filter"`},
	{"table with a tail", `firewall.table = "inet filter x"`, `f.toml:1: firewall.table: "inet filter x" is not the family (inet, ip, ip6) and name of a table, such as "inet filter"`},
	{"chain", `firewall.chains = ["a b"]`, `f.toml:1: firewall.chains: "a b" is not the name of a chain`},
	{"no chains", `firewall.chains = []`, `f.toml:1: firewall.chains: the list is empty`},
	{"label", "firewall.label = 127", "f.toml:1: firewall.label: 127 is not a conntrack label that has a next one (0-126)"},
	{"mark of an earlier version", `firewall.mark = "0x200/0x200"`, `f.toml:1: firewall.mark: "0x200/0x200" is a conntrack mark, which data flows no longer bear: this is now one bit of the packet mark, so write mark = "0x200"`},
	{"mark of an earlier version, more than a bit", `firewall.mark = "0x1/0xff"`, `f.toml:1: firewall.mark: "0x1/0xff" is a conntrack mark, which data flows no longer bear: this is now one bit of the packet mark, so write mark = "0x01000000"`},
	{"mark too long", `firewall.mark = "0x100000000"`, `f.toml:1: firewall.mark: "0x100000000" is not one bit of the packet mark, such as "0x01000000"`},
	{"mark of two bits", `firewall.mark = "0x300"`, `f.toml:1: firewall.mark: "0x300" is not one bit of the packet mark, such as "0x01000000"`},
	{"mark of no bit", `firewall.mark = "0"`, `f.toml:1: firewall.mark: "0" is not one bit of the packet mark, such as "0x01000000"`},
	{"mark as a number", `firewall.mark = 0x200`, `f.toml:1: firewall.mark: 512 is not one bit of the packet mark, such as "0x01000000"`},

	{"mode", `pinhole.modes = ["extended"]`, `f.toml:1: pinhole.modes: "extended" is none of active, passive`},
	{"mode twice", `pinhole.modes = ["active", "active"]`, `f.toml:1: pinhole.modes: active is there twice`},
	{"source port", "pinhole.source_port = -1", "f.toml:1: pinhole.source_port: -1 is neither a port (1-65535), nor a range of ports, such as \"1-1023\", nor 0 for any"},
	{"open on", `pinhole.open_on = "announcement"`, `f.toml:1: pinhole.open_on: "announcement" is none of port, transfer`},
	{"time-out without unit", `pinhole.timeout = "30"`, `f.toml:1: pinhole.timeout: "30" is not a time from 1ms to 5m, such as "30s"`},
	{"time-out as a number", "pinhole.timeout = 30", `f.toml:1: pinhole.timeout: 30 is not a time from 1ms to 5m, such as "30s"`},
	{"time-out of nothing", `pinhole.timeout = "0s"`, `f.toml:1: pinhole.timeout: "0s" is not a time from 1ms to 5m, such as "30s"`},
	{"time-out too long", `pinhole.timeout = "5m1s"`, `f.toml:1: pinhole.timeout: "5m1s" is not a time from 1ms to 5m, such as "30s"`},
	{"two denied ports", "pinhole.deny_ports = [\n 1,\n 0,\n 'x',\n]", "f.toml:1: pinhole.deny_ports: 0 is not a port (1-65535)\nf.toml:1: pinhole.deny_ports: \"x\" is not a port (1-65535)"},

	{"prefix", `policy.clients = ["10.0.0.0/33"]`, `f.toml:1: policy.clients: "10.0.0.0/33" is not an address prefix, such as "10.0.0.0/8" or "2001:db8::/32"`},
	{"address", `policy.servers = ["10.0.0.1"]`, `f.toml:1: policy.servers: "10.0.0.1" is not an address prefix, such as "10.0.0.0/8" or "2001:db8::/32"`},
	{"mapped prefix", `policy.servers = ["::ffff:10.0.0.0/104"]`, `f.toml:1: policy.servers: "::ffff:10.0.0.0/104" is not an address prefix, such as "10.0.0.0/8" or "2001:db8::/32"`},
	{"host bits", `policy.clients = ["10.1.2.3/8"]`, `f.toml:1: policy.clients: "10.1.2.3/8" has bits beyond its length: "10.0.0.0/8" or "10.1.2.3/32"`},
	{"not a bool", `policy.require_login = "yes"`, `f.toml:1: policy.require_login: "yes" is neither true nor false`},
	{"TLS", `policy.auth_tls = "strip"`, `f.toml:1: policy.auth_tls: "strip" is none of allow, deny`},
	{"violation", `policy.on_violation = "drop"`, `f.toml:1: policy.on_violation: "drop" is none of ignore, reset`},
	{"no sessions", "policy.max_sessions = 0", "f.toml:1: policy.max_sessions: 0 is not a number of sessions (1-10000000)"},
	{"a date", "policy.max_sessions_per_client = 2020-01-01", "f.toml:1: policy.max_sessions_per_client: 2020-01-01 is not a number of sessions (1-10000000)"},

	{"verb too short", `policy.verbs = ["ab"]`, `f.toml:1: policy.verbs: "ab" is not a command of 3 to 12 letters and digits`},
	{"verb with an argument", `policy.verbs = ["SITE X"]`, `f.toml:1: policy.verbs: "SITE X" is not a command of 3 to 12 letters and digits`},
	{"verb of HTTP", `policy.verbs = ["post"]`, `f.toml:1: policy.verbs: "post" is a method of HTTP: no web request must pass for FTP`},
	{"verb twice", `policy.verbs = ["xfoo", "XFOO"]`, `f.toml:1: policy.verbs: "XFOO" is there twice`},
	{"paths", `control.paths = "lose"`, `f.toml:1: control.paths: "lose" is none of loose, strict: did you mean "loose"?`},

	{"peer without port", `cluster.peers = ["10.9.0.2"]`, `f.toml:1: cluster.peers: "10.9.0.2" is not an address and a port, such as "10.9.0.2:4248"`},
	{"cluster address", `cluster.listen = "gw1:4248"`, `f.toml:1: cluster.listen: "gw1:4248" is not an address and a port, such as "10.9.0.1:4248"`},
	{"name of a gateway", `cluster.name = "gw 1"`, `f.toml:1: cluster.name: "gw 1" is not a name such as "gw1"`},
	{"relative file", `cluster.key = "gw1.key"`, `f.toml:1: cluster.key: "gw1.key" is not the absolute path of a file`},
	{"barrier too long", `cluster.barrier = "2s"`, `f.toml:1: cluster.barrier: "2s" is not a time from 1ms to 1s, such as "5ms"`},
	{"peer loss", `cluster.on_peer_loss = "held"`, `f.toml:1: cluster.on_peer_loss: "held" is none of hold, serve: did you mean "hold"?`},

	{"level", `log.level = "INFO"`, `f.toml:1: log.level: "INFO" is none of debug, error, info, warn: did you mean "info"?`},
	{"format", `log.format = ["json"]`, `f.toml:1: log.format: ["json"] is none of auto, json, text`},
	{"listen without port", `metrics.listen = "127.0.0.1"`, `f.toml:1: metrics.listen: "127.0.0.1" is not an address and a port, such as "127.0.0.1:9921"`},
	{"listen on a name", `metrics.listen = "example.org:80"`, `f.toml:1: metrics.listen: "example.org:80" is not an address and a port, such as "127.0.0.1:9921"`},
	{"listen as a number", `metrics.listen = 9921`, `f.toml:1: metrics.listen: 9921 is not an address and a port, such as "127.0.0.1:9921"`},
	{"relative socket", `api.socket = "ftpalg.sock"`, `f.toml:1: api.socket: "ftpalg.sock" is not the absolute path of a socket (at most 107 bytes)`},
	{"list of tables", "[[policy.clients]]\nx = 1", "f.toml:1: policy.clients: unknown section: clients is a key in [policy], not a section"},
	{"socket as a table", `api.socket = {}`, `f.toml:1: api.socket: a table is not the absolute path of a socket (at most 107 bytes)`},

	{"byte order mark", "\xef\xbb\xbf[control]\n", "f.toml:1: the file begins with a byte order mark: save it as UTF-8 without BOM"},
	{"UTF-16 with its mark", "\xff\xfe[\x00c\x00", "f.toml:1: the file is UTF-16: save it as UTF-8"},
	{"UTF-16, the other way round", "\xfe\xff\x00[\x00c", "f.toml:1: the file is UTF-16: save it as UTF-8"},
	{"UTF-16 without its mark", "[\x00c\x00o\x00", "f.toml:1: the file is UTF-16: save it as UTF-8"},

	{
		"everything is told, from top to bottom",
		"[log]\nlevel = 1\ncolour = true\n[nat]\non = true\n[control]\nports = []\nqueue = 'x'\n",
		"f.toml:2: log.level: 1 is none of debug, error, info, warn\n" +
			"f.toml:3: log.colour: unknown key\n" +
			"f.toml:4: nat: unknown section\n" +
			"f.toml:7: control.ports: the list is empty\n" +
			"f.toml:8: control.queue: \"x\" is not a queue number (0-65535)",
	},
}

// What is wrong is named with its file, line and key.
func TestProblems(t *testing.T) {
	for _, c := range problems {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.toml", []byte(c.document))
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != c.want && (!strings.HasSuffix(c.want, " ") || !strings.HasPrefix(got, c.want)) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
