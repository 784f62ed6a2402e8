package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// What becomes of translated connections while no daemon runs: what is under way goes on,
// and nothing is said unread, whatever the operator wants for others.

const passing = "[control]\non_absence = \"pass\"\non_overload = \"pass\"\n"

// ends ends the daemon, cleanly or not.
func (g *gateway) ends(crash bool) {
	g.t.Helper()
	if crash {
		time.Sleep(patience) // that a session may be taken up again is told after the verdict
		g.killed()
	} else {
		g.stopped()
	}
}

// whileAway does a test for each way to end and each translation of one end.
func whileAway(t *testing.T, do func(t *testing.T, g *gateway, crash bool)) {
	t.Helper()
	t.Parallel()
	for name, crash := range map[string]bool{"stop": false, "kill": true} {
		for _, a := range arrangements[:2] {
			t.Run(a.name+" "+name, func(t *testing.T) {
				t.Parallel()
				do(t, newGatewayIn(t, a, passing), crash)
			})
		}
	}
}

// announce has the end that is translated announce a port, and returns who says it to whom.
func (c *control) announce(f family) (from, to net.Conn, line string) {
	if f.seen != f.client {
		return c.client, c.server, f.port()
	}
	return c.server, c.client, f.pasv(announcedPort)
}

// rewrittenOrOver waits until a line has arrived as another, or the connection is over. It
// returns false where it is. After a crash a session is helped from a command and its reply
// on, and what is announced before goes on as it comes.
func (c *control) rewrittenOrOver(f family, to net.Conn, line string, crashed bool) bool {
	c.t.Helper()
	_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
	switch got, err := c.in[to].ReadString('\n'); {
	case err == nil && (got == f.outside(line)+"\r\n" || crashed && got == line+"\r\n"):
		return true
	case err == nil || got != "":
		c.t.Errorf("%q arrived as %q, %v", line, got, err)
	case os.IsTimeout(err):
		c.t.Errorf("%q has not arrived, and the connection is not over", line)
	}
	return false
}

// wantNothing checks that nothing arrives.
func (c *control) wantNothing(to net.Conn, when string) {
	c.t.Helper()
	_ = to.SetReadDeadline(time.Now().Add(2 * patience))
	if got, err := c.in[to].ReadString('\n'); got != "" || !os.IsTimeout(err) {
		c.t.Errorf("%s, %q arrived, %v", when, got, err)
	}
}

func TestNoAnnouncementPassesUnreadWhileTheDaemonIsAway(t *testing.T) {
	whileAway(t, func(t *testing.T, g *gateway, crash bool) {
		for _, f := range g.families() {
			c := g.login(f)
			if f.seen == f.client && f.server.Is4() {
				c.c("PASV")
			}
			from, to, line := c.announce(f)
			if f.server.Is6() && f.seen == f.client { // a 229 names no address
				from, to, line = c.client, c.server, "NOOP"
			}
			g.ends(crash)
			if _, err := fmt.Fprintf(from, "%s\r\n", line); err != nil {
				t.Fatal(err)
			}
			c.wantNothing(to, f.name+", while no daemon runs")
			g.daemon = g.start(passing)
			if c.rewrittenOrOver(f, to, line, crash) {
				c.s("500 go on")
				c.c("NOOP")
				c.s("200 ok")
				listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
				c.transfer(f)
				c.wantData(f, true, "when the daemon is back")
			}
			c.close()
		}
	})
}

func TestBetweenPORTAndRETR(t *testing.T) {
	whileAway(t, func(t *testing.T, g *gateway, crash bool) {
		for _, f := range g.families() {
			listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
			c := g.login(f)
			c.c(f.port())
			c.s("200 ok")
			g.ends(crash)
			if _, err := io.WriteString(c.client, "RETR x\r\n"); err != nil {
				t.Fatal(err)
			}
			c.wantNothing(c.server, f.name+", while no daemon runs")
			g.daemon = g.start(passing)
			if c.rewrittenOrOver(f, c.server, "RETR x", crash) {
				if got := c.data(f); got == crash {
					t.Errorf("%s: the data connection that was announced before got through: %v", f.name, got)
				}
				c.s("226 done")
				c.c("NOOP")
				c.s("200 ok")
				c.wantData(f, false, "a second time")
			}
			c.close()
		}
	})
}

