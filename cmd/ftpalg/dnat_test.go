package main_test

import (
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// An operator who accepts all that is translated, as firewalld does, lets nobody in by our
// maps: what stands for a client's or a server's port is good for one connection.
func TestFirewalldTranslates(t *testing.T) {
	t.Parallel()
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			blocks := append(section(t, "firewalld", "A gateway"), translatedBy(t, a)...)
			g := newFirewalled(t, theGateway, blocks, "", startsFirewalld(theGateway))
			g.in = a
			if out, err := run(t, g.Gateway, "nft list chain inet firewalld filter_FORWARD | grep '^[[:space:]]*ct status dnat accept$'"); err != nil {
				t.Fatal("firewalld does not accept all that is translated", err, out)
			}
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
			g.programs()
			for _, f := range g.families() {
				g.serves(g.Client, netip.AddrPortFrom(f.dials, 21))
			}
		})
	}
}

// translatedBy returns what has firewalld translate as in an arrangement.
func translatedBy(t *testing.T, a arrangement) []block {
	t.Helper()
	zones := section(t, "firewalld", "Masquerade and port forwarding")
	blocks := []block{{lang: "sh", text: longer + "\n"}}
	if a.masquerades {
		blocks = append(blocks, zones[0])
	}
	if a.forwards {
		blocks = append(blocks, zones[1])
	}
	return append(blocks, block{lang: "sh", text: "firewall-cmd --reload\n"})
}
