package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Packets that only a hostile sender makes, and that the daemon cannot read, must not
// pass unread (design, section 4: whose bytes).

// played is a control connection of which a test plays the client segment by segment,
// and the server on a socket of its kernel.
type played struct {
	*endpoint
	server net.Conn
	in     *bufio.Reader
}

const playedPort = 30021

func (g *gateway) played(f family) *played {
	g.t.Helper()
	silence(g.t, g.Client, fmt.Sprintf("tcp dport %d", playedPort))
	at := netip.AddrPortFrom(f.server, 21)
	ln := mustListen(g.t, g.Server, at.String())
	defer ln.Close()
	e := g.connect(g.Client, g.Router, netip.AddrPortFrom(f.client, playedPort), netip.AddrPortFrom(f.dials, 21))
	server, err := ln.Accept()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { server.Close() })
	p := &played{e, server, bufio.NewReader(server)}
	p.answers("220 hello", "")
	p.says("USER u\r\n")
	p.answers("230 in", "USER u")
	return p
}

// answers checks what has arrived at the server, and has it answer.
func (p *played) answers(reply, line string) {
	p.t.Helper()
	if line != "" {
		_ = p.server.SetReadDeadline(time.Now().Add(5 * time.Second))
		if got, err := p.in.ReadString('\n'); err != nil || got != line+"\r\n" {
			p.t.Fatalf("%q arrived, want %q: %v", got, line, err)
		}
	}
	from := len(p.stream)
	if _, err := fmt.Fprintf(p.server, "%s\r\n", reply); err != nil {
		p.t.Fatal(err)
	}
	p.hears(reply+"\r\n", from)
}

// arrives returns what arrives at the server within a moment.
func (p *played) arrives() string {
	buf := make([]byte, 1<<17)
	all := ""
	for {
		_ = p.server.SetReadDeadline(time.Now().Add(patience))
		n, err := p.in.Read(buf)
		all += string(buf[:n])
		if err != nil {
			return all
		}
	}
}

const denyTLS = "[policy]\nauth_tls = \"deny\"\n"

func TestNineExtensionHeaders(t *testing.T) {
	t.Parallel()
	for line, config := range map[string]string{"NOOP": "", "AUTH TLS": denyTLS} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			everywhere(t, config, func(t *testing.T, g *gateway) {
				f := g.families()[1]
				p := g.played(f)
				s := p.out(line + "\r\n")
				s.headers = 9
				p.send(s)
				if got := p.arrives(); got != "" {
					t.Errorf("%q arrived, in a packet with nine extension headers", got)
					return // the server's numbers are others now
				}
				p.says("NOOP\r\n")
				p.answers("200 ok", "NOOP")
			})
		})
	}
}

func TestEightExtensionHeadersAreRead(t *testing.T) {
	t.Parallel()
	everywhere(t, "", eightExtensionHeadersAreRead)
}

func eightExtensionHeadersAreRead(t *testing.T, g *gateway) {
	f := g.families()[1]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	p := g.played(f)
	s := p.out(f.port() + "\r\nRETR x\r\n")
	s.headers = 8
	p.send(s)
	p.sent += uint32(len(s.payload))
	p.answers("200 ok", f.outside(f.port()))
	p.answers("150 here it comes", "RETR x")
	if !reaches(t, g.Server, netip.AddrPortFrom(f.server, 20), netip.AddrPortFrom(f.seen, announcedPort)) {
		t.Error("an announcement in a packet with eight extension headers is not served")
	}
}

// An IP packet may have 65,535 bytes, and the kernel's queue hands out 65,531 of them
// (nfqnl_build_packet_message: an attribute's length has 16 bits, its header among them).
func TestAPacketThatIsLongerThanAQueueCarries(t *testing.T) {
	t.Parallel()
	for line, config := range map[string]string{"NOOP": "", "AUTH TLS": denyTLS} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			everywhere(t, config, func(t *testing.T, g *gateway) {
				f := g.families()[0]
				setting(t, g.Server, "net.ipv4.tcp_rmem", "4096 4194304 6291456")
				p := g.played(f)
				// The server's window grows with what it gets.
				const longest = 65535 - 20 - 20
				for range 20 {
					if p.theirs >= longest {
						break
					}
					long := "NOOP " + strings.Repeat("x", 1200)
					p.says(long + "\r\n")
					p.answers("200 ok", long)
				}
				if p.theirs < longest {
					t.Fatalf("the server's window is no more than %d bytes", p.theirs)
				}
				s := p.out(line + "\r\n" + strings.Repeat("NOOP\r\n", longest))
				s.payload = s.payload[:longest]
				for _, part := range s.fragments(t) {
					p.put(part)
				}
				if got := p.arrives(); got != "" {
					t.Errorf("%d bytes arrived, %q the first of them", len(got), got[:10])
					return // the server's numbers are others now
				}
				p.says("NOOP\r\n")
				p.answers("200 ok", "NOOP")
			})
		})
	}
}

