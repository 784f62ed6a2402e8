package alg

import (
	"net/netip"
	"slices"
	"time"
)

// Policy is what the operator allows. It is read-only once a Worker has it.
type Policy struct {
	Ports        []uint16 // of FTP servers: tells which end of a flow is the server
	Modes        []Mode
	SourcePort   uint16 // of active data connections; 0 = any
	OpenOnPort   bool   // open at the announcement instead of the transfer command
	Timeout      time.Duration
	MinPort      uint16
	DenyPorts    []uint16
	Clients      []netip.Prefix // empty = all
	Servers      []netip.Prefix // empty = all
	RequireLogin bool
	DenyTLS      bool // turn AUTH into a verb that the server refuses
	Reset        bool // end both sides of a flow after a proven violation

	MaxSessions          int
	MaxSessionsPerClient int
}

// DefaultPolicy returns the policy of an empty configuration file.
func DefaultPolicy() Policy {
	return Policy{
		Ports:      []uint16{21},
		Modes:      []Mode{Active, Passive},
		SourcePort: 20,
		Timeout:    30 * time.Second,
		MinPort:    1024,
		DenyPorts: []uint16{
			1433, 1521, 2049, 3306, 3389, 5432, 5900, 5985, 6000, 6379, 8080, 9200, 11211, 27017,
		},
		RequireLogin:         true,
		MaxSessions:          100000,
		MaxSessionsPerClient: 1000,
	}
}

// Helps reports whether a dialogue between these two addresses may be helped.
func (p *Policy) Helps(client, server netip.Addr) bool {
	return contains(p.Clients, client) && contains(p.Servers, server)
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
