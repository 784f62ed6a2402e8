package main_test

import (
	"strings"
	"testing"
)

func TestIptables(t *testing.T) {
	t.Parallel()
	for heading, reload := range map[string]string{
		"A gateway":    "iptables-restore </etc/iptables/rules.v4; ip6tables-restore </etc/iptables/rules.v6",
		"Without IPv6": "iptables-restore </etc/iptables/rules.v4",
	} {
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			fw := newFirewalled(t, theGateway, section(t, "iptables", heading), reload, installs())
			fw.only4 = heading == "Without IPv6"
			fw.helps()
			fw.shell("iptables -S FORWARD | grep -q connlabel")
		})
	}
	t.Run("The old iptables", func(t *testing.T) {
		t.Parallel()
		old := strings.NewReplacer("iptables-restore", "iptables-legacy-restore", "ip6tables-restore", "ip6tables-legacy-restore").Replace
		blocks := section(t, "iptables", "A gateway")
		for i := range blocks {
			blocks[i].text = old(blocks[i].text)
		}
		reload := "iptables-legacy-restore </etc/iptables/rules.v4; ip6tables-legacy-restore </etc/iptables/rules.v6"
		newFirewalled(t, theGateway, blocks, reload, installs()).helps()
	})
}
