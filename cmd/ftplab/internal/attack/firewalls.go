package attack

import (
	"fmt"
	"strings"
)

// The names of the firewalls.
const (
	Open      = "open"
	Stateless = "stateless"
	Stateful  = "stateful"
	FTPALG    = "ftpalg"
	Helper    = "helper"
)

// firewall is one way to guard the inside.
type firewall struct {
	name, title, about string
	ruleset            string // of package lab
	daemon             bool   // with ftpalg
	expects            bool   // with a helper of the kernel
}

// firewalls are all there are, in the order in which they are shown.
var firewalls = []firewall{
	{
		name: Open, title: "open", ruleset: "open",
		about: "Plain routing: nothing is filtered.",
	},
	{
		name: Stateless, title: "stateless", ruleset: "stateless",
		about: "The classic access list judges each packet by itself: from anywhere, source port 20, to every port above 1023.",
	},
	{
		name: Stateful, title: "stateful", ruleset: "stateful",
		about: "Connection tracking admits control connections from the inside, and what belongs to them. It does not know FTP.",
	},
	{
		name: FTPALG, title: "stateful with ftpalg", ruleset: "stateful", daemon: true,
		about: "The stateful ruleset, and ftpalg, which follows the FTP dialogue and admits each announced connection, once.",
	},
	{
		name: Helper, title: "in-kernel helper", ruleset: "helper", expects: true,
		about: "The stateful ruleset with the FTP helper of the kernel: the connections that it has read announcements of are accepted as related.",
	},
}

// Names returns the names of the firewalls, in the order in which they are shown.
func Names() []string {
	var names []string
	for _, f := range firewalls {
		names = append(names, f.name)
	}
	return names
}

// find returns the firewall of that name.
func find(name string) (firewall, error) {
	for _, f := range firewalls {
		if f.name == name {
			return f, nil
		}
	}
	return firewall{}, fmt.Errorf("there is no firewall %q; there are %s", name, strings.Join(Names(), ", "))
}
