package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

// What a [[server]] does not name is as in the sections, above it in the file or below.
func TestServers(t *testing.T) {
	c, err := Parse("s.toml", []byte(`
[policy]
require_login = false
[[server]]
addresses = ["10.2.5.5", "2001:db8::/32"]
source_port = 0
passive_ports = "50000-50100"
[[server]]
addresses = ["10.2.0.0/16"]
open_on = "transfer"
ftps_ports = 50000
[[server]]
addresses = ["10.2.5.6"]
passive_ports = "50000"
[pinhole]
open_on = "port"
source_port = "1-1023"
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Policy.Overrides) != 3 {
		t.Fatalf("%+v", c.Policy.Overrides)
	}
	for i, want := range []struct {
		servers []string
		change  func(*alg.Rules)
	}{
		{[]string{"10.2.5.5/32", "2001:db8::/32"}, func(r *alg.Rules) {
			r.SourcePort, r.PassivePorts = alg.Ports{}, alg.Ports{First: 50000, Last: 50100}
		}},
		{[]string{"10.2.0.0/16"}, func(r *alg.Rules) {
			r.OpenOnPort, r.FTPSPorts = false, alg.Ports{First: 50000, Last: 50000}
		}},
		{[]string{"10.2.5.6/32"}, func(r *alg.Rules) { r.PassivePorts = alg.Ports{First: 50000, Last: 50000} }},
	} {
		rules := alg.DefaultPolicy().Rules
		rules.RequireLogin, rules.OpenOnPort, rules.SourcePort = false, true, alg.Ports{First: 1, Last: 1023}
		if i == 0 && !reflect.DeepEqual(c.Policy.Rules, rules) {
			t.Errorf("for all others\n%+v, want\n%+v", c.Policy.Rules, rules)
		}
		want.change(&rules)
		var servers []netip.Prefix
		for _, s := range want.servers {
			servers = append(servers, netip.MustParsePrefix(s))
		}
		if o := (alg.Override{Servers: servers, Rules: rules}); !reflect.DeepEqual(c.Policy.Overrides[i], o) {
			t.Errorf("server %d is\n%+v, want\n%+v", i, c.Policy.Overrides[i], o)
		}
	}
	if got, want := c.Table.SourcePorts, []alg.Ports{{}, {First: 1, Last: 1023}}; !reflect.DeepEqual(got, want) {
		t.Errorf("source ports %v, want %v", got, want)
	}
	if len(c.Table.FTPS) == 0 || len(Default().Table.FTPS) > 0 {
		t.Errorf("FTPS: %v with ftps_ports, %v without", c.Table.FTPS, Default().Table.FTPS)
	}
	if got := Default().Table.SourcePorts; !reflect.DeepEqual(got, []alg.Ports{{First: 20, Last: 20}}) {
		t.Errorf("source ports %v by default", got)
	}
}

func TestServerProblems(t *testing.T) {
	for _, c := range []struct{ name, document, want string }{
		{"a section", "[server]\naddresses = ['10.2.5.5']", "f.toml:1: server: is a table for each server: write [[server]]"},
		{"a value", "server = 5", "f.toml:1: server: is a table for each server: write [[server]]"},
		{"a list", "server = [{ addresses = ['10.2.5.5'] }]", "f.toml:1: server: is a table for each server: write [[server]]"},
		{"a dotted key", "server.addresses = ['10.2.5.5']", "f.toml:1: server: is a table for each server: write [[server]]"},
		{"the plural", "[[servers]]\naddresses = ['10.2.5.5']", "f.toml:1: servers: unknown section: did you mean [[server]]?"},
		{"a section of it", "[[server]]\naddresses = ['10.2.5.5']\n[server.tls]\nx = 1", "f.toml:3: server.tls: unknown section"},
		{"unknown key", "[[server]]\naddresses = ['10.2.5.5']\nftp_ports = '5000'", "f.toml:3: server.ftp_ports: unknown key: did you mean ftps_ports?"},
		{"key of a section", "[[server]]\naddresses = ['10.2.5.5']\nmin_port = 1", "f.toml:3: server.min_port: unknown key: did you mean min_port in [pinhole]?"},
		{"key in a section", "[pinhole]\npassive_ports = '5000'", "f.toml:2: pinhole.passive_ports: unknown key: did you mean passive_ports in [[server]]?"},
		{"no addresses", "\n[[server]]\nsource_port = 0", "f.toml:2: server.addresses: is missing: which servers are meant?"},
		{"empty addresses", "[[server]]\naddresses = []", "f.toml:2: server.addresses: the list is empty"},
		{"a name", "[[server]]\naddresses = ['ftp.example.org']", `f.toml:2: server.addresses: "ftp.example.org" is neither an address nor a prefix, such as "10.2.5.5" or "2001:db8::/32"`},
		{"a mapped address", "[[server]]\naddresses = ['::ffff:10.2.5.5']", `f.toml:2: server.addresses: "::ffff:10.2.5.5" is neither an address nor a prefix, such as "10.2.5.5" or "2001:db8::/32"`},
		{"a zone", "[[server]]\naddresses = ['fe80::1%eth0']", `f.toml:2: server.addresses: "fe80::1%eth0" is neither an address nor a prefix, such as "10.2.5.5" or "2001:db8::/32"`},
		{"host bits", "[[server]]\naddresses = ['10.2.5.5/16']", `f.toml:2: server.addresses: "10.2.5.5/16" has bits beyond its length: "10.2.0.0/16" or "10.2.5.5/32"`},
		{"an address twice", "[[server]]\naddresses = ['10.2.5.5', '10.2.5.5/32']", "f.toml:2: server.addresses: 10.2.5.5/32 is there twice"},
		{
			"an address in two", "[[server]]\naddresses = ['10.2.5.4', '10.2.5.5']\n[[server]]\nopen_on = 'port'\naddresses = ['10.2.5.5']",
			"f.toml:5: server.addresses: 10.2.5.5/32 is in the [[server]] of line 1 too",
		},
		{"a range that ends before it begins", "[[server]]\naddresses = ['10.2.5.5']\npassive_ports = '5001-5000'", `f.toml:3: server.passive_ports: "5001-5000" is neither a port (1-65535) nor a range of ports, such as "50000-50100"`},
		{"port 0", "[[server]]\naddresses = ['10.2.5.5']\nftps_ports = 0", `f.toml:3: server.ftps_ports: 0 is neither a port (1-65535) nor a range of ports, such as "50000-50100"`},
		{"open end", "[[server]]\naddresses = ['10.2.5.5']\nftps_ports = '5000-'", `f.toml:3: server.ftps_ports: "5000-" is neither a port (1-65535) nor a range of ports, such as "50000-50100"`},
		{
			"ports below min_port", "[[server]]\naddresses = ['10.2.5.5']\npassive_ports = 2000\nftps_ports = '1999-3000'\n[pinhole]\nmin_port = 2001",
			"f.toml:3: server.passive_ports: 2000 begins below pinhole.min_port, which is 2001\nf.toml:4: server.ftps_ports: 1999-3000 begins below pinhole.min_port, which is 2001",
		},
		{"open_on", "[[server]]\naddresses = ['10.2.5.5']\nopen_on = 'ports'", `f.toml:3: server.open_on: "ports" is none of port, transfer: did you mean "port"?`},
		{
			"from top to bottom", "[[server]]\nx = 1\n[log]\nlevel = 1\n[[server]]\naddresses = 5\n",
			"f.toml:1: server.addresses: is missing: which servers are meant?\nf.toml:2: server.x: unknown key\n" +
				"f.toml:4: log.level: 1 is none of debug, error, info, warn\nf.toml:6: server.addresses: 5 is not a list",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.toml", []byte(c.document))
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	words := []string{"source_port", "open_on", "modes", "timeout", "ports"}
	for given, want := range map[string]string{
		"source-port": "source_port", "SOURCE_PORT": "source_port", "sorce_prot": "source_port", "sourceport": "source_port",
		"mode": "modes", "port": "ports", "time_out": "timeout", "open": "", "x": "", "": "", "colour": "",
		strings.Repeat("source_port", 1000): "",
	} {
		if got := strings.Join(nearest(given, words), " "); got != want {
			t.Errorf("%.20q is nearest to %q, want %q", given, got, want)
		}
	}
	if got := nearest("listen", []string{"listen", "listen", "listed"}); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
