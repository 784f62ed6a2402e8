package main_test

import (
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// firewalld is what its chain forward has before the zones, where it stands (1.3.3): what
// is translated is let in, whoever translates it.
const firewalld = `table inet filter
delete table inet filter
table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		iifname "inside" tcp dport 21 accept
		meta l4proto ipv6-icmp accept
		reject with icmpx admin-prohibited
	}
}
`

// An operator who accepts all that is translated lets nobody in by our maps: what stands
// for a client's or a server's port is good for one connection.
func TestTheOperatorAcceptsWhatIsTranslated(t *testing.T) {
	t.Parallel()
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			g := &gateway{Lab: newLab(t), t: t, in: a}
			a.apply(t, g.Lab)
			if err := g.Gateway.LoadRuleset(t.Context(), firewalld); err != nil {
				t.Fatal(err)
			}
			g.daemon = g.start("[firewall]\ntable = \"inet firewalld\"\nchains = [\"filter_FORWARD\"]\n")
			for _, f := range g.families() {
				active := func(from uint16) bool {
					return reaches(t, g.Server, netip.AddrPortFrom(f.server, from), netip.AddrPortFrom(f.seen, announcedPort))
				}
				listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
				listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
				c := g.login(f)
				want := func(got, want bool, when string) {
					t.Helper()
					if got != want {
						t.Errorf("%s, %s: got through: %v, want %v", f.name, when, got, want)
					}
				}
				c.c(f.port())
				c.s("200 ok")
				want(active(20), false, "announced")
				c.c("RETR x")
				want(active(3333), false, "from another port")
				want(reaches(t, g.Outsider, netip.AddrPortFrom(f.outsider, 20), netip.AddrPortFrom(f.seen, announcedPort)), false, "from another host")
				want(active(20), true, "as announced")
				want(active(20), false, "a second time")
				want(active(3334), false, "from another port after it")
				c.s("226 done")
				want(active(20), false, "after the transfer")
				want(active(3335), false, "from another port after the transfer")

				c.c(f.askPasv())
				c.s(f.pasv(announcedPort))
				want(reaches(t, g.Neighbour, netip.AddrPort{}, netip.AddrPortFrom(f.dials, announcedPort)), false, "another client")
				want(reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.dials, announcedPort)), true, "passive, as announced")
				want(reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.dials, announcedPort)), false, "passive, a second time")
				c.c("RETR x")
				c.s("226 done")
				want(reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.dials, announcedPort)), false, "passive, after the transfer")
				c.close()
			}
			if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, f := range g.families() {
				g.serves(g.Client, netip.AddrPortFrom(f.dials, 21))
			}
		})
	}
}
