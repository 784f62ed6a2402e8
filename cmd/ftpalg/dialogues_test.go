package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Honest dialogues that are out of the ordinary, with their data connections.

func TestTheClientSpeaksBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
		c := g.dial(f)
		c.c("USER ftpuser\r\nPASS ftppass") // lftp with sync-mode off
		c.s("220 hello")
		c.s("331 and the password?\r\n230 in")
		c.transfer(f)
		c.wantData(f, true, "after the client spoke first")
		c.s("226 x")
		c.c(f.askPasv())
		c.s(f.pasv(announcedPort))
		if !c.dataPassive(f) {
			t.Error(f.name, "passive mode is not helped")
		}
		c.close()
	}
}

func TestLoginAndTransferInOneSegment(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		for reply, want := range map[string]bool{"230 in": true, "530 no": false} {
			c := g.dial(f)
			c.s("220 hello")
			c.c("USER u\r\nPASS p\r\n" + f.port() + "\r\nRETR x")
			c.s("331 and the password?")
			c.wantData(f, false, "before the login")
			c.s(reply)
			c.wantData(f, want, "after "+reply)
			c.wantData(f, false, "a second time")
			c.close()
		}
	}
}

func TestASecondTransferCommandAfterARefusal(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		c := g.login(f)
		c.transfer(f)
		c.s("550 no such file")
		c.wantData(f, false, "after the refusal")
		c.c("RETR y")
		c.wantData(f, true, "after the second command")
		c.wantData(f, false, "a second time")
		c.s("150 x\r\n226 x")
		c.c("RETR z") // the connection was made: another needs another PORT
		c.wantData(f, false, "with a port that was used")
		c.close()
	}
}

func TestTwoSessionsAnnounceTheSamePort(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		for name, end := range map[string]func(*control){
			"a refusal": func(c *control) { c.s("550 no") },
			"its end":   func(c *control) { c.close(); c.waitEnd() },
		} {
			one, other := g.login(f), g.login(f)
			one.transfer(f)
			other.transfer(f)
			end(one)
			one.wantData(f, true, "after "+name+" of the other session")
			one.wantData(f, false, "a second time")
			other.close()

			one, other = g.login(f), g.login(f)
			one.transfer(f)
			other.transfer(f)
			end(one)
			end(other)
			one.wantData(f, false, "after both have ended by "+name)
			one.close()
			other.close()
		}
	}
}

func TestOneReplyForTheTransferAndItsABOR(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
		for _, reply := range []string{"226 aborted", "426 aborted", "225 aborted", "426 broken off\r\n226 aborted"} {
			c := g.login(f)
			c.transfer(f)
			c.wantData(f, true, "before ABOR")
			c.s("150 here it comes")
			c.c("ABOR")
			c.s(reply)
			c.c(f.askPasv())
			c.s(f.pasv(announcedPort))
			if !c.dataPassive(f) {
				t.Errorf("%s: passive mode is not helped after ABOR and %q", f.name, reply)
			}
			c.c("RETR x")
			c.s("150 x\r\n226 x")
			c.transfer(f)
			c.wantData(f, true, "active mode after ABOR and "+reply)
			c.close()
		}
	}
}

// What came of one announcement is not held against the next.
func TestAnAnnouncementAfterOneWhoseConnectionCame(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
		c := g.login(f)
		for range 2 {
			c.c(f.askPasv())
			c.s(f.pasv(announcedPort))
			if !c.dataPassive(f) {
				t.Error(f.name, "the passive connection is blocked")
			}
			c.c(f.port() + "\r\nRETR x") // without a command for the first
			c.wantData(f, true, "after a passive connection that nobody used")
			c.s("200 ok\r\n150 x\r\n226 x")
		}
		c.close()
	}
}

// Clients connect to the server's own address, whatever 227 says.
func TestPassiveModeOfAServerThatNamesAnotherAddress(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	f := g.families()[0]
	listen(t, g.Server, netip.AddrPortFrom(f.server, announcedPort))
	listen(t, g.Outsider, netip.AddrPortFrom(f.outsider, announcedPort))
	for _, named := range []string{"0,0,0,0", "127,0,0,1", "192,168,1,5", "10,2,5,66"} {
		c := g.login(f)
		c.c("PASV")
		c.s("227 Entering Passive Mode (" + named + ",180,117).")
		if reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.outsider, announcedPort)) {
			t.Errorf("another host was reached after a 227 that names %s", named)
		}
		if !c.dataPassive(f) {
			t.Errorf("the server is not reached after a 227 that names %s", named)
		}
		if c.dataPassive(f) {
			t.Errorf("the server is reached twice after a 227 that names %s", named)
		}
		c.close()
	}
}

// An empty line is no command: vsftpd and pure-ftpd do not answer it, proftpd does.
func TestAnEmptyLine(t *testing.T) {
	t.Parallel()
	pureftpd := namesServer{"pure-ftpd", func(ctx context.Context, l *lab.Lab) (*lab.Process, error) {
		return l.StartPureFTPD(ctx, lab.PureFTPDOptions{})
	}}
	for _, s := range []namesServer{vsftpd, proftpd, pureftpd} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "")
			if _, err := s.start(t.Context(), g.Lab); err != nil {
				t.Fatal(err)
			}
			f := g.families()[0]
			conn, err := g.Client.Dial(t.Context(), "tcp", netip.AddrPortFrom(f.server, 21).String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			in := bufio.NewReader(conn)
			reply := func(code string) string {
				t.Helper()
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						t.Fatalf("%s does not come: %v", code, err)
					}
					if strings.HasPrefix(line, code+" ") {
						return line
					}
				}
			}
			reply("220")
			for _, exchange := range [][2]string{{"USER " + lab.User, "331"}, {"PASS " + lab.Password, "230"}, {"\r\nNOOP", "200"}} {
				_, _ = fmt.Fprintf(conn, "%s\r\n", exchange[0])
				reply(exchange[1])
			}
			for range 2 {
				_, _ = fmt.Fprintf(conn, "\r\nPASV\r\n")
				port := announcedIn(t, reply("227"))
				if !reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.server, port)) {
					t.Error("passive mode is not helped after an empty line")
				}
			}
			ln := mustListen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort).String())
			defer ln.Close()
			_, _ = fmt.Fprintf(conn, "\r\n%s\r\n\r\nLIST\r\n", f.port())
			reply("150")
			data, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if list, err := io.ReadAll(data); err != nil || !strings.Contains(string(list), "R1.cfg") {
				t.Errorf("the list is %q, %v", list, err)
			}
			data.Close()
			reply("226")
		})
	}
}
