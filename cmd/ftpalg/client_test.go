package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// ftpClient is a client that a test drives command by command, with a real server.
type ftpClient struct {
	t    *testing.T
	host *lab.Host
	conn net.Conn
	in   *bufio.Reader

	hurries bool     // it sends the transfer command before the answer to PORT is there
	due     []string // codes of the answers that it has not waited for
}

// ftpLogin has a host log in.
func ftpLogin(t *testing.T, h *lab.Host, server netip.AddrPort) *ftpClient {
	t.Helper()
	conn, err := h.Dial(t.Context(), "tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &ftpClient{t: t, host: h, conn: conn, in: bufio.NewReader(conn)}
	c.hear("220")
	c.ask("USER "+lab.User, "331")
	c.ask("PASS "+lab.Password, "230")
	c.ask("TYPE I", "200")
	return c
}

// backoff is for how long nothing may come of what is lost several times in a row: TCP waits
// twice as long before each repetition.
const backoff = time.Minute

// hear waits for a reply with that code, and for those due before it, and returns its last
// line.
func (c *ftpClient) hear(code string) string {
	c.t.Helper()
	if len(c.due) > 0 {
		first := c.due[0]
		c.due = c.due[1:]
		c.hear(first)
		return c.hear(code)
	}
	_ = c.conn.SetDeadline(time.Now().Add(backoff))
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", code, err)
		}
		if len(line) > 3 && line[3] == '-' || line[0] == ' ' {
			continue
		}
		if !strings.HasPrefix(line, code+" ") {
			c.t.Fatalf("%q came in place of %s", line, code)
		}
		return line
	}
}

func (c *ftpClient) tell(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
}

func (c *ftpClient) ask(line, code string) string { c.t.Helper(); c.tell(line); return c.hear(code) }

// local and remote are the ends of the control connection as the client knows them.
func (c *ftpClient) local() netip.AddrPort {
	return netip.MustParseAddrPort(c.conn.LocalAddr().String())
}

func (c *ftpClient) remote() netip.AddrPort {
	return netip.MustParseAddrPort(c.conn.RemoteAddr().String())
}

// announces are the ways to agree on a data connection, by family.
var announces = map[bool][]string{true: {"PORT", "PASV", "EPRT", "EPSV"}, false: {"EPRT", "EPSV"}}

// data agrees on a data connection, and returns what gives it once a transfer command was
// said.
func (c *ftpClient) data(how string) func() net.Conn {
	c.t.Helper()
	switch how {
	case "PORT", "EPRT":
		ln := mustListen(c.t, c.host, netip.AddrPortFrom(c.local().Addr(), 0).String())
		c.announce(how, netip.MustParseAddrPort(ln.Addr().String()))
		return func() net.Conn {
			c.t.Helper()
			defer ln.Close()
			_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(backoff))
			conn, err := ln.Accept()
			if err != nil {
				c.t.Fatal(err)
			}
			return conn
		}
	}
	at := c.passive(how)
	conn, err := c.host.Dial(c.t.Context(), "tcp", at.String())
	if err != nil {
		c.t.Fatalf("to %v, which %s announced: %v", at, how, err)
	}
	return func() net.Conn { return conn }
}

// announce announces an end of the client's.
func (c *ftpClient) announce(how string, at netip.AddrPort) {
	c.t.Helper()
	family := 1
	if at.Addr().Is6() {
		family = 2
	}
	line := fmt.Sprintf("EPRT |%d|%s|%d|", family, at.Addr(), at.Port())
	if how == "PORT" {
		line = fmt.Sprintf("PORT %s,%d,%d", strings.ReplaceAll(at.Addr().String(), ".", ","), at.Port()>>8, at.Port()&0xff)
	}
	c.tell(line)
	c.due = append(c.due, "200")
	if !c.hurries {
		c.due = nil
		c.hear("200")
	}
}

// passive returns the end that the server announces.
func (c *ftpClient) passive(how string) netip.AddrPort {
	c.t.Helper()
	if how == "EPSV" {
		reply := c.ask("EPSV", "229")
		var port uint16
		if _, err := fmt.Sscanf(reply[strings.IndexByte(reply, '('):], "(|||%d|)", &port); err != nil {
			c.t.Fatalf("%q: %v", reply, err)
		}
		return netip.AddrPortFrom(c.remote().Addr(), port)
	}
	reply := c.ask("PASV", "227")
	at := netip.AddrPortFrom(addressIn(c.t, reply), announcedIn(c.t, reply))
	if at.Addr() != c.remote().Addr() {
		c.t.Errorf("%q names another address than %v", reply, c.remote().Addr())
	}
	return at
}

// addressIn returns the address of a 227.
func addressIn(t *testing.T, reply string) netip.Addr {
	t.Helper()
	_, numbers, _ := strings.Cut(reply, "(")
	var b [4]byte
	if _, err := fmt.Sscanf(numbers, "%d,%d,%d,%d,", &b[0], &b[1], &b[2], &b[3]); err != nil {
		t.Fatalf("%q: %v", reply, err)
	}
	return netip.AddrFrom4(b)
}

// get downloads a file.
func (c *ftpClient) get(how, name string) []byte {
	c.t.Helper()
	data := c.data(how)
	c.tell("RETR " + name)
	conn := data()
	defer conn.Close()
	c.hear("150")
	_ = conn.SetDeadline(time.Now().Add(backoff))
	b, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatalf("%s: %v", how, err)
	}
	c.hear("226")
	return b
}

// put uploads a file.
func (c *ftpClient) put(how, name string, b []byte) {
	c.t.Helper()
	data := c.data(how)
	c.tell("STOR " + name)
	conn := data()
	c.hear("150")
	_ = conn.SetDeadline(time.Now().Add(backoff))
	if _, err := io.Copy(conn, bytes.NewReader(b)); err != nil {
		c.t.Fatalf("%s: %v", how, err)
	}
	conn.Close()
	c.hear("226")
}
