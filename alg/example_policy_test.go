package alg_test

import (
	"fmt"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg"
)

// One server connects from any port, and before it answers PORT.
func ExamplePolicy() {
	p := alg.DefaultPolicy()
	p.Clients = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}

	rules := p.Rules
	rules.SourcePort = alg.Ports{}
	rules.OpenOnPort = true
	p.Overrides = []alg.Override{{
		Servers: []netip.Prefix{netip.MustParsePrefix("10.2.5.5/32")},
		Rules:   rules,
	}}

	server := netip.MustParseAddr("10.2.5.5")
	fmt.Println(p.Helps(netip.MustParseAddr("10.1.4.4"), server))
	fmt.Println(p.Helps(netip.MustParseAddr("10.3.4.4"), server))
	fmt.Println(p.SourcePort, "and for one server", p.Overrides[0].Rules.SourcePort)
	// Output:
	// true
	// false
	// 20 and for one server any
}
