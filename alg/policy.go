package alg

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// Rules are what the operator allows in dialogues with one server.
type Rules = dialogue.Rules

// Policy is what the operator allows. It is read-only once a Worker has it.
type Policy struct {
	Rules                // for servers that no Override names
	Overrides []Override // the longest prefix that holds the server decides

	Ports   []uint16 // of FTP servers: tells which end of a flow is the server
	Timeout time.Duration
	Clients []netip.Prefix // empty = all
	Servers []netip.Prefix // empty = all
	DenyTLS bool           // turn AUTH into a verb that the server refuses
	Reset   bool           // end both sides of a flow after a proven violation
	Loose   bool           // packets of one side may come in elsewhere than its first did

	MaxSessions          int
	MaxSessionsPerClient int
}

// Override has the rules for some servers: a [[server]] of the configuration.
type Override struct {
	Servers []netip.Prefix
	Rules   Rules
}

// DefaultPolicy returns the policy of an empty configuration file.
func DefaultPolicy() Policy {
	return Policy{
		Rules: Rules{
			Modes:      []Mode{Active, Passive},
			SourcePort: dialogue.Port(20),
			MinPort:    1024,
			DenyPorts: []uint16{
				1433, 1521, 2049, 3306, 3389, 5432, 5900, 5985, 6000, 6379, 8080, 9200, 11211, 27017,
			},
			RequireLogin: true,
		},
		Ports:                []uint16{21},
		Timeout:              30 * time.Second,
		MaxSessions:          100000,
		MaxSessionsPerClient: 1000,
	}
}

// RulesFor returns the rules for a server: those of the Override with the longest prefix
// that holds it, or else the policy's own.
func (p *Policy) RulesFor(server netip.Addr) *Rules {
	rules, longest := &p.Rules, -1
	for i := range p.Overrides {
		for _, prefix := range p.Overrides[i].Servers {
			if prefix.Contains(server) && prefix.Bits() > longest {
				rules, longest = &p.Overrides[i].Rules, prefix.Bits()
			}
		}
	}
	return rules
}

// Helps reports whether a dialogue between these two addresses may be helped.
func (p *Policy) Helps(client, server netip.Addr) bool {
	return contains(p.Clients, client) && contains(p.Servers, server)
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
