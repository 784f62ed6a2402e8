package main_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Resets that the daemon injects leave through the output hook. Where our chains stand
// there, they come back to the daemon, which answers each with two more.
func TestResetsReachBothEndsOfASingleHost(t *testing.T) {
	t.Parallel()
	const filter = `table inet filter {
	chain input { type filter hook input priority filter; policy accept; }
	chain output { type filter hook output priority filter; policy accept; }
	chain forward { type filter hook forward priority filter; policy accept; }
}`
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ who, hooks string }{
		{"client", `"input", "output"`}, {"server", `"input", "output"`}, {"gateway", `"forward", "output"`},
	} {
		t.Run(tc.who, func(t *testing.T) {
			t.Parallel()
			g := &gateway{Lab: newLab(t), t: t}
			if err := g.Gateway.LoadRuleset(t.Context(), "flush ruleset\n"+lab.Ruleset("open")); err != nil {
				t.Fatal(err)
			}
			host := g.Gateway
			if tc.who != "gateway" {
				host = g.Host(tc.who)
			}
			if err := host.LoadRuleset(t.Context(), "flush ruleset\n"+filter); err != nil {
				t.Fatal(err)
			}
			config := "[control]\nhooks = [" + tc.hooks + "]\n[policy]\non_violation = \"reset\"\n"
			g.daemon, err = g.StartDaemon(t.Context(), lab.DaemonOptions{Binary: bin, Config: config, Host: host})
			if err != nil {
				t.Fatal(err)
			}
			f := g.families()[0]
			c := g.login(f)
			if _, err := io.WriteString(c.client, "PORT 10,1,4,4,0,22\r\n"); err != nil {
				t.Fatal(err)
			}
			for end, conn := range map[string]net.Conn{"client": c.client, "server": c.server} {
				_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
				if _, err := io.Copy(io.Discard, conn); err == nil || !strings.Contains(err.Error(), "reset") {
					t.Errorf("the %s got %v, want a reset", end, err)
				}
			}
			queued := func() string {
				out, _ := run(t, host, "awk '{n += $8} END {print n}' /proc/net/netfilter/nfnetlink_queue")
				return strings.TrimSpace(out)
			}
			a := queued()
			time.Sleep(500 * time.Millisecond)
			if b := queued(); a != b {
				t.Errorf("nobody says anything, but packet number %s became %s within half a second", a, b)
			}
		})
	}
}

// The vouching is of a connection, but is kept by its ports alone, for as long as the
// daemon runs.
func TestAVouchedFlowThatEndedVouchesForTheNext(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	client := netip.MustParseAddrPort(c.client.LocalAddr().String())
	c.c("NOOP")
	c.s("200 ok")
	time.Sleep(200 * time.Millisecond)
	g.killed()
	g.daemon = g.start("")
	c.close() // without another word
	time.Sleep(100 * time.Millisecond)
	c = g.dialFrom(f, client) // its SYN is seen
	c.s("220 hello")
	c.c("POST / HTTP/1.1")
	if _, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "session.not_ftp" }); err != nil {
		t.Fatal(err)
	}
	c.c("TYPE I")
	c.s("200 ok")
	c.transfer(f)
	c.wantData(f, false, "in a connection that is not FTP, by the label of the one before it")
}

// A session that was taken up after a clean stop and then ended leaves its label, and a
// crash later it is taken up once more.
func TestHelpThatEndedAfterACleanRestartComesBackAfterACrash(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	g.stopped()
	g.daemon = g.start("")
	c.c("Host: example.org") // the dialogue is not FTP any more
	if _, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "session.not_ftp" || e.Event == "session.end" }); err != nil {
		t.Fatal(err)
	}
	g.killed()
	g.daemon = g.start("")
	c.c("TYPE I")
	c.s("200 ok")
	c.transfer(f)
	c.wantData(f, false, "after a crash, in a dialogue that the last daemon had found not to be FTP")
}

// The same, where what was said while no daemon ran was the end of FTP.
func TestAGapThatEndedHelpIsForgottenByACrash(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	g.stopped()
	c.c("REIN") // nobody is logged in any more
	c.s("220 ok")
	g.daemon = g.start("")
	c.c("NOOP")
	c.s("200 ok") // "it did not go on where the daemon had stopped"
	g.killed()
	g.daemon = g.start("")
	c.c("TYPE I")
	c.s("200 ok")
	c.transfer(f)
	c.wantData(f, false, "after a crash, where the daemon before had given it up")
}

