package main_test

import "testing"

func TestShorewall(t *testing.T) {
	t.Parallel()
	fw := newFirewalled(t, theGateway, section(t, "shorewall", "A gateway"), "shorewall reload && shorewall6 reload",
		installs("shorewall", "shorewall6"))
	fw.helps()
}
