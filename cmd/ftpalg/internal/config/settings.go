package config

import (
	"errors"
	"fmt"
	"log/slog"
)

// setting takes the value of one key, as go-toml decodes it.
type setting func(value any) error

// settings are all keys of a configuration file.
func (c *Config) settings() map[string]setting {
	p, t := &c.Policy, &c.Table
	return map[string]setting{
		"control.ports":       to(&p.Ports, set(port)),
		"control.hooks":       to(&t.Hooks, set(word("forward", "input", "output"))),
		"control.queue":       to(&t.Queue, number[uint16]("a queue number", 0, 65535)),
		"control.workers":     to(&t.Workers, number[int]("a number of workers", 0, 256)),
		"control.on_absence":  to(&t.Bypass, choice(map[string]bool{"pass": true, "drop": false})),
		"control.on_overload": to(&c.FailOpen, choice(map[string]bool{"pass": true, "drop": false})),

		"firewall.anchor": to(&c.Anchor.Insert, choice(map[string]bool{"insert": true, "manual": false})),
		"firewall.table":  to(&c.Anchor.Table, table),
		"firewall.chains": to(&c.Anchor.Chains, set(identifier)),
		"firewall.label":  to(&t.Tag.Label, number[uint8]("a conntrack label", 0, 127)),
		"firewall.mark":   to(&t.Tag, mark),

		"pinhole.modes":       to(&p.Modes, set(mode)),
		"pinhole.source_port": to(&p.SourcePort, sourcePort),
		"pinhole.open_on":     to(&p.OpenOnPort, choice(map[string]bool{"transfer": false, "port": true})),
		"pinhole.timeout":     to(&p.Timeout, duration),
		"pinhole.min_port":    to(&p.MinPort, port),
		"pinhole.deny_ports":  to(&p.DenyPorts, list(port)),

		"policy.clients":                 to(&p.Clients, list(prefix)),
		"policy.servers":                 to(&p.Servers, list(prefix)),
		"policy.require_login":           to(&p.RequireLogin, boolean),
		"policy.auth_tls":                to(&p.DenyTLS, choice(map[string]bool{"allow": false, "deny": true})),
		"policy.on_violation":            to(&p.Reset, choice(map[string]bool{"ignore": false, "reset": true})),
		"policy.max_sessions":            to(&p.MaxSessions, number[int]("a number of sessions", 1, 10_000_000)),
		"policy.max_sessions_per_client": to(&p.MaxSessionsPerClient, number[int]("a number of sessions", 1, 10_000_000)),

		"log.level": to(&c.Log.Level, choice(map[string]slog.Level{
			"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
		})),
		"log.format": to(&c.Log.Format, word("auto", "text", "json")),

		"metrics.listen": to(&c.Metrics, listenAddress),
		"api.socket":     to(&c.Socket, socketPath),
	}
}

// relations checks what concerns more than one key.
func (c *Config) relations(d *decoder) {
	_, label := d.lines["firewall.label"]
	if line, ok := d.lines["firewall.mark"]; ok && label {
		d.problem("firewall.mark", line, "firewall.label is there too: a data flow bears the one or the other")
	}
	if line, ok := d.lines["control.workers"]; ok && int(c.Table.Queue)+c.Table.Workers > 1<<16 {
		d.problem("control.workers", line, fmt.Sprintf("%d queues from %d on go beyond queue 65535", c.Table.Workers, c.Table.Queue))
	}
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

// set reads a list of at least one value, none of them twice.
func set[T comparable](read func(any) (T, error)) func(any) ([]T, error) {
	return func(value any) ([]T, error) {
		all, err := list(read)(value)
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, errors.New("the list is empty")
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
