package main_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// inPieces sends a line in so many segments, cut elsewhere with each shift, and returns what
// arrives. Nothing of it is acknowledged before it is whole, and a sender has no more than
// ten segments on the way (RFC 6928).
func (c *control) inPieces(from, to net.Conn, line string, pieces, shift int) string {
	c.t.Helper()
	line += "\r\n"
	for begin, i := 0, 1; begin < len(line); i++ {
		end := min(len(line), i*len(line)/pieces+shift%(len(line)/pieces))
		if i >= pieces {
			end = len(line)
		}
		if _, err := io.WriteString(from, line[begin:end]); err != nil {
			c.t.Fatal(err)
		}
		begin = end
		time.Sleep(time.Millisecond)
	}
	_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
	got, err := c.in[to].ReadString('\n')
	if err != nil {
		c.t.Fatalf("waiting for %q: %v", line, err)
	}
	return got
}

func TestAnAnnouncementInPiecesIsRewritten(t *testing.T) {
	t.Parallel()
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			g := newGatewayIn(t, a, "")
			for _, f := range g.families() {
				c := g.login(f)
				for i := range 10 {
					port := uint16(announcedPort + i)
					at := strings.NewReplacer("180,117", fmt.Sprintf("%d,%d", port>>8, port&0xff), "46197", fmt.Sprint(port))
					announce, pasv := at.Replace(f.port()), f.pasv(port)
					if got, want := c.inPieces(c.client, c.server, announce, 8, i), f.outside(announce)+"\r\n"; got != want {
						t.Errorf("%q arrived, want %q", got, want)
					}
					c.s("200 ok")
					c.c("RETR x")
					listen(t, g.Client, netip.AddrPortFrom(f.client, port))
					if !reached(t, g.Server, netip.AddrPortFrom(f.server, 20), netip.AddrPortFrom(f.seen, port)) {
						t.Error(f.name, "active mode, announced in pieces, is not helped")
					}
					c.s("226 ok")
					c.c(f.askPasv())
					if got, want := c.inPieces(c.server, c.client, pasv, 8, i), f.outside(pasv)+"\r\n"; got != want {
						t.Errorf("%q arrived, want %q", got, want)
					}
					listen(t, g.Server, netip.AddrPortFrom(f.server, port))
					if !reached(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.dials, port)) {
						t.Error(f.name, "passive mode, announced in pieces, is not helped")
					}
				}
				c.close()
			}
		})
	}
}

// A line that does not end goes on in the end, as it is, and is said to be of no use.
func TestAnAnnouncementThatDoesNotEndGoesOn(t *testing.T) {
	t.Parallel()
	g := newGatewayIn(t, arrangements[0], "")
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	c := g.login(f)
	half := f.port()[:9]
	if _, err := io.WriteString(c.client, half); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(half))
	_ = c.server.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.ReadFull(c.in[c.server], buf); err != nil || string(buf) != half {
		t.Fatalf("%q arrived, want %q: %v", buf, half, err)
	}
	if _, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "pinhole.refused" }); err != nil {
		t.Error(err)
	}
	c.c(f.port()[9:])
	c.s("200 ok")
	c.c("RETR x")
	c.wantData(f, false, "announced without a translation")
	c.s("425 no")
	c.transfer(f)
	c.wantData(f, true, "announced anew")
}

// A line that has grown is lost behind the gateway, and what was said right after it is not:
// the receiver acknowledges that selectively, beyond the line.
func TestALineIsLostAndTheNextIsNot(t *testing.T) {
	t.Parallel()
	for _, a := range arrangements[:2] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			g := newGatewayIn(t, a, "")
			g.count("ct state invalid")
			f := g.families()[0]
			c := g.login(f)
			from, to, line := c.announce(f)
			host, next := g.Server, "NOOP"
			if from == c.server {
				host, next = g.Client, "226 x"
				c.c("PASV")
			}
			if err := host.LoadRuleset(t.Context(), fmt.Sprintf(`table inet loss {
	chain prerouting {
		type filter hook prerouting priority raw
		tcp flags & psh != 0 @ih,0,24 %#x limit rate 1/day burst 1 packets drop
	}
}`, line[:3])); err != nil {
				t.Fatal(err)
			}
			for _, say := range []string{line, next} {
				if _, err := fmt.Fprintf(from, "%s\r\n", say); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
			for _, want := range []string{f.outside(line), next} {
				if got, err := c.in[to].ReadString('\n'); got != want+"\r\n" {
					t.Fatalf("%q arrived, want %q: %v", got, want, err)
				}
			}
			if n := counted(t, g.Gateway); n != 0 {
				t.Errorf("%d packets were invalid", n)
			}
		})
	}
}
