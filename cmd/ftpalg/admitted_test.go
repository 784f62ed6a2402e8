package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// What admits is the packet's and not the flow's (design, section 2): a pinhole lets one
// SYN in, and the entry that conntrack keeps of it lets nobody else in.

// knocker sends SYNs from the server's port 20 to the announced port of a client that
// does not answer there, and sees which of them arrive.
type knocker struct {
	*wire
	g        *gateway
	f        family
	from, to netip.AddrPort
	seen     *lab.Capture
	marks    int
}

func (g *gateway) knocker(f family) *knocker {
	g.t.Helper()
	if err := g.Client.LoadRuleset(g.t.Context(), `table inet mute {
	chain input {
		type filter hook input priority filter
		tcp dport 46197 drop
	}
}`); err != nil {
		g.t.Fatal(err)
	}
	seen, err := g.Client.Capture("eth0")
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = seen.Stop() })
	return &knocker{
		g.wire(g.Server, "eth0", g.Gateway, "outside"), g, f,
		netip.AddrPortFrom(f.server, 20), netip.AddrPortFrom(f.seen, announcedPort), seen, 0,
	}
}

func (k *knocker) knock(seqs ...uint32) {
	k.t.Helper()
	for _, seq := range seqs {
		k.send(segment{from: k.from, to: k.to, seq: seq, flags: syn, window: 0x7000})
	}
}

// arrived returns the numbers of the SYNs that came through until now: until a datagram
// has come on the same way, which every firewall of the lab lets pass.
func (k *knocker) arrived() []uint32 {
	k.t.Helper()
	k.marks++
	mark := fmt.Sprintf("mark %d", k.marks)
	conn, err := k.g.Server.Dial(k.t.Context(), "udp", netip.AddrPortFrom(k.f.client, 33434).String())
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(mark)); err != nil {
		k.t.Fatal(err)
	}
	within, cancel := context.WithTimeout(k.t.Context(), 5*time.Second)
	defer cancel()
	if _, err := k.seen.Await(within, func(p lab.Packet) bool { return bytes.HasSuffix(p.Frame, []byte(mark)) }); err != nil {
		k.t.Fatal(err)
	}
	return arrivals(k.seen, netip.AddrPortFrom(k.f.dials, 20), netip.AddrPortFrom(k.f.client, announcedPort))
}

func TestOneSYNOfFiveIsAdmitted(t *testing.T) {
	t.Parallel()
	everywhere(t, "", oneSYNOfFiveIsAdmitted)
}

func oneSYNOfFiveIsAdmitted(t *testing.T, g *gateway) {
	f := g.families()[0]
	k := g.knocker(f)
	c := g.login(f)
	c.transfer(f)
	k.knock(1, 2, 3, 4, 5)
	if got := k.arrived(); !slices.Equal(got, []uint32{1}) {
		t.Errorf("SYNs with the numbers %d of five arrived, want the first alone", got)
	}
	k.knock(1, 1)
	if got := k.arrived(); !slices.Equal(got, []uint32{1, 1, 1}) {
		t.Errorf("a SYN that was sent three times arrived %d times: %d", len(got), got)
	}
	c.s("426 no answer")
	if _, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "pinhole.closed" }); err != nil {
		t.Fatal(err)
	}
	k.knock(1, 6)
	if got := k.arrived(); len(got) != 3 {
		t.Errorf("after the end of the transfer SYNs with the numbers %d arrived", got[3:])
	}
}

// A port that does not answer leaves an entry that lives as long as SYNs keep it alive.
func TestNoSYNIsAdmittedAfterTheEndOfTheSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*control){
		"FIN":  func(c *control) { c.close(); c.waitEnd() },
		"RST":  func(c *control) { _ = c.client.(*net.TCPConn).SetLinger(0); c.client.Close(); c.waitEnd() },
		"QUIT": func(c *control) { c.c("QUIT"); c.s("221 bye"); c.close(); c.waitEnd() },
		"kill": func(c *control) {
			if err := c.g.daemon.Kill(); err != nil {
				c.t.Fatal(err)
			}
		},
		"stop": func(c *control) {
			if err := c.g.daemon.Stop(c.t.Context()); err != nil {
				c.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, "", func(t *testing.T, g *gateway) {
				f := g.families()[0]
				k := g.knocker(f)
				c := g.login(f)
				c.transfer(f)
				k.knock(1)
				if got := k.arrived(); len(got) != 1 {
					t.Fatalf("%d SYNs arrived, want one", len(got))
				}
				end(c)
				k.knock(1, 2, 3)
				if got := k.arrived(); len(got) != 1 {
					t.Errorf("SYNs with the numbers %d arrived after the end", got[1:])
				}
			})
		})
	}
}

