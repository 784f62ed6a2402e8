package main_test

import (
	"io"
	"net/netip"
	"testing"
)

// Taken up again (design, section 4): after a clean stop exactly, after a crash for
// active mode alone, and never what was not FTP, logged in and believed.

// stopped ends the daemon with SIGTERM.
func (g *gateway) stopped() {
	g.t.Helper()
	if err := g.daemon.Stop(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
}

// killed ends the daemon with SIGKILL.
func (g *gateway) killed() {
	g.t.Helper()
	if err := g.daemon.Kill(); err != nil {
		g.t.Fatal(err)
	}
}

// half sends a part of a line and waits until it has arrived.
func (c *control) half(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.client, text); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadFull(c.in[c.server], make([]byte, len(text))); err != nil {
		c.t.Fatal(err)
	}
}

func TestSessionsOutliveACleanRestart(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"IPv4", "IPv6"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "")
			cleanRestart(t, g, g.families()[i])
		})
	}
}

// restart is what is said before a clean restart and after it, and what comes of it.
type restart struct {
	name          string
	before, after func(*control)
	active, want  bool // which connection is tried, and whether it comes through
}

// restarts plays them. Where nothing is said before, a line passes while no daemon runs.
func restarts(t *testing.T, g *gateway, f family, all []restart) {
	t.Helper()
	for _, tc := range all {
		c := g.login(f)
		if tc.before != nil {
			tc.before(c)
		}
		g.stopped()
		if tc.before == nil {
			c.c("NOOP")
			c.s("200 ok")
		}
		g.daemon = g.start("")
		tc.after(c)
		got := tc.active && c.data(f) || !tc.active && c.dataPassive(f)
		if got != tc.want {
			t.Errorf("%s: the data connection got through: %v, want %v", tc.name, got, tc.want)
		}
		c.close()
	}
}

// What is announced stands after the restart, as it does before.
func TestAnnouncementsOutliveACleanRestart(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
		restarts(t, g, f, []restart{
			{
				"what was announced and accepted is opened",
				func(c *control) { c.c(f.port()); c.s("200 ok") }, func(c *control) { c.c("RETR x") }, true, true,
			},
			{
				"the answer to PASV that is due is helped",
				func(c *control) { c.c(f.askPasv()) }, func(c *control) { c.s(f.pasv(announcedPort)) }, false, true,
			},
		})
	}
}

func cleanRestart(t *testing.T, g *gateway, f family) {
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
	passive := func(c *control) bool {
		c.c(f.askPasv())
		c.s(f.pasv(announcedPort))
		return c.dataPassive(f)
	}
	restarts(t, g, f, []restart{
		{
			"active mode is helped at once",
			func(*control) {}, func(c *control) { c.c(f.port() + "\r\nRETR x") }, true, true,
		},
		{
			"half a line is not lost",
			func(c *control) { c.half(f.port()[:9]) },
			func(c *control) { c.half(f.port()[9:] + "\r\n"); c.s("200 ok"); c.c("RETR x") }, true, true,
		},
		{
			"passive mode is helped at once",
			func(*control) {}, func(c *control) { c.c(f.askPasv()); c.s(f.pasv(announcedPort)) }, false, true,
		},
		{
			"what is not believed is not believed afterwards",
			func(c *control) { c.c("STAT x"); c.s("213-x\r\n213 x") },
			func(c *control) { c.c(f.askPasv()); c.s(f.pasv(announcedPort)) }, false, false,
		},
		{
			"a line that nobody read meanwhile ends belief", nil,
			func(c *control) { c.c(f.askPasv()); c.s(f.pasv(announcedPort)) }, false, false,
		},
		{
			"who was not logged in is not afterwards",
			func(c *control) { c.c("REIN"); c.s("220 once more") },
			func(c *control) { c.c("NOOP"); c.s("200 ok"); c.c(f.port()); c.s("200 ok"); c.c("RETR x") }, true, false,
		},
	})
	// And both modes, one after the other, in one session.
	c := g.login(f)
	g.stopped()
	g.daemon = g.start("")
	c.transfer(f)
	c.wantData(f, true, "active mode after a clean restart")
	c.wantData(f, false, "a second time")
	c.s("150 x\r\n226 x")
	if !passive(c) {
		t.Error("passive mode is not helped after a clean restart")
	}
	c.close()
}

func TestSessionsAfterACrash(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
		in := g.login(f)
		out := g.dial(f)
		out.s("220 hello")
		out.c("USER u")
		out.s("331 and the password?")
		g.killed()
		g.daemon = g.start("")
		for _, c := range []*control{in, out} {
			c.c("TYPE I")
			c.s("200 ok")
			c.c(f.askPasv())
			c.s(f.pasv(announcedPort))
			if c.dataPassive(f) {
				t.Error(f.name, "passive mode is helped after a crash")
			}
		}
		out.transfer(f)
		out.wantData(f, false, "after a crash, and nobody is logged in")
		out.s("530 who are you?")
		in.transfer(f)
		in.wantData(f, true, "after a crash and a command with its reply")
		in.wantData(f, false, "a second time")
		in.close()
		out.close()
	}
}

// A session that was disbelieved before the crash bears no label.
func TestNoHelpAfterACrashForWhatWasDisbelieved(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	c.c("Host: example.org") // the dialogue is not FTP
	g.killed()
	g.daemon = g.start("")
	c.c("TYPE I")
	c.s("200 ok")
	c.transfer(f)
	c.wantData(f, false, "after a crash, in a dialogue that was not FTP")
}

// An honest client's POST to a hostile server is under way when the daemon starts.
func TestAPOSTUnderWayAtARestartOpensNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*gateway){"stop": (*gateway).stopped, "kill": (*gateway).killed} {
		for _, greeted := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", no word before", true: ", greeted and let in before"}[greeted], func(t *testing.T) {
				t.Parallel()
				everywhere(t, "", func(t *testing.T, g *gateway) {
					f := g.families()[0]
					listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
					e := g.rawServer(f)
					lines := [][2]string{{"NOOP", "200 ok"}, {f.port(), "200 ok"}, {"RETR x", ""}}
					text, offset := request(5000, lines)
					if !greeted { // the daemon has seen nothing of it
						end(g)
					}
					done := g.posts(f, netip.AddrPort{}, text)
					e.accept()
					if greeted {
						e.says("220 hello\r\n230 in\r\n")
					}
					e.receives(offset)
					if greeted {
						end(g)
					}
					g.daemon = g.start("")
					e.injects(lines)
					g.wantNone(f, "after the daemon's start in the middle of a POST")
					e.finishes(text, done)
				})
			})
		}
	}
}

// What is remembered of a session is this connection's, not that of another between the
// same ends.
func TestANewConnectionIsNotTakenForTheOneBefore(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*gateway){"stop": (*gateway).stopped, "kill": (*gateway).killed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "")
			f := g.families()[0]
			listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
			c := g.login(f)
			client := netip.MustParseAddrPort(c.client.LocalAddr().String())
			end(g)
			c.close()
			c = g.dialFrom(f, client)
			c.c("GET / HTTP/1.1")
			g.daemon = g.start("")
			c.c("NOOP")
			c.s("200 ok")
			c.transfer(f)
			c.wantData(f, false, "between the ends of a session that was logged in")
		})
	}
}
