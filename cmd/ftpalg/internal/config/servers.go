package config

import (
	"fmt"
	"net/netip"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/ftpalg/ftpalg/alg"
)

// split takes the entries of the [[server]] tables, one list for each table, from
// those of the sections.
func split(all []entry) (sections []entry, servers [][]entry) {
	for _, e := range all {
		switch {
		case e.path[0] != "server":
			sections = append(sections, e)
		case e.kind == unstable.ArrayTable && len(e.path) == 1:
			servers = append(servers, []entry{e})
		case len(servers) > 0:
			last := &servers[len(servers)-1]
			*last = append(*last, e)
		default: // no table yet, so that this is none of its keys
			sections = append(sections, e)
		}
	}
	return sections, servers
}

// overrides reads the [[server]] tables. What one of them does not name is as in the
// sections, which have been read, wherever in the file they stand.
func (c *Config) overrides(d *decoder, servers [][]entry) {
	tables, _ := d.values["server"].([]any)
	lines := make(map[netip.Prefix]int)
	for i, entries := range servers {
		o := alg.Override{Rules: c.Policy.Rules}
		s := decoder{
			file: d.file, values: map[string]any{"server": tables[i]}, settings: serverSettings(&o),
			lines: make(map[string]int), names: d.names,
		}
		for _, e := range entries[1:] {
			s.entry(e)
		}
		heading := entries[0].line
		if _, ok := s.lines["server.addresses"]; !ok {
			s.problem("server.addresses", heading, "is missing: which servers are meant?")
		}
		for _, p := range o.Servers {
			if line, ok := lines[p]; ok {
				s.problem("server.addresses", s.lines["server.addresses"], fmt.Sprintf("%v is in the [[server]] of line %d too", p, line))
			} else {
				lines[p] = heading
			}
		}
		for key, ports := range map[string]alg.Ports{"server.passive_ports": o.Rules.PassivePorts, "server.ftps_ports": o.Rules.FTPSPorts} {
			if line := s.lines[key]; !ports.Any() && ports.First < c.Policy.MinPort {
				s.problem(key, line, fmt.Sprintf("%v begins below pinhole.min_port, which is %d", ports, c.Policy.MinPort))
			}
		}
		d.problems = append(d.problems, s.problems...)
		c.Policy.Overrides = append(c.Policy.Overrides, o)
	}
}
