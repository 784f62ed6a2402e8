package nft

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// guarding is the configuration of the guard's queues.
func guarding(cfg Config) Config {
	cfg.Queue = cfg.GuardQueue()
	return cfg
}

// controls are translated control connections: to where the client connects, and the same
// as the gateway's forward chain sees it.
var controls = []struct {
	name, nat string
	to        netip.AddrPort
	flow      alg.Flow
}{
	{"masquerade", masquerade, control4.Server, control4},
	{"masquerade, IPv6", masquerade, control6.Server, control6},
	{"port forwarding", forwarding, netip.AddrPortFrom(clientSide4, 2121), control4},
	{"port forwarding, IPv6", forwarding, netip.AddrPortFrom(clientSide6, 2121), control6},
	{"both", masquerade + forwarding, netip.AddrPortFrom(clientSide4, 2121), control4},
}

// What is said in a translated connection comes to the guard's queues alone, the SYN and
// the end of it to the others. A release is for both.
func TestGuard(t *testing.T) {
	for _, tt := range controls {
		t.Run(tt.name, func(t *testing.T) {
			n, table := newTranslator(t, tt.nat, func(_ *Config, caps *Caps) { needs(t, caps.InnerHeader, "@ih") })
			l, guard := newListener(t, n.gateway, table.cfg), newListener(t, n.gateway, guarding(table.cfg))
			marked := n.gateway.counts(t, "marked", "hook forward priority 50", "meta mark & 0x01000000 != 0", "")
			n.server.listen(t, tt.flow.Server)

			c := n.client.dial(t, tt.flow.Client, tt.to, true)
			l.want(t, "handshake", "50000>21 flags 0x2 payload 0")
			guard.want(t, "handshake, guard", "21>50000 flags 0x12 payload 0")
			echo(t, c)
			l.want(t, "echo")
			segs := guard.want(t, "echo, guard", "50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5")
			if segs[0].queue != segs[1].queue {
				t.Errorf("the directions came to the queues %d and %d", segs[0].queue, segs[1].queue)
			}

			commit(t, table, alg.Op{Kind: alg.OpWatch, Flow: tt.flow, Timeout: time.Minute})
			echo(t, c)
			guard.want(t, "watched, guard", "50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5")
			l.want(t, "watched", "50000>21 flags 0x10 payload 0")

			commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: tt.flow})
			echo(t, c)
			l.want(t, "released")
			guard.want(t, "released, guard")
			last(t, c, "QUIT\r\n")
			guard.want(t, "the last words, guard", "50000>21 flags 0x11 payload 6")
			l.want(t, "the end", "21>50000 flags 0x11 payload 0")

			hangUp(c)
			l.take()
			c = n.client.dial(t, port(tt.flow.Client, 50001), tt.to, true)
			l.take()
			guard.take()
			c.Close()
			l.want(t, "another, and its end", "50001>21 flags 0x11 payload 0", "21>50001 flags 0x11 payload 0")
			guard.want(t, "another, and its end, guard")
			wantCount(t, "the mark after our chains", marked, 0)
		})
	}
}

// A connection between the ends of a released one is not released, for the guard either.
func TestGuardAnew(t *testing.T) {
	n, table := newTranslator(t, masquerade, func(*Config, *Caps) {})
	l, guard := newListener(t, n.gateway, table.cfg), newListener(t, n.gateway, guarding(table.cfg))
	n.server.listen(t, control4.Server)
	commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: control4})
	c := n.client.dial(t, control4.Client, control4.Server, true)
	l.take()
	guard.take()
	n.gateway.do(t, func() {
		if got := nft(t, "list", "set", "inet", guardName, "released4"); strings.Contains(got, "elements") {
			t.Errorf("released is %s", got)
		}
	})
	echo(t, c)
	l.want(t, "echo")
	guard.want(t, "echo, guard", "50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5")
}

// A connection that is not translated, and one that began before the table stood, are no
// business of the guard.
func TestGuardOthers(t *testing.T) {
	n, table := newTranslator(t, masquerade, func(_ *Config, caps *Caps) { needs(t, caps.InnerHeader, "@ih") })
	n.gateway.load(t, `flush table inet nat`)
	l, guard := newListener(t, n.gateway, table.cfg), newListener(t, n.gateway, guarding(table.cfg))
	n.server.listen(t, control4.Server)
	c := n.client.dial(t, control4.Client, control4.Server, true)
	echo(t, c)
	c.Close()
	l.want(t, "not translated", "50000>21 flags 0x2 payload 0", "21>50000 flags 0x12 payload 0",
		"50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5",
		"50000>21 flags 0x11 payload 0", "21>50000 flags 0x11 payload 0")
	guard.want(t, "not translated, guard")

	n.gateway.load(t, "table inet nat {\n chain post { oifname \"to5\" masquerade; }\n}")
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	c = n.client.dial(t, port(control4.Client, 50001), control4.Server, true)
	n.gateway.do(t, func() { install(t, table.cfg, table.caps) })
	echo(t, c)
	l.want(t, "of before", "50001>21 flags 0x10 payload 5", "21>50001 flags 0x10 payload 5")
	guard.want(t, "of before, guard")
}

