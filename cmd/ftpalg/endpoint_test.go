package main_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// endpoint is one end of a TCP connection that a test plays segment by segment: it
// decides how much the other end may send, acknowledges what it likes, and says what no
// kernel would.
type endpoint struct {
	*wire
	local, remote netip.AddrPort
	sent          uint32 // the number of the next byte to the other end
	got           uint32 // and of the next from it
	acked         uint32 // what the other end says it has
	room          int    // how much more it may send: the window
	theirs, scale int    // how much may be sent to it, and the scale of its window
	stream        string // what came, in order
	reset         bool
}

// rawServer waits at port 21 of the server, in its kernel's place.
func (g *gateway) rawServer(f family) *endpoint {
	g.t.Helper()
	silence(g.t, g.Server, "tcp dport 21")
	w := g.wire(g.Server, "eth0", g.Gateway, "outside")
	return &endpoint{wire: w, local: netip.AddrPortFrom(f.server, 21)}
}

// listens waits for a client's SYN, and takes it for the number that begins its stream.
func (e *endpoint) listens() segment {
	e.t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if s, ok := e.take(time.Second); ok && s.to == e.local && s.flags&(syn|ack) == syn {
			e.remote, e.sent, e.got, e.acked, e.stream, e.reset, e.room = s.from, s.seq^0x5a5a5a5a, s.seq+1, 0, "", false, 0
			return s
		}
	}
	e.t.Fatal("no SYN arrives")
	return segment{}
}

// accept answers a SYN, with a window that is shut.
func (e *endpoint) accept() {
	e.t.Helper()
	e.listens()
	e.send(segment{from: e.local, to: e.remote, seq: e.sent, ack: e.got, flags: syn | ack})
	e.sent++
	e.pump("the client's answer to SYN/ACK", func() bool { return e.acked == e.sent })
}

// connect opens a connection from a host with a port that its kernel does not hear.
func (g *gateway) connect(h *lab.Host, hop *lab.Host, local, remote netip.AddrPort) *endpoint {
	g.t.Helper()
	e := &endpoint{wire: g.wire(h, "eth0", hop, "inside"), local: local, remote: remote, sent: 0x10203040, room: 0x7000}
	e.send(segment{from: local, to: remote, seq: e.sent, flags: syn, window: 0x7000})
	e.sent++
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		s, ok := e.take(time.Second)
		if ok && s.from == remote && s.to == local && s.flags&(syn|ack) == syn|ack {
			e.got, e.acked, e.scale = s.seq+1, s.ack, s.scale
			e.window()
			return e
		}
	}
	g.t.Fatal("no SYN/ACK arrives")
	return nil
}

// out is the next segment to the other end.
func (e *endpoint) out(payload string) segment {
	s := segment{
		from: e.local, to: e.remote, seq: e.sent, ack: e.got, flags: ack,
		window: uint16(min(e.room, 0xffff)), payload: payload,
	}
	if payload != "" {
		s.flags |= psh
	}
	return s
}

// window tells the other end how much it may send.
func (e *endpoint) window() { e.t.Helper(); e.send(e.out("")) }

// says sends bytes and waits until they have arrived: then their verdict was given.
func (e *endpoint) says(text string) {
	e.t.Helper()
	e.send(e.out(text))
	e.sent += uint32(len(text))
	e.pump("an acknowledgement of "+text, func() bool { return int32(e.acked-e.sent) >= 0 })
}

// receives lets the other end send n bytes more, and waits until they are there.
func (e *endpoint) receives(n int) string {
	e.t.Helper()
	before := len(e.stream)
	e.room += n
	e.window()
	e.pump("bytes of the other end", func() bool { return len(e.stream) >= before+n })
	return e.stream[before:]
}

// hears waits for a text, with the window that there is, and returns all since from.
func (e *endpoint) hears(text string, from int) string {
	e.t.Helper()
	e.pump(text, func() bool { return strings.Contains(e.stream[from:], text) })
	return e.stream[from:]
}

// asks sends a line and waits for the whole line that answers it.
func (e *endpoint) asks(line, answer string) string {
	e.t.Helper()
	from := len(e.stream)
	e.says(line + "\r\n")
	e.pump("the answer to "+line, func() bool {
		i := strings.Index(e.stream[from:], answer)
		return i >= 0 && strings.Contains(e.stream[from+i:], "\r\n")
	})
	return e.stream[from:]
}

