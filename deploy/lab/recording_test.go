package lab_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

const (
	// replyWithin is how long a reply may take. vsftpd and pure-ftpd hold back a refused
	// log-in for seconds.
	replyWithin = 5 * time.Second
	// silence is how long nothing must come until nothing is to come.
	silence = 400 * time.Millisecond
)

// recording is a client that plays a scenario. It reads whole replies and otherwise
// takes whatever comes: how a server answers is what is to be found out.
type recording struct {
	t              *testing.T
	l              *lab.Lab
	client, server netip.Addr
	conn           net.Conn
	in             *bufio.Reader
	notes          []moment
}

// note is a comment in the recording.
func (c *recording) note(text string) {
	c.notes = append(c.notes, moment{time.Now(), "# " + text})
}

// say sends bytes in one write.
func (c *recording) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Logf("saying %q: %v", text, err) // it has ended the connection
	}
}

// urgent sends bytes, the last of them as urgent data.
func (c *recording) urgent(text string) {
	c.t.Helper()
	raw, err := c.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	var errno error
	if err := raw.Write(func(fd uintptr) bool {
		errno = unix.Sendto(int(fd), []byte(text), unix.MSG_OOB, nil)
		return true
	}); err != nil || errno != nil {
		c.t.Fatal(err, errno)
	}
}

// do sends commands, in one write, and reads one reply to each.
func (c *recording) do(lines ...string) (last string) {
	c.t.Helper()
	c.say(strings.Join(lines, "\r\n") + "\r\n")
	for range lines {
		last = c.reply()
	}
	return last
}

// reply reads one reply, and returns "" where none comes.
func (c *recording) reply() string { return c.replyWithin(replyWithin) }

func (c *recording) replyWithin(d time.Duration) string {
	_ = c.conn.SetReadDeadline(time.Now().Add(d))
	var reply, line, code string
	for {
		part, err := c.in.ReadString('\n')
		reply, line = reply+part, line+part
		if err != nil {
			return reply
		}
		if !strings.HasSuffix(line, "\r\n") {
			continue
		}
		if code == "" && len(line) > 3 && line[3] == '-' {
			code = line[:3]
		}
		if code == "" || strings.HasPrefix(line, code+" ") {
			return reply
		}
		line = ""
	}
}

// rest reads replies until none comes any more.
func (c *recording) rest() {
	for c.replyWithin(silence) != "" {
	}
}

// login takes the greeting and logs in.
func (c *recording) login() {
	c.t.Helper()
	c.reply()
	c.do("USER " + lab.User)
	if got := c.do("PASS " + lab.Password); !strings.HasPrefix(got, "230") {
		c.t.Fatalf("the log-in: %q", got)
	}
}

// quit ends the dialogue, with all that the server has left to say.
func (c *recording) quit() {
	c.rest()
	c.say("QUIT\r\n")
	_ = c.conn.SetReadDeadline(time.Now().Add(replyWithin))
	_, _ = io.Copy(io.Discard, c.in)
}

// listener waits for active data connections. Its port is of the kernel's choice.
type listener struct {
	net.Listener
	c *recording
}

func (c *recording) listen() *listener {
	c.t.Helper()
	ln, err := c.l.Client.Listen(c.t.Context(), "tcp", netip.AddrPortFrom(c.client, 0).String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { ln.Close() })
	return &listener{ln, c}
}

// port is the announcement as PORT has it, eprt as EPRT does.
func (ln *listener) port() string {
	p := ln.at().Port()
	return fmt.Sprintf("PORT %s,%d,%d", strings.ReplaceAll(ln.c.client.String(), ".", ","), p>>8, p&0xff)
}

func (ln *listener) eprt() string {
	family := 1
	if ln.c.client.Is6() {
		family = 2
	}
	return fmt.Sprintf("EPRT |%d|%s|%d|", family, ln.c.client, ln.at().Port())
}

func (ln *listener) at() netip.AddrPort { return ln.Addr().(*net.TCPAddr).AddrPort() }

// accept takes the data connection. It is nil where none comes.
func (ln *listener) accept() net.Conn {
	_ = ln.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(replyWithin))
	conn, err := ln.Accept()
	if err != nil {
		ln.c.note("no data connection came")
		return nil
	}
	ln.c.t.Cleanup(func() { conn.Close() })
	return conn
}

var (
	in227 = regexp.MustCompile(`(\d+),(\d+)\D*$`)
	in229 = regexp.MustCompile(`\|(\d+)\|`)
)

// connect opens the data connection that a 227 or 229 names.
func (c *recording) connect(reply string) net.Conn {
	c.t.Helper()
	conn, err := c.tryConnect(reply)
	if err != nil {
		c.t.Fatal(err)
	}
	return conn
}

// tryConnect is connect where the server may no longer listen.
func (c *recording) tryConnect(reply string) (net.Conn, error) {
	c.t.Helper()
	var port uint16
	if m := in229.FindStringSubmatch(reply); m != nil {
		_, _ = fmt.Sscan(m[1], &port)
	} else if m := in227.FindStringSubmatch(reply); m != nil {
		var high, low uint16
		_, _ = fmt.Sscan(m[1]+" "+m[2], &high, &low)
		port = high<<8 | low
	} else {
		c.t.Fatalf("no port in %q", reply)
	}
	conn, err := c.l.Client.Dial(c.t.Context(), "tcp", netip.AddrPortFrom(c.server, port).String())
	if err == nil {
		c.t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// receive reads a data connection to its end and closes it. It reads no faster than the
// capture does.
func (c *recording) receive(conn net.Conn) {
	if conn == nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(replyWithin))
	var err error
	for err == nil {
		_, err = io.CopyN(io.Discard, conn, 8<<10)
		time.Sleep(time.Millisecond)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.note("the data connection stands still")
	}
	conn.Close()
}

// send writes a file of 38 bytes to a data connection and closes it.
func (c *recording) send(conn net.Conn) {
	if conn == nil {
		return
	}
	_, _ = io.WriteString(conn, lab.R1)
	conn.Close()
}

// finish reads the replies to a transfer command until the final one.
func (c *recording) finish() {
	for {
		if reply := c.reply(); !strings.HasPrefix(reply, "1") {
			return
		}
	}
}
