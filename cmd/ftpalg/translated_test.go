package main_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// arrangement is a way in which the gateway translates between the lab's client and server.
type arrangement struct {
	name  string
	rules string
	dials string // what the client takes for the server; empty: the server's own address
}

const masquerading = `
	chain source {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "outside" masquerade
	}`

const forwarding = `
	chain destination {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 10.3.3.2 tcp dport 21 dnat ip to 10.2.5.5
		ip6 daddr fd00:3:3::2 tcp dport 21 dnat ip6 to fd00:2:5::5
	}`

var arrangements = []arrangement{
	{"masquerade", masquerading, ""},
	{"forward", forwarding, "outside"},
	{"both", masquerading + forwarding, "outside"},
}

func (a arrangement) host(f family) netip.Addr {
	if a.dials == "" {
		return f.server
	}
	if f.server.Is4() {
		return netip.MustParseAddr("10.3.3.2")
	}
	return netip.MustParseAddr("fd00:3:3::2")
}

func (a arrangement) apply(t *testing.T, l *lab.Lab) {
	t.Helper()
	if out, err := run(t, l.Gateway, "nft -f - <<'END'\ntable inet translation {"+a.rules+"\n}\nEND"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestRealProgramsThroughATranslation(t *testing.T) {
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "")
			a.apply(t, g.Lab)
			if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, f := range g.families() {
				host := a.host(f).String()
				if f.server.Is6() {
					host = "[" + host + "]"
				}
				for _, line := range []string{
					"curl -sS -m 10 --ftp-port - ftp://ftpuser:ftppass@HOST/R1.cfg",
					"curl -sS -m 10 --disable-eprt --ftp-port - ftp://ftpuser:ftppass@HOST/R1.cfg",
					"curl -sS -m 10 ftp://ftpuser:ftppass@HOST/R1.cfg",
					"curl -sS -m 10 --disable-epsv ftp://ftpuser:ftppass@HOST/R1.cfg",
					"lftp -e 'set ftp:passive-mode off; cat R1.cfg; exit' ftp://ftpuser:ftppass@HOST",
					"lftp -e 'set ftp:passive-mode on; cat R1.cfg; exit' ftp://ftpuser:ftppass@HOST",
				} {
					if strings.Contains(line, "disable") && f.server.Is6() {
						continue
					}
					if out, err := run(t, g.Client, strings.ReplaceAll(line, "HOST", host)); err != nil || !strings.Contains(out, lab.R1) {
						t.Errorf("%s: %v\n%s", line, err, out)
					}
				}
			}
		})
	}
}