// A transfer under way ends whole, and the session goes on after it.
func TestTransfersUnderWayWhileTheDaemonIsAway(t *testing.T) {
	whileAway(t, func(t *testing.T, g *gateway, crash bool) {
		if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
			t.Fatal(err)
		}
		big := contents()["big"]
		if err := os.WriteFile(g.Path(filepath.Join(lab.ServerFiles, "big")), big, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, f := range g.families() {
			for _, how := range announces[f.client.Is4()] {
				c := ftpLogin(t, g.Client, netip.AddrPortFrom(f.dials, 21))
				c.get(how, "R1.cfg") // announcements were changed before
				data := c.data(how)
				c.tell("RETR big")
				conn := data()
				c.hear("150")
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				got := make([]byte, len(big))
				if _, err := io.ReadFull(conn, got[:1<<20]); err != nil {
					t.Fatal(err)
				}
				g.ends(crash)
				n, err := io.ReadFull(conn, got[1<<20:])
				if err != nil || !bytes.Equal(got, big) {
					t.Errorf("%s: %d bytes more of %d arrived, or others: %v", how, n, len(big)-1<<20, err)
				}
				conn.Close()
				g.daemon = g.start(passing)
				c.goesOnOrEnds()
			}
		}
	})
}

// goesOnOrEnds waits for the 226 of a transfer, and has the session make another in active
// mode; or for the end of the connection.
func (c *ftpClient) goesOnOrEnds() {
	c.t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	line, err := c.in.ReadString('\n')
	if err != nil && !os.IsTimeout(err) && line == "" {
		return
	}
	if err != nil || !strings.HasPrefix(line, "226 ") {
		c.t.Errorf("%q in place of 226, %v", line, err)
		return
	}
	c.ask("TYPE I", "200")
	if got := c.get("EPRT", "R1.cfg"); string(got) != lab.R1 {
		c.t.Errorf("%q", got)
	}
	c.conn.Close()
}

// Where the queue is full, others may pass unread.
func TestNoAnnouncementPassesUnreadWhereTheQueueIsFull(t *testing.T) {
	t.Parallel()
	g := newGatewayIn(t, arrangements[0], passing+"workers = 1\n")
	f := g.families()[0]
	c := g.login(f)
	forge := c.forger()
	c.c("NOOP")
	seq, ack := forge.next()
	if err := g.daemon.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	again := forge.segment(seq-6, ack, "NOOP\r\n")
	const queued = 8192
	for range queued + 1000 {
		forge.send(again)
	}
	if _, err := io.WriteString(c.client, f.port()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	c.wantNothing(c.server, "with a full queue")
	if err := g.daemon.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.rewrittenOrOver(f, c.server, f.port(), false)
}

// Who is not translated is served as the operator wants, and where nobody is any more,
// nothing is left behind.
func TestTheGuardIsOfTranslatedConnectionsAlone(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]bool{"stop": false, "kill": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, passing)
			translate(t, g.Lab, strings.Replace(masquerading, "masquerade\n", "ip saddr 10.1.4.4 masquerade\n", 1))
			f := g.families()[0]
			f.seen = netip.MustParseAddr("10.2.5.1")
			other := f
			other.client, other.seen = f.neighbour, f.neighbour
			plain := g.loginAs(g.Neighbour, other)
			c := g.login(f)
			g.ends(crash)
			plain.c("PORT 10,1,4,5,180,117")
			plain.s("200 ok")
			if _, err := io.WriteString(c.client, "NOOP\r\n"); err != nil {
				t.Fatal(err)
			}
			c.wantNothing(c.server, "while no daemon runs")
			g.loginAs(g.Neighbour, other).c("NOOP") // a new one
			g.daemon = g.start(passing)
			if c.rewrittenOrOver(f, c.server, "NOOP", crash) {
				c.s("200 ok")
				c.c("NOOP") // what was taken up after a crash begins with a reply that was seen from its start
				c.s("200 ok")
			}
			c.close()
			eventually(t, 5*time.Second, "the end of the translated session", func() bool {
				for _, e := range g.daemon.Events() {
					if e.Event == "session.end" && e.Client.Addr() == f.client {
						return true
					}
				}
				return false
			})
			g.stopped()
			if left := g.ruleset(); strings.Contains(left, "ftpalg") {
				t.Errorf("left behind:\n%s", left)
			}
			plain.c("NOOP")
		})
	}
}
