package config

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// setting takes the value of one key, as go-toml decodes it.
type setting func(value any) error

// settings are all keys of a configuration file, but those of the [[server]] tables.
func (c *Config) settings() map[string]setting {
	p, t, l := &c.Policy, &c.Table, &c.Cluster
	return map[string]setting{
		"control.ports":       to(&p.Ports, set(port)),
		"control.hooks":       to(&t.Hooks, set(word("forward", "input", "output"))),
		"control.queue":       to(&t.Queue, number[uint16]("a queue number", 0, 65535)),
		"control.workers":     to(&t.Workers, number[int]("a number of workers", 0, 256)),
		"control.on_absence":  to(&t.Bypass, choice(map[string]bool{"pass": true, "drop": false})),
		"control.on_overload": to(&c.FailOpen, choice(map[string]bool{"pass": true, "drop": false})),
		"control.paths":       to(&p.Loose, choice(map[string]bool{"strict": false, "loose": true})),

		"firewall.anchor": to(&c.Anchor.Insert, choice(map[string]bool{"insert": true, "manual": false})),
		"firewall.table":  to(&c.Anchor.Table, table),
		"firewall.chains": to(&c.Anchor.Chains, set(identifier)),
		"firewall.mark":   to(&c.Table.Tag.Mark, mark),
		"firewall.label":  to(&c.Table.Tag.Label, number[uint8]("a conntrack label that has a next one", 0, 126)),

		"pinhole.modes":       to(&p.Modes, set(mode)),
		"pinhole.source_port": to(&p.SourcePort, sourcePort),
		"pinhole.open_on":     to(&p.OpenOnPort, openOn),
		"pinhole.timeout":     to(&p.Timeout, duration(time.Millisecond, 5*time.Minute, "30s")),
		"pinhole.min_port":    to(&p.MinPort, port),
		"pinhole.deny_ports":  to(&p.DenyPorts, list(port)),

		"policy.clients":                 to(&p.Clients, list(prefix)),
		"policy.servers":                 to(&p.Servers, list(prefix)),
		"policy.require_login":           to(&p.RequireLogin, boolean),
		"policy.auth_tls":                to(&p.DenyTLS, choice(map[string]bool{"allow": false, "deny": true})),
		"policy.on_violation":            to(&p.Reset, choice(map[string]bool{"ignore": false, "reset": true})),
		"policy.verbs":                   to(&p.Verbs, distinct(verb)),
		"policy.max_sessions":            to(&p.MaxSessions, number[int]("a number of sessions", 1, 10_000_000)),
		"policy.max_sessions_per_client": to(&p.MaxSessionsPerClient, number[int]("a number of sessions", 1, 10_000_000)),

		"log.level": to(&c.Log.Level, choice(map[string]slog.Level{
			"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
		})),
		"log.format": to(&c.Log.Format, word("auto", "text", "json")),

		"metrics.listen": to(&c.Metrics, listenAddress("127.0.0.1:9921")),
		"api.socket":     to(&c.Socket, socketPath),

		"cluster.name":         to(&l.Name, hostName),
		"cluster.listen":       to(&l.Listen, listenAddress("10.9.0.1:4248")),
		"cluster.peers":        to(&l.Peers, distinct(peer)),
		"cluster.ca":           to(&l.CA, file),
		"cluster.cert":         to(&l.Cert, file),
		"cluster.key":          to(&l.Key, file),
		"cluster.barrier":      to(&l.Barrier, duration(time.Millisecond, time.Second, "5ms")),
		"cluster.on_peer_loss": to(&l.Hold, choice(map[string]bool{"serve": false, "hold": true})),
	}
}

// serverSettings are the keys of one [[server]].
func serverSettings(o *alg.Override) map[string]setting {
	r := &o.Rules
	return map[string]setting{
		"server.addresses":     to(&o.Servers, set(addresses)),
		"server.source_port":   to(&r.SourcePort, sourcePort),
		"server.open_on":       to(&r.OpenOnPort, openOn),
		"server.passive_ports": to(&r.PassivePorts, ports),
		"server.ftps_ports":    to(&r.FTPSPorts, ports),
	}
}

// relations checks what concerns more than one key.
func (c *Config) relations(d *decoder) {
	if line, ok := d.lines["control.workers"]; ok && int(c.Table.Queue)+c.Table.Workers > 1<<16 {
		d.problem("control.workers", line, fmt.Sprintf("%d queues from %d on go beyond queue 65535", c.Table.Workers, c.Table.Queue))
	}
	warn := func(key string, ineffective bool, text string) {
		if line, ok := d.lines[key]; ok && ineffective {
			c.Warnings = append(c.Warnings, Problem{d.file, line, key, text}.Error())
		}
	}
	const unread = `"pass" lets AUTH by unread: policy.auth_tls = "deny" makes it "drop"`
	warn("control.on_absence", c.Policy.DenyTLS && c.Table.Bypass, unread)
	warn("control.on_overload", c.Policy.DenyTLS && c.FailOpen, unread)
	const alone = "this version serves one gateway alone: nothing is shared with others"
	warn("cluster.listen", c.Cluster.Listen != "", alone)
	warn("cluster.peers", len(c.Cluster.Peers) > 0, alone)
}

// to makes a setting of a place and of how to read what belongs there.
func to[T any](place *T, read func(any) (T, error)) setting {
	return func(value any) error {
		v, err := read(value)
		if err == nil {
			*place = v
		}
		return err
	}
}

// list reads a list, which may be empty.
func list[T any](read func(any) (T, error)) func(any) ([]T, error) {
	return func(value any) ([]T, error) {
		values, ok := value.([]any)
		if !ok {
			return nil, fmt.Errorf("%s is not a list", show(value))
		}
		var all []T
		var errs []error
		for _, v := range values {
			one, err := read(v)
			errs = append(errs, err)
			all = append(all, one)
		}
		return all, errors.Join(errs...)
	}
}

// distinct reads a list with no value twice, which may be empty.
func distinct[T comparable](read func(any) (T, error)) func(any) ([]T, error) {
	return func(value any) ([]T, error) {
		all, err := list(read)(value)
		if err != nil {
			return nil, err
		}
		seen := make(map[T]bool, len(all))
		for _, v := range all {
			if seen[v] {
				return nil, fmt.Errorf("%s is there twice", show(v))
			}
			seen[v] = true
		}
		return all, nil
	}
}

// set reads a list of at least one value, none of them twice.
func set[T comparable](read func(any) (T, error)) func(any) ([]T, error) {
	return func(value any) ([]T, error) {
		all, err := distinct(read)(value)
		if err == nil && len(all) == 0 {
			err = errors.New("the list is empty")
		}
		return all, err
	}
}