// What the client hides comes back from a server that repeats it: proftpd ends a command
// by CR LF alone and says 550 with all of it.
func TestHiddenBytesThatTheServerRepeats(t *testing.T) {
	t.Parallel()
	everywhere(t, "", hiddenBytesThatTheServerRepeats)
}

func hiddenBytesThatTheServerRepeats(t *testing.T, g *gateway) {
	proftpd.client(g)
	f := g.families()[1]
	target := netip.AddrPortFrom(f.server, hiddenPort)
	listen(t, g.Server, target)
	e := g.connect(g.Client, g.Router, netip.AddrPortFrom(f.client, 30021), netip.AddrPortFrom(f.dials, 21))
	e.logsIn()
	e.room = 0
	e.window()
	const answer = "200 NOOP command successful\r\n"
	s := e.out("NOOP\r\nCWD x\n229 Entering Extended Passive Mode (|||8081|)\r\n")
	s.headers, s.window = 9, uint16(len(answer)) // room for the first answer: it acknowledges all
	e.send(s)
	read()
	before := len(e.stream)
	for { // what came of it, if anything did
		in, ok := e.take(100 * time.Millisecond)
		if !ok {
			break
		}
		if in.from == e.remote && in.to == e.local {
			e.room = len(answer)
			e.reads(in)
			e.room = 0
		}
	}
	if len(e.stream) > before {
		e.sent += uint32(len(s.payload))
	}
	e.send(e.out("NOOP\r\nNOOP\r\nEPSV\r\n"))
	e.sent += 18
	read()
	e.room = 0x7000
	e.window()
	e.hears("229 Entering", before)
	read()
	if g.reachesServer(f, hiddenPort) {
		t.Errorf("%v was reached: %q", target, e.stream[before:])
	}
}

func TestManyAUTHInOneSegment(t *testing.T) {
	t.Parallel()
	g := newGateway(t, denyTLS+"on_violation = \"ignore\"\n")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	if _, err := c.client.Write([]byte(strings.Repeat("AUTH\r\n", 65))); err != nil {
		t.Fatal(err)
	}
	_ = c.server.SetReadDeadline(time.Now().Add(time.Second))
	for {
		line, err := c.in[c.server].ReadString('\n')
		if strings.HasPrefix(line, "AUTH") {
			t.Fatalf("%q arrived", line)
		}
		if err != nil {
			break
		}
	}
	select {
	case <-g.daemon.Exited():
		t.Fatal("the daemon has ended")
	default:
	}
	other := g.login(f)
	other.transfer(f)
	other.wantData(f, true, "on another connection")
}

// With auth_tls = "deny" an AUTH arrives nowhere, whatever else has happened.
func TestADeniedAUTHNeverArrives(t *testing.T) {
	t.Parallel()
	g := newGateway(t, denyTLS+"max_sessions_per_client = 2\n")
	f := g.families()[0]
	junk := g.login(f)
	junk.c("Host: example.org")
	g.login(f)
	// A third is one too many: it may be refused altogether.
	ln := mustListen(t, g.Server, netip.AddrPortFrom(f.server, 21).String())
	defer ln.Close()
	within, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	third, err := g.Client.Dial(within, "tcp", ln.Addr().String())
	var ends [][2]net.Conn
	ends = append(ends, [2]net.Conn{junk.client, junk.server})
	if err == nil {
		defer third.Close()
		_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(time.Second))
		if server, err := ln.Accept(); err == nil {
			defer server.Close()
			ends = append(ends, [2]net.Conn{third, server})
		}
	}
	for i, end := range ends {
		_, _ = io.WriteString(end[0], "AUTH TLS\r\n")
		_ = end[1].SetReadDeadline(time.Now().Add(patience))
		if line, _ := bufio.NewReader(end[1]).ReadString('\n'); strings.HasPrefix(line, "AUTH") {
			t.Errorf("%s: %q arrived", [2]string{"after a line that is no FTP", "on a connection too many"}[i], line)
		}
	}
}
