package main_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// With loose reverse-path filtering, or none, either end of a control connection can
// send packets in the other's name through the gateway. They come in where that end is
// not (design, section 4: which side).

// loosely does a test with the gateway's reverse-path filters at 2, systemd's default,
// and at 0.
func loosely(t *testing.T, do func(t *testing.T, g *gateway)) {
	for name, filter := range map[string]string{"loose": "2", "none": "0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, "", func(t *testing.T, g *gateway) {
				for _, where := range []string{"all", "inside", "outside"} {
					setting(t, g.Gateway, "net.ipv4.conf."+where+".rp_filter", filter)
				}
				do(t, g)
			})
		})
	}
}

// wantViolation checks that what came from the wrong side was told, once.
func (g *gateway) wantViolation(client netip.AddrPort) {
	g.t.Helper()
	is := func(e lab.Event) bool { return e.Event == "violation" && e.Client == client }
	told := 0
	eventually(g.t, time.Second, "a violation is told", func() bool {
		told = 0
		for _, e := range g.daemon.Events() {
			if is(e) {
				told++
			}
		}
		return told > 0
	})
	if told > 1 {
		g.t.Errorf("violations of one session told %d times", told)
	}
}

// read gives the daemon the time to read what nobody acknowledges.
func read() { time.Sleep(150 * time.Millisecond) }

// fromInside sends segments to the gateway as if its neighbour inside were the client.
func (g *gateway) fromInside() *wire { return g.wire(g.Router, "outside", g.Gateway, "inside") }

func TestAClientAnswersItsOwnPASV(t *testing.T) {
	t.Parallel()
	loosely(t, func(t *testing.T, g *gateway) {
		f := g.families()[0]
		if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
			t.Fatal(err)
		}
		target := netip.AddrPortFrom(f.server, 8081)
		listen(t, g.Server, target)
		silence(t, g.Client, "tcp dport 30021")
		e := g.connect(g.Client, g.Router, netip.AddrPortFrom(f.client, 30021), netip.AddrPortFrom(f.dials, 21))
		e.hears("220 ", 0)
		e.asks("USER "+lab.User, "331 ")
		e.asks("PASS "+lab.Password, "230 ")
		e.room = 0 // the server cannot answer
		e.window()
		e.says("PASV\r\n")
		forge := g.fromInside()
		// As connection tracking knows it from the server.
		answer := segment{from: netip.AddrPortFrom(f.server, 21), to: netip.AddrPortFrom(f.seen, 30021), seq: e.got, ack: e.sent, flags: ack | psh, window: 0x7000}
		for _, answer.payload = range []string{
			"227 Entering Passive Mode (10,2,5,5,31,145).\r\n",
			"227 Entering Passive Mode (10,2,5,5,31,145).\r\n",
		} {
			forge.send(answer)
		}
		read()
		if g.reachesServer(f, target.Port()) {
			t.Errorf("%v was reached", target)
		}
		g.wantViolation(e.local)
		// The honest answer still arrives, and is helped.
		from := len(e.stream)
		e.room = 200
		e.window()
		port := announcedIn(t, e.hears("\r\n", from))
		if !reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.dials, port)) {
			t.Errorf("port %d, which the server has announced, is not reached", port)
		}
	})
}

func TestAServerSpeaksForAClientThatOnlyConnected(t *testing.T) {
	t.Parallel()
	loosely(t, func(t *testing.T, g *gateway) {
		f := g.families()[0]
		listen(t, g.Client, netip.AddrPortFrom(f.client, 9999))
		e := g.rawServer(f)
		done := g.posts(f, netip.AddrPort{}, "")
		e.accept()
		atOnce(t, "connecting", done)
		e.says("220 hello\r\n")
		from := e.got
		client := segment{from: netip.AddrPortFrom(f.client, e.remote.Port()), to: netip.AddrPortFrom(f.dials, 21), seq: from, ack: e.sent, flags: ack | psh, window: 0x7000}
		for _, line := range [][2]string{
			{"USER u\r\n", "230 in\r\n"}, {"PORT 10,1,4,4,39,15\r\n", "200 ok\r\n"}, {"RETR x\r\n", ""},
		} {
			client.payload = line[0]
			e.send(client)
			client.seq += uint32(len(line[0]))
			if line[1] != "" {
				// The client has not said that, and does not read what answers it.
				e.send(segment{from: e.local, to: e.remote, seq: e.sent, ack: client.seq, flags: ack | psh, payload: line[1]})
				e.sent += uint32(len(line[1]))
				client.ack = e.sent
			}
		}
		read()
		if g.reachesClient(f, 9999) {
			t.Errorf("%v:9999 was reached", f.client)
		}
		g.wantViolation(client.from)
	})
}

// The whole connection is the server's invention. An operator who does not say where
// control connections come in from lets its SYN pass.
func TestAServerInventsAConnectionOfAClient(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{false, true} {
		name := map[bool]string{false: "a silent client", true: "a client that answers RST"}[answers]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loosely(t, func(t *testing.T, g *gateway) { invent(t, g, answers) })
		})
	}
}

func invent(t *testing.T, g *gateway, answers bool) {
	f := g.families()[0]
	if out, err := run(t, g.Gateway, "nft add rule inet filter forward tcp dport 21 accept"); err != nil {
		t.Fatal(err, out)
	}
	listen(t, g.Client, netip.AddrPortFrom(f.client, 9999))
	if !answers {
		silence(t, g.Client, "tcp sport 21")
	}
	e := g.rawServer(f)
	client, to := netip.AddrPortFrom(f.client, 45678), netip.AddrPortFrom(f.dials, 21)
	next, back := uint32(1000), uint32(5000)
	up := func(flags uint8, payload string) {
		e.send(segment{from: client, to: to, seq: next, ack: back, flags: flags, window: 0x7000, payload: payload})
		next += uint32(len(payload))
	}
	down := func(flags uint8, payload string) {
		e.send(segment{from: e.local, to: netip.AddrPortFrom(f.seen, client.Port()), seq: back, ack: next, flags: flags, window: 0x7000, payload: payload})
		back += uint32(len(payload))
	}
	back--
	e.send(segment{from: client, to: to, seq: next, flags: syn, window: 0x7000})
	next++
	down(syn|ack, "")
	back++
	up(ack, "")
	down(ack|psh, "220 hello\r\n")
	up(ack|psh, "USER u\r\n")
	down(ack|psh, "230 in\r\n")
	up(ack|psh, "PORT 10,1,4,4,39,15\r\n")
	down(ack|psh, "200 ok\r\n")
	up(ack|psh, "RETR x\r\n")
	read()
	if g.reachesClient(f, 9999) {
		t.Errorf("%v:9999 was reached", f.client)
	}
	g.wantViolation(client)
}

// announcedIn returns the port of a 227.
func announcedIn(t *testing.T, reply string) uint16 {
	t.Helper()
	_, numbers, _ := strings.Cut(reply, "(")
	var n [6]uint16
	if _, err := fmt.Sscanf(numbers, "%d,%d,%d,%d,%d,%d", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]); err != nil || !strings.HasPrefix(reply, "227 ") {
		t.Fatalf("%q is no answer to PASV: %v", reply, err)
	}
	return n[4]<<8 | n[5]
}