// pump reads what comes until that has happened.
func (e *endpoint) pump(what string, until func() bool) {
	e.t.Helper()
	const within = 5 * time.Second
	for end := time.Now().Add(within); !until(); {
		if e.reset || time.Now().After(end) {
			e.t.Fatalf("%s does not come within %v (reset: %v); the last of what came: %q", what, within, e.reset, e.stream[max(0, len(e.stream)-200):])
		}
		if s, ok := e.take(100 * time.Millisecond); ok && s.from == e.remote && s.to == e.local {
			e.reads(s)
		}
	}
}

// reads takes one segment of the other end.
func (e *endpoint) reads(s segment) {
	e.t.Helper()
	if s.flags&rst != 0 {
		e.reset = true
		return
	}
	if s.flags&ack != 0 {
		e.acked, e.theirs = s.ack, int(s.window)<<e.scale
	}
	switch skip := e.got - s.seq; {
	case int32(skip) < 0 || int(skip) > len(s.payload): // beyond a gap, or a probe
		e.window()
	case int(skip) < len(s.payload):
		fresh := s.payload[skip:]
		fresh = fresh[:min(len(fresh), e.room)]
		e.stream += fresh
		e.got += uint32(len(fresh))
		e.room -= len(fresh)
		e.window()
	}
}

// posts has an honest client, of which the attacker chose what it sends, send it from a
// socket of its kernel. The local end may be zero.
func (g *gateway) posts(f family, local netip.AddrPort, request string) (done chan error) {
	done = make(chan error, 1)
	go func() {
		conn, err := g.Client.DialFrom(g.t.Context(), local, "tcp", netip.AddrPortFrom(f.dials, 21).String())
		if err == nil {
			g.t.Cleanup(func() { conn.Close() })
			_, err = conn.Write([]byte(request))
		}
		done <- err
	}()
	return done
}

// injects plays the dialogue that a request holds: the lines come alone, and are
// answered. The last answer is left out, as while a transfer goes on.
func (e *endpoint) injects(lines [][2]string) {
	e.t.Helper()
	for _, l := range lines {
		if got := e.receives(len(l[0]) + 2); got != l[0]+"\r\n" {
			e.t.Fatalf("%q came in place of %q", got, l[0])
		}
		if l[1] != "" {
			e.says(l[1] + "\r\n")
		}
	}
}

// request is an HTTP request with these lines in its body, after so much of something else.
func request(padding int, lines [][2]string) (text string, offset int) {
	var inner strings.Builder
	for _, l := range lines {
		inner.WriteString(l[0] + "\r\n")
	}
	body := strings.Repeat("a", padding) + "\r\n" + inner.String() + strings.Repeat("z", 1000)
	text = "POST / HTTP/1.1\r\nHost: server:21\r\nContent-Type: text/plain\r\n\r\n" + body
	return text, strings.Index(text, inner.String())
}

// many is as much as whole segments fill of a window without a scale: for a part of one
// a kernel waits a moment.
const many = 46 * mss

// finishes receives the rest of a request and compares the whole.
func (e *endpoint) finishes(request string, done chan error) {
	e.t.Helper()
	for len(e.stream) < len(request) {
		e.receives(min(len(request)-len(e.stream), many))
	}
	if e.stream != request {
		e.t.Error("the request did not arrive as it was sent")
	}
	if err := <-done; err != nil {
		e.t.Errorf("sending the request: %v", err)
	}
}

// wantNone checks that nobody comes through to the client's port from the server's
// port 20, and that nothing was said to have been opened.
func (g *gateway) wantNone(f family, when string) {
	g.t.Helper()
	if g.reachesClient(f, announcedPort) {
		g.t.Errorf("%s: the server reached %v:%d", when, f.client, announcedPort)
	}
	for _, e := range g.daemon.Events() {
		if e.Event == "pinhole.open" {
			g.t.Errorf("%s: %+v", when, e)
		}
	}
}

// atOnce fails a test that goes on for longer than it may.
func atOnce(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("%s: not within 5 s", what)
	}
}
