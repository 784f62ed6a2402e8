package main_test

import (
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestFTPSThroughATranslation does what the README has an operator do: nothing where the
// client is masqueraded; in front of a forwarding, the server announces the outside address,
// and the gateway forwards its ports.
func TestFTPSThroughATranslation(t *testing.T) {
	const portsForwarded = `
table inet ports {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 10.3.3.2 tcp dport 50000-50100 dnat ip to 10.2.5.5
	}
}
`
	// vsftpd announces 0.0.0.0 where it listens for IPv6 and has an address for its 227.
	announces := map[string]string{"pasv_address": "10.3.3.2", "listen": "YES", "listen_ipv6": "NO"}
	for _, c := range []struct {
		name, rules, host string
		settings          map[string]string
	}{
		{"masquerade", lab.Ruleset("masquerade"), "10.2.5.5", nil},
		{"forward", lab.Ruleset("forward") + portsForwarded, "10.3.3.2", announces},
		{"both", lab.Ruleset("masquerade") + lab.Ruleset("forward") + portsForwarded, "10.3.3.2", announces},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, ftpsServer)
			if err := g.Gateway.LoadRuleset(t.Context(), c.rules); err != nil {
				t.Fatal(err)
			}
			g.ftpsWith(c.settings)
			for _, mode := range []string{"", "--disable-epsv --no-ftp-skip-pasv-ip "} {
				line := "curl -sS -m 10 -k --ssl-reqd -u ftpuser:ftppass " + mode + "ftp://" + c.host + "/R1.cfg"
				if out, err := run(t, g.Client, line); err != nil || !strings.Contains(out, lab.R1) {
					t.Errorf("%s: %v\n%s", line, err, out)
				}
			}
		})
	}
}