// accepts takes one connection at the announced port and returns both its ends.
func (c *control) accepts(f family) (server, client net.Conn) {
	c.t.Helper()
	ln := mustListen(c.t, c.g.Client, netip.AddrPortFrom(f.client, announcedPort).String())
	defer ln.Close()
	server, err := c.g.Server.DialFrom(c.t.Context(), netip.AddrPortFrom(f.server, 20), "tcp", netip.AddrPortFrom(f.seen, announcedPort).String())
	if err != nil {
		c.t.Fatal(err)
	}
	if client, err = ln.Accept(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { server.Close(); client.Close() })
	return server, client
}

// The receiver of the data resets the connection. Conntrack calls a SYN on that entry
// established (nf_conntrack_proto_tcp.c: the last RST came from the other side).
func TestNoConnectionIsAdmittedAfterAReset(t *testing.T) {
	t.Parallel()
	everywhere(t, "", noConnectionIsAdmittedAfterAReset)
}

func noConnectionIsAdmittedAfterAReset(t *testing.T, g *gateway) {
	for _, f := range g.families() {
		c := g.login(f)
		c.transfer(f)
		server, client := c.accepts(f)
		_ = client.(*net.TCPConn).SetLinger(0)
		client.Close()
		_ = server.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := server.Read(make([]byte, 1)); err == nil {
			t.Fatal("no reset arrives")
		}
		server.Close()
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		c.wantData(f, false, "after a reset by the receiver")
		c.s("426 broken off")
		c.wantData(f, false, "after a reset and the end of the transfer")
		c.close()
		c.waitEnd()
		c.wantData(f, false, "after a reset and the end of the session")
	}
}

func TestAnEstablishedTransferOutlivesTheDaemonAndNobodyElseComesIn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*gateway) error{
		"kill": func(g *gateway) error { return g.daemon.Kill() },
		"stop": func(g *gateway) error { return g.daemon.Stop(g.t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, "", func(t *testing.T, g *gateway) {
				f := g.families()[0]
				c := g.login(f)
				c.transfer(f)
				server, client := c.accepts(f)
				if err := end(g); err != nil {
					t.Fatal(err)
				}
				for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
					if _, err := way[0].Write([]byte("data")); err != nil {
						t.Fatal(err)
					}
					_ = way[1].SetReadDeadline(time.Now().Add(5 * time.Second))
					if n, err := way[1].Read(make([]byte, 9)); n != 4 || err != nil {
						t.Errorf("%d bytes arrived, %v", n, err)
					}
				}
				// Both say that they are done: for a while after a reset, conntrack itself would
				// call the next one established, and nobody is there to know better.
				server.Close()
				client.Close()
				listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
				c.wantData(f, false, "after the daemon's end")
			})
		})
	}
}

// An operator who marks packets for purposes of his own opens nothing by it.
func TestMarksOfTheOperatorOpenNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, "", marksOfTheOperatorOpenNothing)
}

func marksOfTheOperatorOpenNothing(t *testing.T, g *gateway) {
	if err := g.Gateway.LoadRuleset(t.Context(), `table inet mangle {
	chain prerouting {
		type filter hook prerouting priority mangle
		meta mark set 0xffff0000
	}
	chain forward {
		type filter hook forward priority mangle
		meta mark set 0xffff0000
	}
}`); err != nil {
		t.Fatal(err)
	}
	for _, f := range g.families() {
		listen(t, g.Client, netip.AddrPortFrom(f.client, 22))
		c := g.login(f)
		server20 := netip.AddrPortFrom(f.server, 20)
		if reaches(t, g.Server, server20, netip.AddrPortFrom(f.client, 22)) {
			t.Error(f.name, "port 22 was reached")
		}
		c.transfer(f)
		server, client := c.accepts(f)
		_ = client.(*net.TCPConn).SetLinger(0)
		client.Close()
		_ = server.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = server.Read(make([]byte, 1))
		server.Close()
		listen(t, g.Client, netip.AddrPortFrom(f.client, announcedPort))
		c.wantData(f, false, "on the entry of a connection that was admitted")
		c.s("226 done")
		c.wantData(f, false, "without an announcement")
	}
}
