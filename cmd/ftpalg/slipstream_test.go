package main_test

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The attacks that need an honest client which sends what a page tells it, and a
// hostile server: what the client sends is HTTP, and opens nothing (design, section 4:
// a session begins at the SYN and nowhere else, and a 234 needs its AUTH).

// spoken is the dialogue that the attacker has put into a request.
func spoken(f family) [][2]string {
	return [][2]string{{"USER u", "230 in"}, {f.port(), "200 ok"}, {"RETR x", ""}}
}

func TestSlipstreamByReleaseAndAForgedSYNACK(t *testing.T) {
	t.Parallel()
	everywhere(t, "", slipstreamByReleaseAndAForgedSYNACK)
}

func slipstreamByReleaseAndAForgedSYNACK(t *testing.T, g *gateway) {
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	e := g.rawServer(f)
	text, offset := request(1<<20+1<<16, spoken(f)) // further than any window
	done := g.posts(f, netip.AddrPort{}, text)
	e.accept()
	e.says("220 hello\r\n")
	e.says("234 nobody asked\r\n")
	for len(e.stream) < offset {
		e.receives(min(offset-len(e.stream), many))
	}
	// Conntrack ignores a SYN/ACK in an established connection, and lets it through.
	e.send(segment{from: e.local, to: e.remote, seq: e.sent, ack: e.got, flags: syn | ack})
	e.injects(spoken(f))
	g.wantNone(f, "after 234 and a SYN/ACK in the middle of a POST")
	e.finishes(text, done)
	g.wantNone(f, "after the POST")
}

func TestSlipstreamByTheSamePortsAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, "", slipstreamByTheSamePortsAgain)
}

func slipstreamByTheSamePortsAgain(t *testing.T, g *gateway) {
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	e := g.rawServer(f)
	local := netip.AddrPortFrom(f.client, 34567)

	first := g.posts(f, local, "GET / HTTP/1.1\r\n\r\n")
	e.accept()
	e.says("220 hello\r\n")
	e.receives(18)
	atOnce(t, "the first request", first)
	e.send(segment{from: e.local, to: e.remote, seq: e.sent, ack: e.got, flags: rst | ack})
	// Between the same ports a kernel's numbers go up by one in 64 ns
	// (secure_tcp_seq): later they are far from those of the first connection.
	time.Sleep(200 * time.Millisecond)

	text, offset := request(20000, spoken(f))
	done := g.posts(f, local, text)
	e.accept()
	// The second SYN/ACK, with a lie about what has arrived.
	e.send(segment{from: e.local, to: e.remote, seq: e.sent - 1, ack: e.got + uint32(offset), flags: syn | ack})
	e.says("220 hello\r\n")
	e.receives(offset)
	e.injects(spoken(f))
	g.wantNone(f, "after the same ports again")
	e.finishes(text, done)
}

func TestSlipstreamByFastOpen(t *testing.T) { t.Parallel(); everywhere(t, "", slipstreamByFastOpen) }

func slipstreamByFastOpen(t *testing.T, g *gateway) {
	f := g.families()[0]
	listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
	e := g.rawServer(f)
	setting(t, g.Client, "net.ipv4.tcp_fastopen", "5") // data in the SYN, without a cookie
	text, offset := request(20000, spoken(f))
	done := make(chan error, 1)
	go func() { done <- g.fastOpen(f, text) }()
	first := e.listens()
	if first.payload == "" {
		t.Fatal("the client's SYN has no data")
	}
	// As if there had been none, for the gateway alone: the router ends it.
	const short = 2
	e.send(segment{from: e.local, to: e.remote, seq: e.sent, ack: e.got, flags: syn | ack, window: 1000, ttl: short})
	greeting := segment{from: e.local, to: e.remote, seq: e.sent + 1, ack: e.got, flags: ack | psh, window: 1000, ttl: short, payload: "220 hello\r\n"}
	e.send(greeting)
	read()
	// To the client: everything arrived.
	e.got += uint32(len(first.payload))
	e.stream = first.payload
	e.send(segment{from: e.local, to: e.remote, seq: e.sent, ack: e.got, flags: syn | ack})
	e.sent++
	e.pump("the client's answer to SYN/ACK", func() bool { return e.acked == e.sent })
	e.says(greeting.payload)
	// The lie: what the client has not sent yet is there. It has a byte, or it is not read.
	e.send(segment{from: e.local, to: e.remote, seq: e.sent, ack: e.got + 1, flags: ack | psh, ttl: short, payload: "2"})
	if g.in.masquerades {
		// Connection tracking finds the lie invalid, so that it is not translated: the
		// gateway's own kernel gets it, and answers RST.
		g.wantNone(f, "after data in the SYN")
		return
	}
	e.receives(offset - len(e.stream))
	e.injects(spoken(f))
	g.wantNone(f, "after data in the SYN")
	e.finishes(text, done)
}

// fastOpen sends a request from the client's kernel, its beginning in the SYN.
func (g *gateway) fastOpen(f family, request string) error {
	var fd int
	if err := g.Client.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		return err
	}
	g.t.Cleanup(func() { _ = unix.Close(fd) })
	to := &unix.SockaddrInet4{Port: 21, Addr: f.dials.As4()}
	n, err := unix.SendmsgN(fd, []byte(request), nil, to, unix.MSG_FASTOPEN)
	if err == nil && n < len(request) {
		_, err = unix.Write(fd, []byte(request[n:]))
	}
	return err
}
