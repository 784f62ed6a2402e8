package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// pasv is the reply that announces a port of the server.
func (f family) pasv(port uint16) string {
	if f.server.Is4() {
		return fmt.Sprintf("227 Entering Passive Mode (%s,%d,%d).", strings.ReplaceAll(f.server.String(), ".", ","), port>>8, port&0xff)
	}
	return fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|)", port)
}

func (f family) askPasv() string {
	if f.server.Is4() {
		return "PASV"
	}
	return "EPSV"
}

// dataPassive tries the client's connection to the announced port of the server.
func (c *control) dataPassive(f family) bool {
	c.t.Helper()
	return c.g.reachesServer(f, announcedPort)
}

func TestPassiveMode(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		announced := netip.AddrPortFrom(f.server, announcedPort)
		listen(t, g.Server, announced)
		listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort+1))
		c := g.login(f)
		if c.dataPassive(f) {
			t.Error(f.name, "a port nobody announced")
		}
		c.c(f.askPasv())
		c.s(f.pasv(announcedPort))
		if reaches(t, g.Neighbour, netip.AddrPort{}, announced) {
			t.Error(f.name, "another host connected to the announced port") // RFC 2577, section 6
		}
		if reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.server, announcedPort+1)) {
			t.Error(f.name, "the client connected to another port")
		}
		if !c.dataPassive(f) {
			t.Error(f.name, "the announced connection is blocked")
		}
		if c.dataPassive(f) {
			t.Error(f.name, "a second time")
		}
		c.c("RETR x")
		c.s("150 x\r\n226 x")
		c.close()
	}
}

