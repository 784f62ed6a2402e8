package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/api"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// What befalls a daemon that runs for months: it keeps working, or says what it cannot do and
// recovers by itself.

// status asks the daemon.
func (g *gateway) status() (s api.Status) {
	g.t.Helper()
	bin, err := program()
	if err != nil {
		g.t.Fatal(err)
	}
	out, err := run(g.t, g.Gateway, bin+" status --json")
	if err != nil {
		g.t.Fatal(err, out)
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		g.t.Fatal(err, out)
	}
	return s
}

// works checks that a new session is helped, and that nobody else profits.
func (g *gateway) works(f family, when string) {
	g.t.Helper()
	ln := mustListen(g.t, g.Client, netip.AddrPortFrom(f.client, announcedPort).String())
	defer ln.Close()
	c := g.login(f)
	defer c.close()
	c.transfer(f)
	if reaches(g.t, g.Outsider, netip.AddrPortFrom(f.outsider, 20), netip.AddrPortFrom(f.seen, announcedPort)) {
		g.t.Errorf("%s, an outsider got through", when)
	}
	c.wantData(f, true, when)
	c.s("226 ok")
	c.wantData(f, false, when+", a second time")
}

// One who follows events and does not read them holds up nobody, and misses some.
func TestAFollowerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[control]\nworkers = 1\n")
	f := g.families()[0]
	deaf, err := net.Dial("unix", g.Path("/run/ftpalg/ftpalg.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	if _, err := io.WriteString(deaf, "GET /events HTTP/1.1\r\nHost: ftpalg\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// More than the socket and what is kept for a follower hold, from as many sessions as that takes:
	// each has no more than 256 announcements told.
	const sessions, announcements = 60, 120
	for range sessions {
		c := g.login(f)
		for range announcements / 15 {
			c.c(strings.Repeat(f.port()+"\r\n", 14) + f.port())
			c.s(strings.Repeat("200 ok\r\n", 14) + "200 ok")
		}
		c.close()
	}
	told := func() int { return strings.Count(g.daemon.Log(), `"event":"pinhole.`) }
	eventually(t, 10*time.Second, "the log has it all", func() bool { return told() > sessions*announcements*2*9/10 })
	t.Logf("%d told", told())
	g.works(f, "beside a follower that does not read")
	_ = deaf.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := deaf.Read(make([]byte, 1)); n != 1 {
		t.Errorf("the follower was cut off: %v", err)
	}
	began := time.Now()
	g.stopped()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("the stop took %v", d)
	}
}

// With max_sessions, what is logged in stays, what is not makes room, and what is beyond passes.
func TestAllSessionsAreTaken(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[policy]\nmax_sessions = 3\n")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	first := g.login(f)
	g.login(f)
	idle := g.dial(f)
	idle.s("220 hello") // and nobody logs in
	third := g.login(f)
	third.transfer(f)
	third.wantData(f, true, "who logs in where another has not")
	beyond := g.login(f)
	beyond.transfer(f)
	beyond.wantData(f, false, "beyond all sessions")
	s := g.status()
	var unhelped uint64
	for _, q := range s.Queues {
		unhelped += q.Worker.Unhelped
	}
	if s.Sessions != 3 || unhelped == 0 {
		t.Errorf("%d sessions, %d connections without", s.Sessions, unhelped)
	}
	first.close()
	eventually(t, 5*time.Second, "a session has ended", func() bool { return g.status().Sessions < 3 })
	third.s("226 ok")
	third.c("NOOP")
	third.s("200 ok")
	again := g.login(f)
	again.transfer(f)
	again.wantData(f, true, "after one has gone")
}

// What is said while the daemon cannot run waits for it, and what was open meanwhile is not
// open for longer than it should be.
func TestStoppedForTenSeconds(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[pinhole]\ntimeout = \"4s\"\n")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	open, waits := g.login(f), g.login(f)
	open.transfer(f)
	if err := g.daemon.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := io.WriteString(waits.client, f.port()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(began.Add(5 * time.Second)))
	open.wantData(f, false, "after its time, with the daemon stopped")
	time.Sleep(time.Until(began.Add(10 * time.Second)))
	if err := g.daemon.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_ = waits.server.SetReadDeadline(time.Now().Add(20 * time.Second))
	if got, err := waits.in[waits.server].ReadString('\n'); got != f.port()+"\r\n" {
		t.Fatalf("what was said meanwhile arrived as %q, %v", got, err)
	}
	waits.s("200 ok")
	waits.c("RETR x")
	waits.wantData(f, true, "after ten seconds")
	if _, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "pinhole.closed" && e.Reason == "timeout" }); err != nil {
		t.Error(err)
	}
}

