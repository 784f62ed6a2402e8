package main_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Servers write the names of files and directories raw, and a hostile client, or whoever
// may write there, chooses them: they hold whole lines, a 227 among them. The servers are
// honest, and nobody asked for that port (design, section 4: whose reply).

// hidden is what the names announce: a port of the server with another service.
const hiddenPort = 8081

var hidden = fmt.Sprintf("227 Entering Passive Mode (10,2,5,5,%d,%d)", hiddenPort>>8, hiddenPort&0xff)

// program names a server, and how it is started.
type namesServer struct {
	name  string
	start func(context.Context, *lab.Lab) (*lab.Process, error)
}

var (
	vsftpd = namesServer{"vsftpd", func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartVSFTPD(ctx, lab.VSFTPDOptions{})
	}}
	proftpd = namesServer{"proftpd", func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartProFTPD(ctx, lab.ProFTPDOptions{})
	}}
)

// client is a lab with a server program, and a client that a test plays.
func (s namesServer) client(g *gateway) (login func(port uint16) *endpoint) {
	t := g.t
	t.Helper()
	if _, err := s.start(t.Context(), g.Lab); err != nil {
		t.Fatal(err)
	}
	f := g.families()[0]
	listen(t, g.Server, netip.AddrPortFrom(f.server, hiddenPort))
	silence(t, g.Client, "tcp dport 30000-30099")
	return func(port uint16) *endpoint {
		t.Helper()
		e := g.connect(g.Client, g.Router, netip.AddrPortFrom(f.client, port), netip.AddrPortFrom(f.dials, 21))
		e.logsIn()
		return e
	}
}

func (e *endpoint) logsIn() {
	e.t.Helper()
	e.hears("220 ", 0)
	e.hears("\r\n", 0)
	e.asks("USER "+lab.User, "331 ")
	e.asks("PASS "+lab.Password, "230 ")
}

// wantHidden checks that the port in the name is not reached.
func (g *gateway) wantHidden(when string) {
	g.t.Helper()
	read()
	if g.reachesServer(g.families()[0], hiddenPort) {
		g.t.Errorf("%s: port %d of the server was reached", when, hiddenPort)
	}
}

func TestNamesInSTAT(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		namesServer
		made, listed, code string // a name as MKD has it and as STAT shows it
	}{
		// vsftpd makes LF of NUL in a command, and keeps CR.
		{vsftpd, "a\r\x00213 x\r\x00" + hidden, "a\r\n213 x\r\n", "213"},
		// proftpd ends a command by CR LF alone.
		{proftpd, "a\n212 x\n" + hidden, "a\n212 x\n", "212"},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, "", func(t *testing.T, g *gateway) {
				login := s.client(g)
				maker := login(30001) // what it says is not held against the other
				maker.asks("MKD q", "257 ")
				maker.asks("MKD q/"+s.made, "257 ")

				whole := login(30002)
				before := len(whole.stream)
				whole.says("STAT q\r\nPASV\r\n")
				text := whole.hears("\r\n"+s.code+" ", before)
				if !strings.Contains(text, s.listed) {
					t.Fatalf("%s lists %q, want %q in it", s.name, text, s.listed)
				}
				whole.hears("\r\n227 ", before)
				g.wantHidden("STAT and PASV in one segment")

				// The client asks when the name has ended the reply and not yet begun the next.
				slow := login(30003)
				slow.room = 0
				slow.window()
				slow.says("STAT q\r\n")
				slow.receives(strings.Index(text, s.listed) + len(s.listed))
				slow.says("PASV\r\n")
				slow.room = 0x7000
				before = len(slow.stream)
				slow.window()
				slow.hears(hidden, before)
				g.wantHidden("PASV in the middle of the answer to STAT")
			})
		})
	}
}

func TestNamesInPWD(t *testing.T) { t.Parallel(); everywhere(t, "", namesInPWD) }

func namesInPWD(t *testing.T, g *gateway) {
	login := proftpd.client(g)
	// proftpd looks for the line's end before it takes telnet commands away, so that
	// this makes CR LF of both ends of the line within.
	const ends = "\r\xff\xfb\x01\n" // CR, IAC WILL ECHO, LF
	name := "a" + ends + hidden + ends + "x"
	maker := login(30001)
	maker.asks("MKD "+name, "257 ")
	maker.asks("CWD "+name, "250 ")
	before := len(maker.stream)
	maker.says("PWD\r\nPASV\r\n")
	maker.hears("\r\n"+hidden+"\r\nx\" is the current directory", before)
	g.wantHidden("PWD where the name has a line of its own")

	// The same by a client that went there without a strange byte.
	if err := os.Symlink(strings.ReplaceAll(name, "\xff\xfb\x01", ""), g.Path(lab.ServerFiles+"/there")); err != nil {
		t.Fatal(err)
	}
	other := login(30002)
	other.asks("CWD there", "250 ")
	before = len(other.stream)
	other.says("PWD\r\nPASV\r\n")
	other.hears("\r\n"+hidden+"\r\nx\" is the current directory", before)
	g.wantHidden("PWD where a link has led")
}