func TestTheSavedFileIsRootsAlone(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	g.stopped()
	name := g.Path("/run/ftpalg/sessions")
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := os.Stat(filepath.Dir(name))
	t.Log(st.Mode(), dir.Mode())
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	// Somebody else's file now.
	if err := errorsJoin(os.Chmod(name, 0o666), os.Chown(name, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	g.daemon = g.start("")
	c.transfer(f)
	c.wantData(f, false, "by a file that belongs to nobody, and that everybody may write")
}

func errorsJoin(errs ...error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

func TestAFIFOInPlaceOfTheSavedFileDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	g.stopped()
	name := g.Path("/run/ftpalg/sessions")
	_ = os.Remove(name)
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	bin, _ := program()
	done := make(chan error, 1)
	go func() {
		_, err := g.StartDaemon(t.Context(), lab.DaemonOptions{Binary: bin})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(4 * time.Second):
		t.Error("the daemon waits for a writer of a FIFO, with its table in place")
		f, err := os.OpenFile(name, os.O_WRONLY|unix.O_NONBLOCK, 0) // let it go
		if err == nil {
			f.Close()
		}
		<-done
	}
}

// One hostile server knocks; another's near miss is told late, or never.
func TestNearMissesOfOneDoNotDelayThoseOfOthers(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[control]\nworkers = 4\n")
	f4, f6 := g.families()[0], g.families()[1]
	hostile := g.login(f4)
	hostile.c("NOOP")
	hostile.s("200 ok")
	w := g.wire(g.Server, "eth0", g.Gateway, "outside")
	stop, stopped := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-stopped }()
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			w.send(segment{from: netip.AddrPortFrom(f4.server, 40000+uint16(i%5000)), to: netip.AddrPortFrom(f4.client, 2000), seq: uint32(i), flags: syn, window: 1000})
		}
	}()
	time.Sleep(15 * time.Second)
	listen(t, g.Client, netip.AddrPortFrom(f6.client, announcedPort))
	c := g.login(f6)
	c.transfer(f6)
	at := time.Now()
	reaches(t, g.Server, netip.AddrPortFrom(f6.server, 33333), netip.AddrPortFrom(f6.client, announcedPort))
	_, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "pinhole.missed" })
	t.Log(time.Since(at), err)
	if d := time.Since(at); d > 2*time.Second {
		t.Errorf("told after %v", d)
	}
}

// A SYN with the number of the admitted one is its repetition only on the same entry.
func TestTheAdmittedSYNOpensNoSecondConnection(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	k := g.knocker(f)
	c := g.login(f)
	c.transfer(f)
	k.knock(1)
	if got := k.arrived(); !slices.Equal(got, []uint32{1}) {
		t.Fatal(got)
	}
	for range 3 {
		// Over: the entry is one of a connection that was reset by who opened it.
		k.send(segment{from: k.from, to: k.to, seq: 2, flags: rst, window: 0})
		k.knock(1)
	}
	if got := k.arrived(); len(got) != 1 {
		t.Errorf("%d connections were begun by one announcement", len(got))
	}
}

// An unused pinhole that ran out is "used", if the tick came later than the kernel's clock.
func TestAPinholeThatRanOutIsNotUsed(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[pinhole]\ntimeout = \"1s\"\n[control]\nworkers = 1\n")
	f := g.families()[0]
	other := g.login(f)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // a little traffic, so that reads end early and the tick is late
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(97 * time.Millisecond):
			}
			_, _ = io.WriteString(other.client, "NOOP\r\n")
		}
	}()
	go io.Copy(io.Discard, other.server)
	for i := range 8 {
		c := g.login(f)
		c.c(fmt.Sprintf("PORT 10,1,4,4,180,%d", 100+i))
		c.s("200 ok")
		c.c("RETR x")
		time.Sleep(137 * time.Millisecond)
	}
	time.Sleep(1500 * time.Millisecond)
	close(stop)
	<-done
	n, m := 0, 0
	for _, e := range g.daemon.Events() {
		switch e.Event {
		case "pinhole.used":
			n++
		case "pinhole.closed":
			m++
		}
	}
	if n > 0 {
		t.Errorf("%d pinholes of 8 were told to be used, and nobody came; %d closed", n, m)
	}
}

// The same when the daemon could not run for a while.
func TestAPinholeThatRanOutWhileTheDaemonSleptIsNotUsed(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[pinhole]\ntimeout = \"1s\"\n")
	f := g.families()[0]
	c := g.login(f)
	c.transfer(f)
	_ = g.daemon.Signal(unix.SIGSTOP)
	time.Sleep(1500 * time.Millisecond)
	_ = g.daemon.Signal(unix.SIGCONT)
	time.Sleep(500 * time.Millisecond)
	for _, e := range g.daemon.Events() {
		if e.Event == "pinhole.used" {
			t.Errorf("used: %+v", e)
		}
	}
}

func TestSIGHUPDoesNotKill(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	_ = g.daemon.Signal(unix.SIGHUP)
	select {
	case <-g.daemon.Exited():
		t.Errorf("the daemon is gone; the ruleset:\n%s", g.ruleset())
	case <-time.After(time.Second):
	}
}

// The table stays when a daemon stops that must not be passed by; its FTPS ranges do not.
func TestFTPSRangeAfterTheDaemon(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "[control]\non_absence = \"drop\"\n"+ftpsServer)
	g.ftps()
	f := g.families()[0]
	p := g.probes(f)
	g.tlsLogin(f)
	p.want(true, "after the login")
	g.stopped()
	p.want(false, "after the daemon's stop")
}

// One client's announcements push the events of everybody out of the log.
func TestOneClientDoesNotDrownTheEventsOfOthers(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	const many = 80
	var all []*control
	for range many {
		all = append(all, g.login(f))
	}
	for _, c := range all {
		go io.Copy(io.Discard, c.server)
		go io.WriteString(c.client, strings.Repeat(f.port()+"\r\n", 300))
	}
	time.Sleep(3 * time.Second)
	g.stopped()
	ended := 0
	for _, e := range g.daemon.Events() {
		if e.Event == "session.end" {
			ended++
		}
	}
	if ended != many {
		t.Errorf("%d sessions of %d are told to have ended", ended, many)
	}
}