// The operator's ruleset is loaded a hundred times while files are transferred. Where it has the
// accept line itself, nothing is lost. Else a data connection may come just when the line is not
// back yet, and the next one is helped.
func TestAHundredReloadsUnderTraffic(t *testing.T) {
	t.Parallel()
	for _, anchor := range []string{"insert", "manual"} {
		t.Run(anchor, func(t *testing.T) {
			t.Parallel()
			ruleset := lab.Ruleset("stateful")
			if anchor == "manual" {
				ruleset = strings.Replace(ruleset, "ct state established,related accept", "ct state established,related accept\n"+acceptLine, 1)
			}
			g := &gateway{Lab: newLab(t), t: t}
			load := func(before string) error { return g.Gateway.LoadRuleset(t.Context(), before+ruleset) }
			if err := load(""); err != nil {
				t.Fatal(err)
			}
			g.daemon = g.start("[firewall]\nanchor = \"" + anchor + "\"\n")
			f := g.families()[0]
			ln := mustListen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort).String())
			c := g.login(f)
			done := make(chan error, 1)
			go func() {
				var err error
				for i := 0; i < 100 && err == nil; i++ {
					err = load([]string{"flush ruleset\n", ""}[i%2])
					time.Sleep(20 * time.Millisecond)
				}
				done <- err
			}()
			transfers, lost := 0, 0
			for over := false; !over; transfers++ {
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
					over = true
				default:
				}
				c.transfer(f)
				from, to := netip.AddrPortFrom(f.server, 20), netip.AddrPortFrom(f.seen, announcedPort)
				if anchor == "insert" && !reaches(t, g.Server, from, to) || anchor == "manual" && !reached(t, g.Server, from, to) {
					lost++
				}
				c.s("226 ok")
			}
			t.Logf("%d transfers, %d of them lost", transfers, lost)
			if transfers-lost < 3 || anchor == "manual" && lost > 0 {
				t.Errorf("%d transfers of %d were lost in a hundred reloads", lost, transfers)
			}
			ln.Close()
			eventually(t, 2*time.Second, "one accept line", func() bool { return strings.Count(g.ruleset(), acceptLine) == 1 })
			g.works(f, "after a hundred reloads")
		})
	}
}

// Ten thousand packets at once are more than a queue holds, and long ones, which come in
// fragments, are more than its socket does (ENOBUFS).
func TestTheQueueIsOverrun(t *testing.T) {
	t.Parallel()
	for _, overload := range []string{"drop", "pass"} {
		for size, flood := range map[int]uint64{6: 10_000, 20_000: 3000} {
			t.Run(fmt.Sprintf("%s, %d bytes each", overload, size), func(t *testing.T) {
				t.Parallel()
				g := newGateway(t, "[control]\nworkers = 1\non_overload = \""+overload+"\"\n")
				f := g.families()[0]
				c, noise := g.login(f), g.login(f)
				forge := noise.forger()
				noise.c("NOOP")
				seq, ack := forge.next()
				if err := g.daemon.Signal(unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				again := forge.segment(seq-6, ack, "NOOP\r\n"+strings.Repeat("x", size-6))
				for range flood {
					forge.send(again)
				}
				if _, err := io.WriteString(c.client, f.port()+"\r\n"); err != nil {
					t.Fatal(err)
				}
				arrives := func(when string) {
					t.Helper()
					_ = c.server.SetReadDeadline(time.Now().Add(20 * time.Second))
					if got, err := c.in[c.server].ReadString('\n'); got != f.port()+"\r\n" {
						t.Errorf("%s, %q arrived, %v", when, got, err)
					}
				}
				if overload == "drop" {
					c.wantNothing(c.server, "with a full queue")
				} else {
					arrives("unread")
				}
				if err := g.daemon.Signal(unix.SIGCONT); err != nil {
					t.Fatal(err)
				}
				if overload == "drop" {
					arrives("when TCP sent it again") // and the session goes on
				}
				var s api.Queue
				eventually(t, 20*time.Second, "the queue is empty again", func() bool { s = g.status().Queues[0]; return s.Waiting == 0 })
				if s.Worker.Packets >= flood || s.Dropped > 0 != (overload == "drop") {
					t.Errorf("%d packets of %d were read, %d were overrun", s.Worker.Packets, flood, s.Dropped)
				}
				ln := mustListen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort).String())
				c.s("200 ok")
				c.c("RETR x")
				c.wantData(f, overload == "drop", "announced while the queue was full")
				ln.Close()
				g.works(f, "after the overrun")
			})
		}
	}
}

