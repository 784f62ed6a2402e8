package main_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// example returns one of deploy/nftables as blocks: the configuration and the commands that
// its comment has, and the file itself.
func example(t *testing.T, name string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy/nftables", name))
	if err != nil {
		t.Fatal(err)
	}
	var sh, toml strings.Builder
	for line := range strings.Lines(string(text)) {
		if line, ok := strings.CutPrefix(line, "#\t"); ok && strings.HasPrefix(line, "ip ") {
			sh.WriteString(line)
		} else if ok {
			toml.WriteString(line)
		}
	}
	return []block{
		{lang: "nft", file: "/run/lab/nftables.conf", text: string(text)},
		{lang: "sh", text: loadExample + "\n" + sh.String()},
		{lang: "toml", text: toml.String()},
	}
}

// loadExample is what `systemctl reload nftables` does, but for the file's place.
const loadExample = "nft -f /run/lab/nftables.conf"

func TestExampleOfAGateway(t *testing.T) {
	t.Parallel()
	fw := newFirewalled(t, theGateway, example(t, "gateway.nft"), loadExample, func(t *testing.T, l *lab.Lab) {
		t.Helper()
		if out, err := run(t, l.Gateway, longer); err != nil {
			t.Fatal(err, out)
		}
	})
	fw.in = arrangements[0]
	fw.helps()
}

func TestExampleOfAServer(t *testing.T) {
	t.Parallel()
	fw := newFirewalled(t, func(l *lab.Lab) *lab.Host { return l.Server }, example(t, "server.nft"), loadExample, nothing)
	fw.helps()
}

func TestExampleOfAClient(t *testing.T) {
	t.Parallel()
	fw := newFirewalled(t, func(l *lab.Lab) *lab.Host { return l.Client }, example(t, "client.nft"), loadExample, nothing)
	fw.open = true
	fw.helps()
}

// The server is an address beyond both ways, and one for each of many others.
func TestExampleOfSeveralWANs(t *testing.T) {
	t.Parallel()
	fw := newFirewalled(t, theGateway, example(t, "wans.nft"), loadExample, func(t *testing.T, l *lab.Lab) {
		t.Helper()
		if out, err := run(t, l.Gateway, `set -e
			ip link set outside down
			ip link set outside name wan1
			ip link set wan1 up
			ip link add wan2 type veth peer name eth1 netns server
			ip addr add 10.2.6.1/24 dev wan2
			ip addr add fd00:2:6::1/64 dev wan2 nodad
			ip link set wan2 up
			ip addr add fd00:2:5::1/64 dev wan1 nodad || :
			ip -n server addr add 10.2.6.5/24 dev eth1
			ip -n server addr add fd00:2:6::5/64 dev eth1 nodad
			ip -n server link set eth1 up
			for i in 1 2 3 4 5 6; do
				ip -n server addr add 10.9.9.$i/32 dev lo
				ip -n server addr add fd00:9:9::$i/128 dev lo nodad
			done`); err != nil {
			t.Fatal(err, out)
		}
	})
	if _, err := fw.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, servers := range []string{"10.9.9.0", "fd00:9:9::"} {
		server, ways := netip.MustParseAddr(servers), map[netip.Addr]int{}
		for range 6 {
			server = server.Next()
			c := ftpLogin(t, fw.Client, netip.AddrPortFrom(server, 21))
			for _, how := range announces[server.Is4()] {
				if got := c.get(how, "R1.cfg"); string(got) != lab.R1 {
					t.Errorf("%s to %v: %q", how, server, got)
				}
			}
			client := c.local()
			e, err := fw.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool {
				return e.Event == "pinhole.used" && e.Client == client
			})
			if err != nil {
				t.Fatal(err)
			}
			ways[e.OutsideClient.Addr()]++
			c.ask("QUIT", "221")
		}
		if len(ways) != 2 {
			t.Errorf("connections left by %v, not by two ways", ways)
		}
	}
}

func nothing(*testing.T, *lab.Lab) {}