// Where the kernel cannot tell what has no payload, the guard has all that may.
func TestGuardWithoutInnerHeader(t *testing.T) {
	n, table := newTranslator(t, masquerade, func(_ *Config, caps *Caps) { caps.InnerHeader = false })
	l, guard := newListener(t, n.gateway, table.cfg), newListener(t, n.gateway, guarding(table.cfg))
	n.server.listen(t, control4.Server)
	c := n.client.dial(t, control4.Client, control4.Server, true)
	l.want(t, "handshake", "50000>21 flags 0x2 payload 0")
	guard.want(t, "handshake, guard", "21>50000 flags 0x12 payload 0", "50000>21 flags 0x10 payload 0")
	commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: control4})
	echo(t, c)
	guard.want(t, "released, guard")
	c.(*net.TCPConn).CloseWrite()
	l.want(t, "the end")
	guard.want(t, "the end, guard", "50000>21 flags 0x11 payload 0", "21>50000 flags 0x11 payload 0")
	c = n.client.dial(t, port(control4.Client, 50001), control4.Server, true)
	l.take()
	guard.take()
	hangUp(c)
	guard.want(t, "a reset, guard")
	if got := l.take(); len(got) != 1 || got[0].flags&rst == 0 {
		t.Errorf("of a reset came %v", got)
	}
}

// When the daemon is gone, nothing is said in its translated connections, and the rest goes
// on: acknowledgements, what was released, what is not translated, and what begins now.
// The next one takes them over.
func TestGuardStays(t *testing.T) {
	for name, gone := range map[string]func(*Table) error{
		"killed": func(t *Table) error { return t.conn.CloseLasting() }, // as the kernel does at the end of a process
		"left":   (*Table).CloseGuarded,
	} {
		for _, tt := range controls {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				n, table := newTranslator(t, tt.nat, func(_ *Config, caps *Caps) {
					needs(t, caps.Owner, "owned tables")
					needs(t, caps.InnerHeader, "@ih")
				})
				l, guard := newListener(t, n.gateway, table.cfg), newListener(t, n.gateway, guarding(table.cfg))
				for _, p := range []uint16{21, 2222} {
					n.server.listen(t, port(tt.flow.Server, p))
				}
				c := n.client.dial(t, tt.flow.Client, tt.to, true)
				released := n.client.dial(t, port(tt.flow.Client, 50001), tt.to, true)
				commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: alg.Flow{Client: port(tt.flow.Client, 50001), Server: tt.flow.Server}})
				l.close()
				guard.close()
				if err := gone(table); err != nil {
					t.Fatal(err)
				}

				// Masquerade leaves the port as it is.
				atServer := n.server.counts(t, "heard", "hook input priority 0", "tcp sport 50000 tcp dport 21", "")
				if err := c.(*net.TCPConn).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Hour}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(1200 * time.Millisecond)
				wantCount(t, "a keep-alive, which is a pure acknowledgement", atServer, 1)
				say(t, c, "PORT 10,1,4,4,180,117\r\n")
				wantCount(t, "an announcement", atServer, 0)
				echo(t, released)
				echo(t, n.client.dial(t, port(tt.flow.Client, 50002), tt.to, true))

				n.gateway.do(t, func() { table = install(t, table.cfg, table.caps) })
				guard = newListener(t, n.gateway, guarding(table.cfg))
				echoes(t, c, "PORT 10,1,4,4,180,117\r\n")
				if len(guard.take()) == 0 {
					t.Error("the next daemon reads nothing")
				}
			})
		}
	}
}

// The guard is not owned, so a reload of the firewall may take it away. The main table does
// its work until it is put back.
func TestGuardFlushed(t *testing.T) {
	n, table := newTranslator(t, masquerade, func(_ *Config, caps *Caps) {
		needs(t, caps.Owner, "owned tables")
		needs(t, caps.InnerHeader, "@ih")
	})
	guard := newListener(t, n.gateway, guarding(table.cfg))
	marked := n.gateway.counts(t, "marked", "hook forward priority 50", "meta mark & 0x01000000 != 0", "")
	n.server.listen(t, control4.Server)
	want := []string{"50000>21 flags 0x10 payload 5", "21>50000 flags 0x10 payload 5"}
	n.gateway.load(t, "delete table inet "+guardName)
	c := n.client.dial(t, control4.Client, control4.Server, true)
	guard.want(t, "handshake", "21>50000 flags 0x12 payload 0")
	echo(t, c)
	guard.want(t, "echo", want...)
	if err := table.Commit([]alg.Op{{Kind: alg.OpRelease, Flow: control4}}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a release without a guard: %v, want ENOENT", err)
	}

	for _, restores := range []bool{true, false} {
		if restored, err := table.Restore(); restored != restores || err != nil {
			t.Errorf("Restore = %v, %v", restored, err)
		}
	}
	echo(t, c)
	guard.want(t, "restored", want...)
	guard.close()
	atServer := n.server.counts(t, "heard", "hook input priority 0", "tcp dport 21", "")
	n.gateway.load(t, "delete table inet "+guardName)
	say(t, c, "PASV\r\n")
	wantCount(t, "nobody listens, without a guard", atServer, 0)
	if _, err := table.Restore(); err != nil {
		t.Error(err)
	}
	time.Sleep(250 * time.Millisecond) // it is sent again
	wantCount(t, "nobody listens", atServer, 0)
	wantCount(t, "the mark after our chains", marked, 0)
	commit(t, table, alg.Op{Kind: alg.OpRelease, Flow: control4})
	echoes(t, c, "PASV\r\n")
}

// The label of followed connections is one that the tag has no other use for.
func TestFollowed(t *testing.T) {
	for label := range uint8(maxLabel + 1) {
		f := Tag{Label: label}.Followed()
		if f == label || f == label+1 || f >= labelLen*8 {
			t.Errorf("label %d: %d", label, f)
		}
	}
}

// say sends, and waits for nothing.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Error(err)
	}
}

// echoes fails the test if what was said does not come back.
func echoes(t *testing.T, c net.Conn, text string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Errorf("echo: %q, %v", b, err)
	}
}

// last sends, and hangs up with the same segment.
func last(t *testing.T, c net.Conn, text string) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1)
	}), err); err != nil {
		t.Fatal(err)
	}
	say(t, c, text)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Error(err)
	}
}
