package conntrack

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

// way is how connections come through the gateway.
type way struct {
	rules  string // of its nat
	to     string // that the client connects to
	listen string
	inner  bool // it is the inner host that listens
	both   bool // ends are translated
}

// ways are the translations there are, each for IPv4 and IPv6.
func ways() map[string]way {
	all := map[string]way{}
	for family, a := range map[string]func(string) string{"IPv4": func(s string) string { return s }, "IPv6": v6} {
		at := func(host, port string) string { return net.JoinHostPort(a(host), port) }
		ip := strings.Replace(strings.ToLower(family), "v4", "", 1)
		if ip == "ipv6" {
			ip = "ip6"
		}
		masquerade := fmt.Sprintf(`chain post { type nat hook postrouting priority srcnat; oifname "out" meta nfproto %s masquerade; };`, strings.ToLower(family))
		forward := fmt.Sprintf(`chain pre { type nat hook prerouting priority dstnat; %s daddr %s tcp dport 2121 dnat %s to %s; };`, ip, a(inside), ip, at(server, "21"))
		all[family+" masqueraded"] = way{rules: masquerade, to: at(server, "21"), listen: at(server, "21")}
		all[family+" masqueraded to another port"] = way{
			rules: strings.Replace(masquerade, "masquerade;", "tcp dport 21 masquerade to :50000-50010;", 1),
			to:    at(server, "21"), listen: at(server, "21"),
		}
		all[family+" forwarded"] = way{rules: forward, to: at(inside, "2121"), listen: at(server, "21")}
		all[family+" both"] = way{rules: masquerade + forward, to: at(inside, "2121"), listen: at(server, "21"), both: true}
		all[family+" hairpin"] = way{
			rules: fmt.Sprintf(`chain pre { type nat hook prerouting priority dstnat; %[1]s daddr %[2]s tcp dport 21 dnat %[1]s to %[3]s; };
				chain post { type nat hook postrouting priority srcnat; %[1]s daddr %[4]s masquerade; };`, ip, a(outside), at(inner, "21"), a(inner)),
			to: at(outside, "21"), listen: at(inner, "21"), inner: true, both: true,
		}
	}
	return all
}

// connection is one that came through the gateway.
type connection struct {
	client, server net.Conn
	flow           alg.Flow
	translation    alg.Translation // as the ends see it
}

// connect makes a connection.
func (n *network) connect(t testing.TB, w way) connection {
	t.Helper()
	n.gateway.nft(t, "table inet nat; delete table inet nat; table inet nat { "+w.rules+" }")
	h := n.server
	if w.inner {
		h = n.inner
	}
	l := h.listen(t, w.listen)
	defer l.Close()
	c := connection{client: n.client.dial(t, 0, w.to)}
	var err error
	if c.server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.server.Close() })
	c.flow = alg.Flow{Client: end(c.client.LocalAddr()), Server: end(c.server.LocalAddr())}
	c.translation = alg.Translation{Client: end(c.server.RemoteAddr()), Server: end(c.client.RemoteAddr())}
	return c
}
