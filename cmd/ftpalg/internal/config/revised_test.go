package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// other has another value than the default for every key.
var other = map[string]string{
	"control.ports": "[2121]", "control.hooks": `["input"]`, "control.queue": "7", "control.workers": "3",
	"control.on_absence": `"drop"`, "control.on_overload": `"pass"`, "control.paths": `"loose"`,
	"firewall.anchor": `"manual"`, "firewall.table": `"ip filter"`, "firewall.chains": `["x"]`, "firewall.mark": `"0x200"`, "firewall.label": "7",
	"pinhole.modes": `["active"]`, "pinhole.source_port": "0", "pinhole.open_on": `"port"`, "pinhole.timeout": `"5s"`, "pinhole.min_port": "2000",
	"pinhole.deny_ports": "[]", "policy.clients": `["10.0.0.0/8"]`, "policy.servers": `["10.0.0.0/8"]`, "policy.require_login": "false",
	"policy.auth_tls": `"deny"`, "policy.on_violation": `"reset"`, "policy.verbs": `["XYZZ"]`, "policy.max_sessions": "200000",
	"policy.max_sessions_per_client": "5", "log.level": `"debug"`, "log.format": `"text"`, "metrics.listen": `":9921"`, "api.socket": `""`,
	"cluster.name": `"gw1"`, "cluster.listen": `":4248"`, "cluster.peers": `["10.9.0.2:4248"]`, "cluster.ca": `"/a"`, "cluster.cert": `"/b"`,
	"cluster.key": `"/c"`, "cluster.barrier": `"7ms"`, "cluster.on_peer_loss": `"hold"`,
}

// Every key is in force after a reload, or is told to wait and stays as it was.
func TestEveryKeyIsInForceOrWaits(t *testing.T) {
	t.Parallel()
	at := map[string]bool{
		"control.paths": true, "pinhole.modes": true, "pinhole.source_port": true, "pinhole.open_on": true, "pinhole.timeout": true,
		"pinhole.min_port": true, "pinhole.deny_ports": true, "policy.clients": true, "policy.servers": true, "policy.require_login": true,
		"policy.on_violation": true, "policy.verbs": true, "policy.max_sessions_per_client": true, "log.level": true,
	}
	for key := range defaults().settings() {
		value, ok := other[key]
		if !ok {
			t.Errorf("%s has no other value here", key)
			continue
		}
		next, err := Parse("f.toml", []byte(key+" = "+value))
		if err != nil {
			t.Fatal(err)
		}
		old := Default()
		if reflect.DeepEqual(old, next) {
			t.Errorf("%s = %s is the default", key, value)
		}
		inForce, waiting := old.Revised(next)
		inForce.Warnings, next.Warnings = nil, nil
		switch {
		case at[key] && (len(waiting) > 0 || !reflect.DeepEqual(inForce, next)):
			t.Errorf("%s: %v wait, in force is\n%+v, want\n%+v", key, waiting, inForce, next)
		case !at[key] && (len(waiting) != 1 || !strings.HasPrefix(key, waiting[0]) || !reflect.DeepEqual(inForce, old)):
			t.Errorf("%s: %v wait, in force is\n%+v, want\n%+v", key, waiting, inForce, old)
		}
	}
}

func TestRevised(t *testing.T) {
	t.Parallel()
	parse := func(document string) *Config {
		c, err := Parse("f.toml", []byte(document))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := parse("control.workers = 2\npolicy.max_sessions = 1000")
	next := parse("control.workers = 1\npolicy.max_sessions = 900\npinhole.min_port = 5000\n[[server]]\naddresses = ['10.0.0.1']\nsource_port = '1-1023'\nftps_ports = '50000-50100'")
	got, waiting := old.Revised(next)
	if !slices.Equal(waiting, []string{"control.workers"}) || got.Table.Workers != 2 || got.Policy.MinPort != 5000 || got.Policy.MaxSessions != 900 ||
		len(got.Policy.Overrides) != 1 || len(got.Table.SourcePorts) != 2 || len(got.Table.FTPS) != 1 {
		t.Errorf("%v wait: %+v", waiting, got)
	}
	if got, waiting := got.Revised(old); got.Policy.MaxSessions != 1000 || len(waiting) != 0 {
		t.Errorf("%v wait: %+v", waiting, got)
	}
}
