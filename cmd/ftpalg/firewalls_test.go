package main_test

import (
	"bytes"
	"io"
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
}

// shell runs lines on the firewall's host, and stops at the first that fails.
func (fw *firewalled) shell(lines string) {
	fw.t.Helper()
	if out, err := run(fw.t, fw.at, "set -e\n"+lines); err != nil {
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
	fw.programs()
	for _, f := range fw.families() {
		fw.strangers(f)
		fw.reloads(f)
		fw.strangers(f)
	}
	fw.programs()
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

// strangers checks that nobody gets where nothing was announced, as far as the firewall's
// host has a say in it.
func (fw *firewalled) strangers(f family) {
	fw.t.Helper()
	c := ftpLogin(fw.t, fw.Client, netip.AddrPortFrom(f.dials, 21))
	client := mustListen(fw.t, fw.Client, netip.AddrPortFrom(f.client, announcedPort).String())
	defer client.Close()
	other := mustListen(fw.t, fw.Client, netip.AddrPortFrom(f.client, announcedPort+1).String())
	defer other.Close()
	server := mustListen(fw.t, fw.Server, netip.AddrPortFrom(f.server, announcedPort+2).String())
	defer server.Close()
	probes := map[string]func() bool{}
	if fw.at != fw.Server || !fw.open {
		probes["the server reached the client"] = func() bool { return fw.reachesClient(f, announcedPort) }
		probes["the server reached a port not announced"] = func() bool { return fw.reachesClient(f, announcedPort+1) }
	}
	if fw.at != fw.Server {
		probes["another host reached the client"] = func() bool {
			return reaches(fw.t, fw.Outsider, netip.AddrPortFrom(f.outsider, 20), netip.AddrPortFrom(f.seen, announcedPort))
		}
	}
	if fw.at != fw.Client || !fw.open {
		probes["the client reached a port of the server"] = func() bool { return fw.reachesServer(f, announcedPort+2) }
	}
	refused := func(when string) {
		fw.t.Helper()
		var wg sync.WaitGroup
		for what, reached := range probes {
			wg.Go(func() {
				if reached() {
					fw.t.Errorf("%s, %s: %s", f.name, when, what)
				}
			})
		}
		wg.Wait()
	}
	refused("without an announcement")
	c.announce("EPRT", netip.AddrPortFrom(f.client, announcedPort))
	refused("before the transfer")
	c.ask("QUIT", "221")
}

// reloads has the manager reload within a session: between an announcement and the transfer,
// and while a file is on its way.
func (fw *firewalled) reloads(f family) {
	fw.t.Helper()
	big := bytes.Repeat([]byte("what is on its way arrives\n"), 1<<19)
	if err := os.WriteFile(fw.Path(filepath.Join(lab.ServerFiles, "big")), big, 0o644); err != nil {
		fw.t.Fatal(err)
	}
	addr := netip.AddrPortFrom(f.dials, 21)
	c, way := ftpLogin(fw.t, fw.Client, addr), ftpLogin(fw.t, fw.Client, addr)
	for _, how := range announces[f.client.Is4()][:2] {
		data := way.data(how)
		way.tell("RETR big")
		conn := data()
		way.hear("150")
		announced := c.data("EPRT")

		before := fw.putBack()
		fw.shell(fw.reload)
		fw.settles(before)

		c.tell("RETR R1.cfg")
		again := announced()
		c.hear("150")
		if b, err := io.ReadAll(again); err != nil || string(b) != lab.R1 {
			fw.t.Errorf("%s, announced before the reload: %q, %v", f.name, b, err)
		}
		again.Close()
		c.hear("226")
		_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
		if b, err := io.ReadAll(conn); err != nil || !bytes.Equal(b, big) {
			fw.t.Errorf("%s, %s, on its way through the reload: %d bytes of %d, %v", f.name, how, len(b), len(big), err)
		}
		conn.Close()
		way.hear("226")
		if got := c.get(how, "R1.cfg"); string(got) != lab.R1 {
			fw.t.Errorf("%s, %s, after the reload: %q", f.name, how, got)
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