// A disk that is full takes no log. Everything else goes on.
func TestTheLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	g := &gateway{Lab: newLab(t), t: t}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	daemon := g.Gateway.Command(t.Context(), "sh", "-c", "exec "+bin+" run 2>/dev/full")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the daemon is ready", func() bool {
		_, err := run(t, g.Gateway, bin+" status")
		return err == nil
	})
	f := g.families()[0]
	for range 3 {
		g.works(f, "without a log")
	}
	if s := g.status(); s.Transfers != 3 {
		t.Errorf("%d transfers", s.Transfers)
	}
	if err := daemon.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
	if after := g.ruleset(); strings.Contains(after, "ftpalg") || strings.Contains(after, "label") {
		t.Errorf("left behind:\n%s", after)
	}
}

// The daemon starts where no interface is up and no ruleset loaded, and helps when they are.
func TestStartedBeforeTheNetwork(t *testing.T) {
	t.Parallel()
	g := &gateway{Lab: newLab(t), t: t}
	for _, line := range []string{
		"nft flush ruleset", "ip -4 route save table main >routes",
		"ip link set inside down", "ip link set outside down",
	} {
		if out, err := run(t, g.Gateway, line); err != nil {
			t.Fatal(line, err, out)
		}
	}
	g.daemon = g.start("")
	for _, line := range []string{
		"ip link set inside up", "ip link set outside up", "ip -4 route flush table main", "ip route restore <routes",
	} {
		if out, err := run(t, g.Gateway, line); err != nil {
			t.Fatal(line, err, out)
		}
	}
	if err := g.Gateway.LoadRuleset(t.Context(), lab.Ruleset("stateful")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the accept line", func() bool { return strings.Contains(g.ruleset(), acceptLine) })
	g.works(g.families()[0], "when the network is there")
}

var kills = flag.Int("kills", 20, "how often TestKilledAtRandomMoments kills the daemon")

// Whenever the daemon is killed, no hole outlives its session: with on_absence = "pass" all are
// gone at once, with "drop" they are with the next start, at the latest. See -kills.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	g := &gateway{Lab: newLab(t), t: t}
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	elements := regexp.MustCompile(`(?m)^\tset (active|passive|admitted|transfers)[46] \{[^}]*elements = \{([^}]*)\}`)
	for i := range *kills {
		absence := []string{"pass", "drop"}[i%2]
		g.daemon = g.start("[control]\non_absence = \"" + absence + "\"\n")
		if left := elements.FindAllString(g.ruleset(), -1); len(left) > 0 {
			t.Fatalf("round %d: after the start there are already\n%s", i, left)
		}
		var load []*control
		for range 4 {
			load = append(load, g.login(f))
		}
		var busy sync.WaitGroup
		for n, c := range load {
			go io.Copy(io.Discard, c.server)
			busy.Go(func() { // until its connection is closed
				for p := 0; ; p++ {
					port := 20000 + 1000*n + p%1000
					line := fmt.Sprintf("PORT 10,1,4,4,%d,%d\r\nRETR x\r\n", port/256, port%256)
					if _, err := io.WriteString(c.client, line); err != nil {
						return
					}
					if _, err := io.WriteString(c.server, "200 ok\r\n150 here\r\n226 done\r\n"); err != nil {
						return
					}
					time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
				}
			})
			go io.Copy(io.Discard, c.client)
		}
		open := g.login(f) // has a pinhole open the whole time
		open.transfer(f)
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		g.killed()
		for _, c := range append(load, open) {
			c.close()
		}
		busy.Wait()
		after := g.ruleset()
		if absence == "pass" {
			if strings.Contains(after, "table inet ftpalg ") {
				t.Fatalf("round %d: the table outlived its owner:\n%s", i, after)
			}
			open.wantData(f, false, fmt.Sprintf("round %d, after the kill", i))
		} else if !elements.MatchString(after) { // so that the look after the start can find something
			t.Fatalf("round %d: the table has not outlived the daemon:\n%s", i, after)
		}
		if n := strings.Count(after, acceptLine); n > 1 {
			t.Fatalf("round %d: %d accept lines", i, n)
		}
	}
	g.daemon = g.start("")
	open := g.login(f)
	open.transfer(f)
	open.wantData(f, true, "after all of that")
	open.s("226 ok")
	g.stopped()
	if after := g.ruleset(); strings.Contains(after, "ftpalg") || strings.Contains(after, "label") {
		t.Errorf("left behind:\n%s", after)
	}
}