func TestRealProgramsTransferInPassiveMode(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	v6 := g.Server.IPv6.String()
	for _, line := range []string{
		"lftp -e 'set ftp:passive-mode on; cat R1.cfg; exit' -u ftpuser,ftppass 10.2.5.5",
		"lftp -e 'set ftp:passive-mode on; cat R1.cfg; exit' -u ftpuser,ftppass ftp://[" + v6 + "]",
		"curl -sS -m 10 ftp://ftpuser:ftppass@10.2.5.5/R1.cfg",
		"curl -sS -m 10 --disable-epsv ftp://ftpuser:ftppass@10.2.5.5/R1.cfg",
		"curl -sS -m 10 'ftp://ftpuser:ftppass@[" + v6 + "]/R1.cfg'",
		"printf 'user ftpuser ftppass\nget R1.cfg -\nquit\n' | tnftp -p -n 10.2.5.5",
	} {
		if out, err := run(t, g.Client, line); err != nil || !strings.Contains(out, "R1's config file!") {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// TestAttacks plays hostile dialogues through the gateway and then tries the
// connection that the attacker is after. Lines of the server begin with a digit.
func TestAttacks(t *testing.T) { t.Parallel(); everywhere(t, "", attacks) }

func attacks(t *testing.T, g *gateway) {
	f := g.families()[0]
	neighbour := netip.AddrPortFrom(f.neighbour, 51201)
	low := netip.AddrPortFrom(f.client, 22)
	listen(t, g.Neighbour, neighbour)
	listen(t, g.Client, low)
	listen(t, g.Client, netip.AddrPortFrom(f.client, 3306))
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
	listen(t, g.Server, netip.AddrPortFrom(f.server, 22))
	in := []string{"220 hello", "USER u", "230 in"}
	for _, tc := range []struct {
		name   string
		lines  []string
		target netip.AddrPort
	}{
		{"bounce", append(in[:3:3], "PORT 10,1,4,5,200,1", "200 ok", "RETR x"), neighbour},
		{"low port", append(in[:3:3], "PORT 10,1,4,4,0,22", "200 ok", "RETR x"), low},
		{"low port by EPRT", append(in[:3:3], "EPRT |1|10.1.4.4|22|", "200 ok", "RETR x"), low},
		{"low port that wraps", append(in[:3:3], "EPRT |1|10.1.4.4|65558|", "200 ok", "RETR x"), low},
		{"denied port", append(in[:3:3], "PORT 10,1,4,4,12,234", "200 ok", "RETR x"), netip.AddrPortFrom(f.client, 3306)},
		{"octet that wraps", append(in[:3:3], "PORT 266,1,4,4,180,117", "200 ok", "RETR x"), netip.AddrPortFrom(f.client, announcedPort)},
		{"before login", []string{"220 hello", f.port(), "200 ok", "RETR x"}, netip.AddrPortFrom(f.client, announcedPort)},
		{"refused", append(in[:3:3], f.port(), "530 no", "RETR x"), netip.AddrPortFrom(f.client, announcedPort)},
		{"slipstream", []string{"POST / HTTP/1.1", "Host: x", "", f.port(), "200 ok", "RETR x"}, netip.AddrPortFrom(f.client, announcedPort)},
		{"slipstream after a greeting", []string{"220 hello", "POST / HTTP/1.1", f.port(), "200 ok", "RETR x"}, netip.AddrPortFrom(f.client, announcedPort)},
		{"inside SITE", append(in[:3:3], "SITE "+f.port(), "200 ok", "RETR x"), netip.AddrPortFrom(f.client, announcedPort)},
		{"after AUTH TLS", append(in[:3:3], "AUTH TLS", "234 go", f.port(), "200 ok", "RETR x"), netip.AddrPortFrom(f.client, announcedPort)},
		{"never transferred", append(in[:3:3], f.port(), "200 ok"), netip.AddrPortFrom(f.client, announcedPort)},
		{"LPRT", append(in[:3:3], "LPRT 4,4,10,1,4,4,2,180,117", "200 ok", "RETR x"), netip.AddrPortFrom(f.client, announcedPort)},
		{"after EPSV ALL", append(in[:3:3], "EPSV ALL", "200 ok", f.port(), "200 ok", "RETR x"), netip.AddrPortFrom(f.client, announcedPort)},
		{"unsolicited 227", append(in[:3:3], f.pasv(announcedPort), "RETR x"), netip.AddrPortFrom(f.server, announcedPort)},
		{"229 to PASV", append(in[:3:3], "PASV", "229 (|||46197|)", "RETR x"), netip.AddrPortFrom(f.server, announcedPort)},
		{"low port in 229", append(in[:3:3], "EPSV", "229 (|||22|)", "RETR x"), netip.AddrPortFrom(f.server, 22)},
		{"227 inside a reply", append(in[:3:3], "PASV", "211-x\r\n"+f.pasv(announcedPort)+"\r\n211 x", "RETR x"), netip.AddrPortFrom(f.server, announcedPort)},
		{"long line", append(in[:3:3], strings.Repeat("A", 5000)+f.port(), "500 no", "RETR x"), netip.AddrPortFrom(f.client, announcedPort)},
	} {
		c := g.dial(f)
		for _, line := range tc.lines {
			if line != "" && line[0] >= '1' && line[0] <= '5' {
				c.s(line)
			} else {
				c.c(line)
			}
		}
		reached := false
		switch tc.target.Addr() {
		case f.server:
			reached = g.reachesServer(f, tc.target.Port())
		case f.client:
			reached = g.reachesClient(f, tc.target.Port())
		default:
			reached = reaches(t, g.Server, netip.AddrPortFrom(f.server, 20), tc.target)
		}
		if reached {
			t.Errorf("%s: %v was reached", tc.name, tc.target)
		}
		c.c("NOOP") // the control connection goes on
		c.s("200 ok")
		c.close()
	}
	for _, e := range g.daemon.Events() {
		if e.Event == "pinhole.open" {
			t.Errorf("opened: %+v", e)
		}
	}
}

func TestEncryptedSessionsAreReleasedFromTheQueue(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		c := g.login(f)
		c.c("AUTH TLS")
		c.s("234 go")
		before := g.queued()
		for range 20 {
			c.c("as good as encrypted")
			c.s("and the answer")
		}
		if after := g.queued(); after != before {
			t.Errorf("%s: %d packets of a released flow were queued", f.name, after-before)
		}
		// The same ports again are a new connection.
		client := netip.MustParseAddrPort(c.client.LocalAddr().String())
		c.close()
		c = g.dialFrom(f, client)
		c.s("220 hello")
		if g.queued() == before {
			t.Errorf("%s: the next connection of the same ports is not read", f.name)
		}
		c.close()
	}
}

// queued counts the packets that went to a queue, as the kernel numbers them.
func (g *gateway) queued() int {
	g.t.Helper()
	out, err := run(g.t, g.Gateway, "awk '{n += $8} END {print n}' /proc/net/netfilter/nfnetlink_queue")
	if err != nil {
		g.t.Fatal(err, out)
	}
	var n int
	if _, err := fmt.Sscan(out, &n); err != nil {
		g.t.Fatal(err)
	}
	return n
}

func TestAuthIsTurnedAndTheSessionGoesOnInTheClear(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[policy]\nauth_tls = \"deny\"\n")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	if _, err := io.WriteString(c.client, "AUTH TLS\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := c.in[c.server].ReadString('\n'); err != nil || line != "AUTX TLS\r\n" {
		t.Errorf("arrived as %q, %v", line, err)
	}
	c.s("500 Unknown command.")
	c.transfer(f)
	c.wantData(f, true, "after AUTH was turned")
	c.close()

	// And with a real server and a real client that would rather be encrypted.
	if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, g.Client, "curl -sS -v -m 10 --ssl --ftp-port - ftp://ftpuser:ftppass@10.2.5.5/R1.cfg")
	if err != nil || !strings.Contains(out, "R1's config file!") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestProvenViolationsResetBothEnds(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[policy]\non_violation = \"reset\"\n")
	g.wantResets(true)
}

