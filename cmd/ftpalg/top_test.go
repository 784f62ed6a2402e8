package main_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// tmux is a terminal of 80 by 24 on the gateway, with a program in it.
type tmux struct {
	g       *gateway
	command string
}

func (g *gateway) tmux(name, script string) tmux {
	g.t.Helper()
	x := tmux{g, "tmux -S " + name + " -f /dev/null "}
	x.run("new-session -d -x 80 -y 24 " + script)
	return x
}

func (x tmux) run(command string) string {
	x.g.t.Helper()
	out, err := run(x.g.t, x.g.Gateway, x.command+command)
	if err != nil {
		x.g.t.Fatalf("tmux %s: %v\n%s", command, err, out)
	}
	return out
}

func (x tmux) screen() string { x.g.t.Helper(); return x.run("capture-pane -p") }

// await waits until the screen has all of the texts.
func (x tmux) await(texts ...string) {
	x.g.t.Helper()
	var text string
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		text = x.screen()
		missing := false
		for _, want := range texts {
			missing = missing || !strings.Contains(text, want)
		}
		if !missing {
			return
		}
	}
	x.g.t.Fatalf("not all of %q is there:\n%s", texts, text)
}

func TestTopInATerminal(t *testing.T) {
	t.Parallel()
	g := &gateway{Lab: newLab(t), t: t}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	const absent = "no daemon answers at /run/ftpalg/ftpalg.sock: is it running?"
	script := `"sh -c 'stty -g >before; echo above; ` + bin + ` top; echo ended \$?; stty -g >after; cat'"`
	x := g.tmux("first", script)
	x.await(absent, "q quit")
	g.daemon = g.start("")
	x.await("No control connection is followed", "Nothing was refused or missed since", "sessions 0")

	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	low := g.login(f)
	low.c("PORT 10,1,4,4,0,22")
	low.s("200 ok")
	x.await("announcements refused 1", "pinhole.refused", "min_port", "10.1.4.4", "a port below the lowest allowed")
	c := g.login(f)
	c.transfer(f)
	x.await("sessions 2", "open pinholes 1", "active open", c.client.LocalAddr().String())
	reaches(t, g.Server, netip.AddrPortFrom(f.server, 33333), netip.AddrPortFrom(f.client, announcedPort))
	x.await("connections missed 1", "pinhole.missed", "source_port", "the data connection came from port 33333, not 20")
	c.wantData(f, true, "beside top")
	c.s("226 ok")
	x.await("transfers 1", "active closed")
	if screen := x.screen(); strings.Contains(screen, "above") || strings.Count(screen, "\n") != 24 {
		t.Errorf("not the whole of the screen:\n%s", screen)
	}

	g.killed() // and comes back
	x.await(absent)
	g.daemon = g.start("")
	x.await("sessions", "transfers 0")
	next := g.login(f)
	next.c("PORT 10,1,4,4,0,23") // events are heard again
	next.s("200 ok")
	x.await("announcements refused 1", "2      ")

	for i, key := range []string{"q", "C-c"} {
		if i > 0 {
			x = g.tmux("second", script)
			x.await("q quit", "sessions 1")
		}
		x.run("send-keys " + key)
		x.await("above", "ended 0")
		if out, err := run(t, g.Gateway, "cmp before after && rm after"); err != nil {
			t.Errorf("after %s the terminal is not as it was: %s", key, out)
		}
		if screen := x.screen(); strings.Contains(screen, "q quit") {
			t.Errorf("after %s something is left on the screen:\n%s", key, screen)
		}
	}
}

// Where nobody looks, it says what is for programs.
func TestTopWithoutATerminal(t *testing.T) {
	t.Parallel()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{Lab: newLab(t), t: t}
	if out, err := run(t, g.Gateway, bin+" top"); err == nil || !strings.Contains(out, "this is no terminal") {
		t.Errorf("%v: %s", err, out)
	}
}
