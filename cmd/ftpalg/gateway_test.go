package main_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

var daemonFlag = flag.String("daemon", "", "the `program` to test, where it cannot be built (default: it is)")

// program builds the daemon as it is shipped, once a run.
var program = sync.OnceValues(func() (string, error) {
	if *daemonFlag != "" {
		return *daemonFlag, nil
	}
	dir, err := os.MkdirTemp("", "ftpalg")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ftpalg")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// newLab returns a lab whose gateway has an ordinary firewall.
func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	return newLabWith(t, lab.Options{Ruleset: lab.Ruleset("stateful")})
}

func newLabWith(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	if err := lab.Available(); errors.Is(err, lab.ErrNotRoot) {
		t.Skip("needs root:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	l, err := lab.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// gateway is a lab whose gateway runs the daemon.
type gateway struct {
	*lab.Lab
	t      *testing.T
	daemon *lab.Daemon
	in     arrangement
}

func newGateway(t *testing.T, config string) *gateway {
	t.Helper()
	g := &gateway{Lab: newLab(t), t: t}
	g.daemon = g.start(config)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", g.daemon.Log())
		}
	})
	return g
}

func (g *gateway) start(config string) *lab.Daemon { g.t.Helper(); return g.startOn(g.Gateway, config) }

func (g *gateway) startOn(h *lab.Host, config string) *lab.Daemon {
	g.t.Helper()
	bin, err := program()
	if err != nil {
		g.t.Fatal(err)
	}
	d, err := g.StartDaemon(g.t.Context(), lab.DaemonOptions{Binary: bin, Config: config, Host: h})
	if err != nil {
		g.t.Fatal(err)
	}
	return d
}

// run runs a command line on a host and returns what it printed.
func run(t *testing.T, h *lab.Host, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := h.Command(ctx, "sh", "-c", line).CombinedOutput()
	return string(out), err
}

// control is a control connection whose two ends the test plays.
type control struct {
	t              *testing.T
	g              *gateway
	f              family
	client, server net.Conn
	in             map[net.Conn]*bufio.Reader
}

// family is one of the two address families of the lab.
type family struct {
	name                                string
	client, neighbour, server, outsider netip.Addr
	dials, seen                         netip.Addr // the server as the client knows it, and the client as the server does
}

func (g *gateway) families() []family {
	return []family{
		{"IPv4", g.Client.IPv4, g.Neighbour.IPv4, g.Server.IPv4, g.Outsider.IPv4, g.in.dials(g.Server.IPv4), g.in.seen(g.Client.IPv4)},
		{"IPv6", g.Client.IPv6, g.Neighbour.IPv6, g.Server.IPv6, g.Outsider.IPv6, g.in.dials(g.Server.IPv6), g.in.seen(g.Client.IPv6)},
	}
}

// dial opens a control connection through the gateway, without a word said.
func (g *gateway) dial(f family) *control { g.t.Helper(); return g.dialFrom(f, netip.AddrPort{}) }

func (g *gateway) dialFrom(f family, local netip.AddrPort) *control {
	g.t.Helper()
	return g.dialAs(g.Client, f, local)
}

func (g *gateway) dialAs(h *lab.Host, f family, local netip.AddrPort) *control {
	g.t.Helper()
	at := netip.AddrPortFrom(f.server, 21).String()
	ln := mustListen(g.t, g.Server, at)
	defer ln.Close()
	client, err := h.DialFrom(g.t.Context(), local, "tcp", netip.AddrPortFrom(f.dials, 21).String())
	if err != nil {
		g.t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		g.t.Fatal(err)
	}
	c := &control{g.t, g, f, client, server, map[net.Conn]*bufio.Reader{}}
	for _, conn := range []net.Conn{client, server} {
		c.in[conn] = bufio.NewReader(conn)
	}
	g.t.Cleanup(c.close)
	return c
}

func (c *control) close() { c.client.Close(); c.server.Close() }

// login opens a control connection and logs in.
func (g *gateway) login(f family) *control { g.t.Helper(); return g.loginAs(g.Client, f) }

func (g *gateway) loginAs(h *lab.Host, f family) *control {
	g.t.Helper()
	c := g.dialAs(h, f, netip.AddrPort{})
	c.s("220 hello")
	c.c("USER ftpuser")
	c.s("230 Login successful.")
	return c
}

func (c *control) c(line string) { c.t.Helper(); c.say(c.client, c.server, line) }
func (c *control) s(line string) { c.t.Helper(); c.say(c.server, c.client, line) }

// say sends a line and waits until it has arrived: then its verdict was given.
func (c *control) say(from, to net.Conn, line string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(from, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
	_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
	for _, want := range strings.Split(line, "\r\n") {
		got, err := c.in[to].ReadString('\n')
		if err != nil {
			c.t.Fatalf("waiting for %q: %v", want, err)
		}
		if got != want+"\r\n" && got != c.f.outside(want)+"\r\n" {
			c.t.Fatalf("%q arrived as %q", want, got)
		}
	}
}

// listen takes connections on the client or the server until the test ends.
func listen(t *testing.T, h *lab.Host, at netip.AddrPort) {
	t.Helper()
	ln := mustListen(t, h, at.String())
	t.Cleanup(func() { ln.Close() })
}

func mustListen(t *testing.T, h *lab.Host, at string) net.Listener {
	t.Helper()
	ln, err := h.Listen(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// patience is how long a probe waits: many times what an admitted one takes.
const patience = 400 * time.Millisecond

// reaches tries a connection from a host's address and port (0: any).
func reaches(t *testing.T, h *lab.Host, from, to netip.AddrPort) bool {
	t.Helper()
	return reachesWithin(t, patience, h, from, to)
}

// reached is the same where the connection has to come through, however busy the machine is.
func reached(t *testing.T, h *lab.Host, from, to netip.AddrPort) bool {
	t.Helper()
	return reachesWithin(t, 20*patience, h, from, to)
}

func reachesWithin(t *testing.T, patience time.Duration, h *lab.Host, from, to netip.AddrPort) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := h.DialFrom(ctx, from, "tcp", to.String())
	if err != nil {
		return false
	}
	// A reset leaves nothing that would stand in the next attempt's way.
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
	return true
}

const announcedPort = 46197

// port is the announcement of announcedPort in the words of the family.
func (f family) port() string {
	if f.client.Is4() {
		return "PORT " + strings.ReplaceAll(f.client.String(), ".", ",") + ",180,117"
	}
	return fmt.Sprintf("EPRT |2|%s|%d|", f.client, announcedPort)
}

// transfer announces a port, has it accepted, and asks for a file.
func (c *control) transfer(f family) {
	c.t.Helper()
	c.c(f.port())
	c.s("200 ok")
	c.c("RETR x")
}

// data tries the data connection as announced, to the address that the server knows.
func (c *control) data(f family) bool {
	c.t.Helper()
	return reaches(c.t, c.g.Server, netip.AddrPortFrom(f.server, 20), netip.AddrPortFrom(f.seen, announcedPort))
}

// reachesClient tries it to any address.
func (g *gateway) reachesClient(f family, port uint16) bool {
	g.t.Helper()
	from := netip.AddrPortFrom(f.server, 20)
	return reaches(g.t, g.Server, from, netip.AddrPortFrom(f.seen, port)) ||
		f.seen != f.client && reaches(g.t, g.Server, from, netip.AddrPortFrom(f.client, port))
}

// reachesServer is the same for the client and a port of the server.
func (g *gateway) reachesServer(f family, port uint16) bool {
	g.t.Helper()
	return reaches(g.t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.dials, port)) ||
		f.dials != f.server && reaches(g.t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.server, port))
}

func (c *control) wantData(f family, want bool, when string) {
	c.t.Helper()
	got := false
	if want {
		got = reached(c.t, c.g.Server, netip.AddrPortFrom(f.server, 20), netip.AddrPortFrom(f.seen, announcedPort))
	} else {
		got = c.g.reachesClient(f, announcedPort)
	}
	if got != want {
		c.t.Errorf("%s, %s: the data connection got through: %v, want %v", f.name, when, got, want)
	}
}
