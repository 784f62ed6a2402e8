package config

import (
	"reflect"
	"slices"
)

// Revised returns the configuration that is in force when another is read while this one
// is, and the keys whose new values have to wait for a restart, in order: they stay as they
// are. Neither of the two is changed.
func (c *Config) Revised(next *Config) (inForce *Config, waiting []string) {
	n := *next
	n.Table = c.Table
	n.Table.SourcePorts, n.Table.FTPS = next.Table.SourcePorts, next.Table.FTPS
	keep := func(key string, differs bool) bool {
		if differs {
			waiting = append(waiting, key)
		}
		return differs
	}
	// The rules in the kernel, and the queues that they feed.
	keep("control.ports", !slices.Equal(c.Policy.Ports, next.Policy.Ports))
	keep("control.hooks", !slices.Equal(c.Table.Hooks, next.Table.Hooks))
	keep("control.queue", c.Table.Queue != next.Table.Queue)
	keep("control.workers", c.Table.Workers != next.Table.Workers)
	if !keep("policy.auth_tls", c.Policy.DenyTLS != next.Policy.DenyTLS) { // it decides about these, too
		keep("control.on_absence", c.Table.Bypass != next.Table.Bypass)
		keep("control.on_overload", c.FailOpen != next.FailOpen)
	}
	keep("firewall.mark", c.Table.Tag.Mark != next.Table.Tag.Mark)
	keep("firewall.label", c.Table.Tag.Label != next.Table.Tag.Label)
	n.Policy.Ports, n.Policy.DenyTLS, n.FailOpen = c.Policy.Ports, c.Policy.DenyTLS, c.FailOpen
	if keep("policy.max_sessions", next.Table.SetSize > c.Table.SetSize) { // the kernel's sets are as large as they are
		n.Policy.MaxSessions = c.Policy.MaxSessions
	}

	// What is open already, or written to.
	keep("firewall.anchor", c.Anchor.Insert != next.Anchor.Insert)
	keep("firewall.table", c.Anchor.Table != next.Anchor.Table)
	keep("firewall.chains", !slices.Equal(c.Anchor.Chains, next.Anchor.Chains) && !followsHooks(c, next))
	n.Anchor = c.Anchor
	keep("log.format", c.Log.Format != next.Log.Format)
	n.Log.Format = c.Log.Format
	keep("metrics.listen", c.Metrics != next.Metrics)
	keep("api.socket", c.Socket != next.Socket)
	n.Metrics, n.Socket = c.Metrics, c.Socket
	keep("cluster", !reflect.DeepEqual(c.Cluster, next.Cluster))
	n.Cluster = c.Cluster

	slices.Sort(waiting)
	return &n, waiting
}

// followsHooks reports whether the chains of both are the names of their hooks: then the
// hooks are what is different.
func followsHooks(c, next *Config) bool {
	return slices.Equal(c.Anchor.Chains, c.Table.Hooks) && slices.Equal(next.Anchor.Chains, next.Table.Hooks)
}
