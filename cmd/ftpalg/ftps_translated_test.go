package main_test

import (
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// What is announced under TLS cannot be rewritten. The operator and the server do it
// instead, and are told so.
func TestFTPSThroughATranslation(t *testing.T) {
	t.Parallel()
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			g := newGatewayIn(t, a, ftpsServer)
			f := g.families()[0]
			if a.forwards {
				if out, err := run(t, g.Gateway, "nft add rule inet translation destination ip daddr 10.3.3.102 tcp dport 50000-50100 dnat ip to 10.2.5.5"); err != nil {
					t.Fatal(err, out)
				}
			}
			g.ftpsWith(map[string]string{"pasv_address": f.dials.String()})
			for _, how := range []string{"", "--disable-epsv "} {
				out, err := run(t, g.Client, "curl -sS -m 10 -k --ssl-reqd "+how+"ftp://ftpuser:ftppass@"+f.dials.String()+"/R1.cfg")
				if err != nil || out != lab.R1 {
					t.Errorf("%s: %v\n%s", how, err, out)
				}
			}
			e, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "auth.tls" })
			if err != nil || strings.Contains(e.Reason, "masquerade address") != a.forwards || !strings.Contains(e.Reason, "ftps_ports") {
				t.Errorf("the reason is %q, %v", e.Reason, err)
			}
		})
	}
}
