package main_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// What the pages of deploy/doc/firewalls and the examples of deploy/nftables say is done
// here, word by word: the lines come from them.

// block is a piece of a page in a fence.
type block struct {
	lang string // "sh": to be run as root; "toml": of ftpalg's configuration
	file string // its text stands in this file
	text string
}

// section returns the blocks below a heading of a page.
func section(t *testing.T, page, heading string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy/doc/firewalls", page+".md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s.md has no heading %q", page, heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	var blocks []block
	for _, m := range regexp.MustCompile("(?s)(?:`(/[^`\n]+)`:\n\n)?```(\\w+)\n(.*?)```\n").FindAllStringSubmatch(body, -1) {
		blocks = append(blocks, block{file: m[1], lang: m[2], text: m[3]})
	}
	if len(blocks) == 0 {
		t.Fatalf("%s.md has nothing to do below %q", page, heading)
	}
	return blocks
}

// firewalled is a lab whose gateway, or another host, has the firewall of a page.
type firewalled struct {
	*gateway
	at     *lab.Host
	reload string // the command line of the manager
	keeps  bool   // the accept line: it is in the manager's own files
	only4  bool   // no IPv6
	open   bool   // for what the host begins itself
}

// newFirewalled makes a lab, and start has the manager run in it. The blocks are done in
// their order; the configuration among them is what the daemon then gets.
func newFirewalled(t *testing.T, host func(*lab.Lab) *lab.Host, blocks []block, reload string, start func(*testing.T, *lab.Lab)) *firewalled {
	t.Helper()
	l := newLabWith(t, lab.Options{})
	fw := &firewalled{gateway: &gateway{Lab: l, t: t}, at: host(l), reload: reload}
	start(t, l)
	var config strings.Builder
	for _, b := range blocks {
		switch {
		case b.lang == "toml":
			config.WriteString(b.text)
		case b.file != "":
			if err := os.MkdirAll(filepath.Dir(l.Path(b.file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(l.Path(b.file), []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
		case b.lang == "sh":
			fw.shell(b.text)
		}
	}
	fw.keeps = strings.Contains(config.String(), `anchor = "manual"`)
	fw.run(config.String())
	return fw
}

func (fw *firewalled) run(config string) {
	fw.t.Helper()
	fw.daemon = fw.startOn(fw.at, config)
	fw.t.Cleanup(func() {
		if fw.t.Failed() {
			rules, _ := fw.at.Command(fw.t.Context(), "nft", "list", "ruleset").Output()
			fw.t.Logf("the daemon's log:\n%s\nthe ruleset of %s:\n%s", fw.daemon.Log(), fw.at.Name, rules)
		}
	})
	eventually(fw.t, 10*time.Second, "the daemon has looked around", func() bool { return strings.Contains(fw.daemon.Log(), `"msg":"checked"`) })
	if !strings.Contains(fw.daemon.Log(), `"msg":"checked","problems":0}`) {
		fw.t.Error("the daemon finds a problem with a right firewall")
	}
}

// shell runs lines on the firewall's host, and stops at the first that fails.
func (fw *firewalled) shell(lines string) {
	fw.t.Helper()
	// Managers are programs in Python and Perl, which take their time on a busy machine.
	ctx, cancel := context.WithTimeout(fw.t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := fw.at.Command(ctx, "sh", "-e", "-c", lines).CombinedOutput(); err != nil {
		fw.t.Fatalf("%s%v: %s", lines, err, out)
	}
}

// installs is a start of newFirewalled that installs Debian packages.
func installs(packages ...string) func(*testing.T, *lab.Lab) {
	return func(t *testing.T, l *lab.Lab) {
		t.Helper()
		if err := l.Install(t.Context(), packages...); err != nil {
			t.Fatal(err)
		}
	}
}

// families are those that the firewall forwards.
func (fw *firewalled) families() []family {
	if fw.only4 {
		return fw.gateway.families()[:1]
	}
	return fw.gateway.families()
}

func theGateway(l *lab.Lab) *lab.Host { return l.Gateway }

// helps checks what a firewall with ftpalg is for: transfers work with real programs, the
// manager may reload while there are sessions, and nothing else gets in.
func (fw *firewalled) helps() {
	fw.t.Helper()
	if _, err := fw.StartVSFTPD(fw.t.Context(), lab.VSFTPDOptions{}); err != nil {
		fw.t.Fatal(err)
	}
	if out, err := run(fw.t, fw.at, "ftpalg check --config ftpalg-*.toml"); err != nil {
		fw.t.Errorf("check: %v\n%s", err, out)
	}
	fw.programs()
	fw.strangers()
	fw.reloads()
	fw.strangers()
	if log := fw.daemon.Log(); strings.Contains(log, "the firewall does not accept data connections") {
		fw.t.Error("the daemon does not find the accept line")
	}
}

// programs has the usual clients get a file in both modes.
func (fw *firewalled) programs() {
	fw.t.Helper()
	for _, f := range fw.families() {
		server := f.dials.String()
		if f.dials.Is6() {
			server = "[" + server + "]"
		}
		for _, line := range []string{
			"lftp -e 'set net:max-retries 1; set net:timeout 5; set ftp:passive-mode off; cat R1.cfg; exit' -u ftpuser,ftppass " + server,
			"lftp -e 'set net:max-retries 1; set net:timeout 5; set ftp:passive-mode on; cat R1.cfg; exit' -u ftpuser,ftppass " + server,
			"curl -sS -m 10 --ftp-port - ftp://ftpuser:ftppass@" + server + "/R1.cfg",
			"curl -sS -m 10 ftp://ftpuser:ftppass@" + server + "/R1.cfg",
		} {
			if out, err := run(fw.t, fw.Client, line); err != nil || !strings.Contains(out, lab.R1) {
				fw.t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
}

// strangers checks that nobody gets where nothing was announced, nor before the transfer, as
// far as the firewall's host has a say in it.
func (fw *firewalled) strangers() {
	fw.t.Helper()
	var wg sync.WaitGroup
	for _, f := range fw.families() {
		c := ftpLogin(fw.t, fw.Client, netip.AddrPortFrom(f.dials, 21))
		probes := map[string]func() bool{}
		for _, end := range []struct {
			host *lab.Host
			at   netip.AddrPort
		}{
			{fw.Client, netip.AddrPortFrom(f.client, announcedPort)},
			{fw.Client, netip.AddrPortFrom(f.client, announcedPort+1)},
			{fw.Server, netip.AddrPortFrom(f.server, announcedPort+2)},
		} {
			ln := mustListen(fw.t, end.host, end.at.String())
			defer ln.Close()
		}
		if fw.at != fw.Server || !fw.open {
			probes["the server reached what is announced"] = func() bool { return fw.reachesClient(f, announcedPort) }
			probes["the server reached what is not announced"] = func() bool { return fw.reachesClient(f, announcedPort+1) }
		}
		if fw.at != fw.Server {
			probes["another host reached what is announced"] = func() bool {
				return reaches(fw.t, fw.Outsider, netip.AddrPortFrom(f.outsider, 20), netip.AddrPortFrom(f.seen, announcedPort))
			}
		}
		if fw.at != fw.Client || !fw.open {
			probes["the client reached a port of the server"] = func() bool { return fw.reachesServer(f, announcedPort+2) }
		}
		c.announce("EPRT", netip.AddrPortFrom(f.client, announcedPort))
		for what, reached := range probes {
			wg.Go(func() {
				if reached() {
					fw.t.Errorf("%s: %s", f.name, what)
				}
			})
		}
	}
	wg.Wait()
}

// underWay is a transfer whose file is on its way.
type underWay struct {
	*ftpClient
	how  string
	data net.Conn
}

// announced is a data connection that is announced, before its transfer.
type announced struct {
	*ftpClient
	data func() net.Conn
}

// reloads has the manager reload within sessions: between an announcement and the transfer,
// and while a file is on its way.
func (fw *firewalled) reloads() {
	fw.t.Helper()
	big := bytes.Repeat([]byte("what is on its way arrives\n"), 1<<19)
	if err := os.WriteFile(fw.Path(filepath.Join(lab.ServerFiles, "big")), big, 0o644); err != nil {
		fw.t.Fatal(err)
	}
	var ways []underWay
	var waits []announced
	for _, f := range fw.families() {
		addr := netip.AddrPortFrom(f.dials, 21)
		for _, how := range announces[f.client.Is4()][:2] {
			c := ftpLogin(fw.t, fw.Client, addr)
			data := c.data(how)
			c.tell("RETR big")
			ways = append(ways, underWay{c, how, data()})
			c.hear("150")
		}
		c := ftpLogin(fw.t, fw.Client, addr)
		waits = append(waits, announced{c, c.data("EPRT")})
	}

	before := fw.putBack()
	fw.shell(fw.reload)
	fw.settles(before)

	for _, c := range waits {
		c.tell("RETR R1.cfg")
		conn := c.data()
		c.hear("150")
		if b, err := io.ReadAll(conn); err != nil || string(b) != lab.R1 {
			fw.t.Errorf("%v, announced before the reload: %q, %v", c.remote(), b, err)
		}
		conn.Close()
		c.hear("226")
	}
	for _, c := range ways {
		_ = c.data.SetDeadline(time.Now().Add(15 * time.Second))
		if b, err := io.ReadAll(c.data); err != nil || !bytes.Equal(b, big) {
			fw.t.Errorf("%v, %s, on its way through the reload: %d bytes of %d, %v", c.remote(), c.how, len(b), len(big), err)
		}
		c.data.Close()
		c.hear("226")
		if got := c.get(c.how, "R1.cfg"); string(got) != lab.R1 {
			fw.t.Errorf("%v, %s, after the reload: %q", c.remote(), c.how, got)
		}
	}
}

// putBack is how often the daemon has put back the accept line.
func (fw *firewalled) putBack() int { return strings.Count(fw.daemon.Log(), "accept line put back") }

// settles waits until the daemon has put back what the reload took away.
func (fw *firewalled) settles(before int) {
	fw.t.Helper()
	if !fw.keeps {
		eventually(fw.t, 5*time.Second, "the accept line is put back", func() bool { return fw.putBack() > before })
	}
}