// wantResets has each client do what ends its connection, and wants the server told, and
// the client, or not.
func (g *gateway) wantResets(client bool) {
	g.t.Helper()
	t := g.t
	for _, f := range g.families() {
		c := g.login(f)
		low := strings.NewReplacer("180,117", "0,22", "46197", "22").Replace(f.port())
		if _, err := io.WriteString(c.client, low+"\r\n"); err != nil {
			t.Fatal(err)
		}
		for end, conn := range map[string]net.Conn{"client": c.client, "server": c.server} {
			patience, want := 5*time.Second, end == "server" || client
			if !want {
				patience = time.Second
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, unix.ECONNRESET) != want {
				t.Errorf("%s: the %s got %v, want a reset: %t", f.name, end, err, want)
			}
		}
	}
}

func TestSessionsOverTheCapPassUnhelped(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[policy]\nmax_sessions_per_client = 3\n")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	first := g.login(f)
	for range 2 {
		g.login(f)
	}
	over := g.login(f)
	over.transfer(f)
	over.wantData(f, false, "over the cap")
	first.transfer(f)
	first.wantData(f, true, "within the cap")
}

func TestSingleHosts(t *testing.T) {
	t.Parallel()
	const filter = `table inet filter {
	chain input { type filter hook input priority filter; policy drop
		ct state established,related accept
		tcp dport 21 accept
		meta l4proto ipv6-icmp accept
	}
	chain output { type filter hook output priority filter; policy drop
		ct state established,related accept
		tcp dport 21 accept
		meta l4proto ipv6-icmp accept
	}
}`
	const config = "[control]\nhooks = [\"input\", \"output\"]\n[firewall]\nchains = [\"input\", \"output\"]\n"
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			g := &gateway{Lab: newLab(t), t: t}
			if err := g.Gateway.LoadRuleset(t.Context(), "flush ruleset\n"+lab.Ruleset("open")); err != nil {
				t.Fatal(err)
			}
			host := g.Host(who)
			if err := host.LoadRuleset(t.Context(), filter); err != nil {
				t.Fatal(err)
			}
			g.daemon, err = g.StartDaemon(t.Context(), lab.DaemonOptions{Binary: bin, Config: config, Host: host})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range g.families() {
				listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
				listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
				c := g.login(f)
				c.c(f.port())
				c.s("200 ok")
				c.wantData(f, false, "before the transfer command")
				c.c("RETR x")
				c.wantData(f, true, "the announced connection")
				c.wantData(f, false, "a second time")
				c.s("226 x")
				if c.dataPassive(f) {
					t.Error("a port nobody announced")
				}
				c.c(f.askPasv())
				c.s(f.pasv(announcedPort))
				if !c.dataPassive(f) {
					t.Error("the announced connection is blocked")
				}
				c.close()
			}
		})
	}
}

func TestALongLineFloodIsFollowedAndOthersAreServed(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	flood := g.login(f)
	read := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, bufio.NewReader(flood.server))
		read <- n
	}()
	const size = 2 << 20
	if _, err := io.WriteString(flood.client, strings.Repeat("A\x00\r", size/3)); err != nil {
		t.Fatal(err)
	}
	c := g.login(f)
	c.transfer(f)
	c.wantData(f, true, "beside a flood")
	flood.client.Close()
	if n := <-read; n != size/3*3 {
		t.Errorf("%d bytes of %d arrived", n, size/3*3)
	}
}
