package main_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// transfers are what a person does, in active mode, with the programs people use.
var transfers = []struct{ name, line, want string }{
	{"lftp get", "lftp -e 'set ftp:passive-mode off; cat R1.cfg; exit' -u ftpuser,ftppass 10.2.5.5", lab.R1},
	{"lftp list", "lftp -e 'set ftp:passive-mode off; ls; exit' -u ftpuser,ftppass 10.2.5.5", "R1.cfg"},
	{"lftp put", "echo up >up1; lftp -e 'set ftp:passive-mode off; put up1; cat up1; exit' -u ftpuser,ftppass 10.2.5.5", "up\n"},
	{"curl get", "curl -sS -m 10 --ftp-port - ftp://ftpuser:ftppass@10.2.5.5/R1.cfg", lab.R1},
	{"curl list", "curl -sS -m 10 --ftp-port - ftp://ftpuser:ftppass@10.2.5.5/", "R1.cfg"},
	{"curl put", "echo up >up2; curl -sS -m 10 --ftp-port - -T up2 ftp://ftpuser:ftppass@10.2.5.5/ && curl -sS -m 10 --ftp-port - ftp://ftpuser:ftppass@10.2.5.5/up2", "up\n"},
	{"curl get over IPv6", "curl -sS -m 10 --ftp-port - 'ftp://ftpuser:ftppass@[SERVER6]/R1.cfg'", lab.R1},
	{"tnftp get", "printf 'user ftpuser ftppass\nget R1.cfg -\nquit\n' | tnftp -A -n 10.2.5.5", "R1's config file!"},
	{"tnftp list", "printf 'user ftpuser ftppass\nls\nquit\n' | tnftp -A -n 10.2.5.5", "R1.cfg"},
	{"tnftp put", "echo up >up3; printf 'user ftpuser ftppass\nput up3\nget up3 -\nquit\n' | tnftp -A -n 10.2.5.5", "up\n"},
}

func TestRealProgramsTransferInActiveMode(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tr := range transfers {
		line := strings.ReplaceAll(tr.line, "SERVER6", g.Server.IPv6.String())
		if out, err := run(t, g.Client, line); err != nil || !strings.Contains(out, tr.want) {
			t.Errorf("%s: %v\n%s", tr.name, err, out)
		}
	}
	opened, used := 0, 0
	eventually(t, 5*time.Second, "every transfer is told", func() bool {
		opened, used = 0, 0
		for _, e := range g.daemon.Events() {
			switch e.Event {
			case "pinhole.open":
				opened++
			case "pinhole.used":
				used++
			}
		}
		return opened >= len(transfers) && opened == used
	})
	if t.Failed() {
		t.Errorf("%d pinholes opened, %d used", opened, used)
	}
}

func TestWithoutTheDaemonActiveModeFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if _, err := l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
		t.Fatal(err)
	}
	line := strings.Replace(transfers[3].line, "-m 10", "-m 3", 1)
	if out, err := run(t, l.Client, line); err == nil {
		t.Errorf("curl succeeded: %s", out)
	}
	if out, err := run(t, l.Client, "curl -sS -m 3 ftp://ftpuser:ftppass@10.2.5.5/ -I"); err != nil {
		t.Errorf("the control connection does not pass: %v %s", err, out)
	}
}

func TestOnlyTheAnnouncedConnectionIsAdmitted(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		announced := netip.AddrPortFrom(f.client, announcedPort)
		other := netip.AddrPortFrom(f.client, announcedPort+1)
		neighbour := netip.AddrPortFrom(f.neighbour, announcedPort)
		listen(t, g.Client, announced)
		listen(t, g.Client, other)
		listen(t, g.Neighbour, neighbour)

		c := g.login(f)
		c.wantData(f, false, "before the announcement")
		c.c(f.port())
		c.wantData(f, false, "before the reply")
		c.s("200 ok")
		c.wantData(f, false, "before the transfer command")
		c.c("RETR R1.cfg")
		for _, probe := range []struct {
			what     string
			host     *lab.Host
			from, to netip.AddrPort
		}{
			{"another source port", g.Server, netip.AddrPortFrom(f.server, 2020), announced},
			{"another source host", g.Outsider, netip.AddrPortFrom(f.outsider, 20), announced},
			{"another destination port", g.Server, netip.AddrPortFrom(f.server, 20), other},
			{"another destination host", g.Server, netip.AddrPortFrom(f.server, 20), neighbour},
		} {
			if reaches(t, probe.host, probe.from, probe.to) {
				t.Errorf("%s: %s got through", f.name, probe.what)
			}
		}
		c.wantData(f, true, "after the transfer command")
		c.wantData(f, false, "a second time")
		c.s("150 ok")
		c.s("226 ok")
		c.wantData(f, false, "after 226")
		c.close()
	}
}

func TestNothingIsAdmittedAfterTheEnd(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	for name, end := range map[string]func(c *control){
		"500 to PORT":           nil,
		"550 to the transfer":   func(c *control) { c.s("550 no") },
		"425 to the transfer":   func(c *control) { c.s("425 no") },
		"226":                   func(c *control) { c.s("150 x"); c.s("226 x") },
		"426":                   func(c *control) { c.s("150 x"); c.s("426 x") },
		"ABOR":                  func(c *control) { c.c("ABOR") },
		"QUIT":                  func(c *control) { c.c("QUIT") },
		"REIN":                  func(c *control) { c.c("REIN") },
		"FIN of the client":     func(c *control) { c.client.(*net.TCPConn).CloseWrite(); c.waitEnd() },
		"FIN of the server":     func(c *control) { c.server.(*net.TCPConn).CloseWrite(); c.waitEnd() },
		"RST of the client":     func(c *control) { c.client.(*net.TCPConn).SetLinger(0); c.client.Close(); c.waitEnd() },
		"RST of the server":     func(c *control) { c.server.(*net.TCPConn).SetLinger(0); c.server.Close(); c.waitEnd() },
		"another announcement":  func(c *control) { c.c("PORT 10,1,4,4,180,118") },
		"a line that is no FTP": func(c *control) { c.c("Host: example.org") },
	} {
		c := g.login(f)
		c.c(f.port())
		if end == nil {
			c.s("500 no")
			c.c("RETR x")
		} else {
			c.s("200 ok")
			c.c("RETR x")
			end(c)
		}
		c.wantData(f, false, "after "+name)
		c.close()
	}
}

// waitEnd waits until the daemon has seen the control connection end.
func (c *control) waitEnd() {
	c.t.Helper()
	client := netip.MustParseAddrPort(c.client.LocalAddr().String())
	if _, err := c.g.daemon.AwaitEvent(c.t.Context(), func(e lab.Event) bool {
		return e.Event == "session.end" && e.Client == client
	}); err != nil {
		c.t.Fatal(err)
	}
}

func TestPipelinedAndSplitCommands(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))

	c := g.login(f)
	c.c(f.port() + "\r\nRETR x")
	c.wantData(f, true, "PORT and RETR in one segment")
	c.s("200 ok\r\n150 x\r\n226 x")

	for _, b := range []byte(f.port() + "\r\n") {
		if _, err := c.client.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.in[c.server].ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	c.s("200 ok")
	c.c("RETR x")
	c.wantData(f, true, "PORT in many segments")
	c.wantData(f, false, "a second time")
}
