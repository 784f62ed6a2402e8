package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// The gateway's addresses on both sides.
var (
	clientSide4, serverSide4 = netip.MustParseAddr("10.1.4.1"), netip.MustParseAddr("10.2.5.1")
	clientSide6, serverSide6 = netip.MustParseAddr("fd00:1::1"), netip.MustParseAddr("fd00:2::1")
)

// masked4 and masked6 are for clients behind masquerade.
var (
	masked4 = at(active4, serverSide4, 40222)
	masked6 = at(active6, serverSide6, 40222)
)

func at(p alg.Pinhole, a netip.Addr, port uint16) alg.Pinhole {
	p.At = netip.AddrPortFrom(a, port)
	return p
}

func as(p alg.Pinhole, a netip.Addr) alg.Pinhole {
	p.As = a
	return p
}

// What an operator translates with.
const (
	masquerade = `chain post { type nat hook postrouting priority srcnat; oifname "to5" masquerade; }
`
	forwarding = `chain pre { type nat hook prerouting priority dstnat;
		iifname "to4" tcp dport 2121 dnat ip to 10.2.5.5:21; iifname "to4" tcp dport 2121 dnat ip6 to [fd00:2::5]:21; }`
)

// acceptsTranslated is what firewalld has in its forward chain.
const acceptsTranslated = "insert rule inet filter forward ct status dnat accept"

// newTranslator is a gateway that translates.
func newTranslator(t *testing.T, nat string, change func(*Config, *Caps)) (*network, *Table) {
	t.Helper()
	n, table := newGateway(t, func(cfg *Config, caps *Caps) {
		needs(t, caps.NAT, "NAT in family inet")
		change(cfg, caps)
	})
	n.gateway.load(t, "table inet nat {\n"+nat+"\n}")
	return n, table
}

// translations are pinholes of every way to translate, with what the operator has for it.
var translations = []struct {
	name, nat string
	pinhole   alg.Pinhole
	// sees is where the end that listens sees the connection come from.
	sees netip.Addr
}{
	{"masquerade, active", masquerade, masked4, active4.Source},
	{"masquerade, active, the client's own port", masquerade, at(active4, serverSide4, active4.Dest.Port()), active4.Source},
	{"masquerade, active, IPv6", masquerade, masked6, active6.Source},
	{"masquerade, passive", masquerade, as(passive4, netip.MustParseAddr("10.2.5.9")), netip.MustParseAddr("10.2.5.9")},
	{"masquerade, passive, IPv6", masquerade, as(passive6, netip.MustParseAddr("fd00:2::9")), netip.MustParseAddr("fd00:2::9")},
	{"port forwarding, passive", forwarding, at(passive4, clientSide4, passive4.Dest.Port()), passive4.Source},
	{"port forwarding, passive, another port", forwarding, at(passive4, clientSide4, 60003), passive4.Source},
	{"port forwarding, passive, IPv6", forwarding, at(passive6, clientSide6, 60003), passive6.Source},
	{"port forwarding, active", forwarding, as(active4, clientSide4), clientSide4},
	{"port forwarding, active, IPv6", forwarding, as(active6, clientSide6), clientSide6},
	{"both, active", masquerade + forwarding, as(masked4, clientSide4), clientSide4},
	{"both, active, IPv6", masquerade + forwarding, as(masked6, clientSide6), clientSide6},
	{"both, passive", masquerade + forwarding, as(at(passive4, clientSide4, 60003), serverSide4), serverSide4},
	{"both, passive, IPv6", masquerade + forwarding, as(at(passive6, clientSide6, 60003), serverSide6), serverSide6},
	{
		"prefix translation, active", `chain pre { type nat hook prerouting priority dstnat;
			dnat ip6 prefix to ip6 daddr map { fd00:9::/64 : fd00:1::/64 }; }
		chain post { type nat hook postrouting priority srcnat;
			snat ip6 prefix to ip6 saddr map { fd00:1::/64 : fd00:9::/64 }; }`,
		at(active6, netip.MustParseAddr("fd00:9::4"), 40222), active6.Source,
	},
}

// ends returns who connects and who listens, from where, and whereto.
func (n *network) ends(p alg.Pinhole) (src, dst *host, from, to netip.AddrPort) {
	src, dst, from, to = n.server, n.client, netip.AddrPortFrom(p.Source, p.SourcePorts.First), p.Dest
	if p.Mode == alg.Passive {
		src, dst = n.client, n.server
	}
	if p.At.IsValid() {
		to = p.At
	}
	return src, dst, from, to
}

// A translated pinhole admits one connection, to the address that was announced, and the
// end that listens sees it come from where the other end is for it.
func TestTranslated(t *testing.T) {
	for _, tt := range translations {
		for _, accepts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, accepts=%v", tt.name, accepts), func(t *testing.T) {
				t.Parallel()
				n, table := newTranslator(t, tt.nat, func(*Config, *Caps) {})
				n.gateway.run(t, func() error { return address("to5", "10.2.5.9/24", "fd00:2::9/64") })
				if accepts {
					n.gateway.load(t, acceptsTranslated)
				}
				p := tt.pinhole
				src, dst, from, to := n.ends(p)
				heard := dst.listen(t, p.Dest)
				dst.listen(t, port(p.Dest, p.Dest.Port()+1))

				commit(t, table, opened(p))
				if p.Mode == alg.Active {
					src.dial(t, port(from, 0), to, false)
				}
				c := src.dial(t, from, to, true)
				echo(t, c)
				switch got := <-heard; {
				case got.Addr() != tt.sees:
					t.Errorf("it came from %v, want %v", got, tt.sees)
				case p.Mode == alg.Active && got.Port() != 20:
					t.Errorf("it came from %v, want port 20", got)
				}
				wantUnused(t, table, p, false)
				src.dial(t, port(from, 0), to, false)
				hangUp(c)
				src.dial(t, from, to, false)
				commit(t, table, closed(p))
				src.refused(t, port(from, 0), to)
				select {
				case got := <-heard:
					t.Errorf("one more came in, from %v", got)
				default:
				}
			})
		}
	}
}

// refused fails the test if the host can connect: whether it hears of it or not.
func (h *host) refused(t *testing.T, from, to netip.AddrPort) {
	t.Helper()
	if _, err := h.connect(t, from, to, blocked); err == nil {
		t.Errorf("%v -> %v is admitted", from, to)
	}
}

// Client and server are neighbours, and the server is addressed at the gateway's outside.
func TestHairpin(t *testing.T) {
	client, server := netip.MustParseAddr("10.3.0.4"), netip.MustParseAddr("10.3.0.5")
	for _, p := range []alg.Pinhole{
		as(at(alg.Pinhole{
			Mode: alg.Active, Source: server, SourcePorts: port20, Dest: netip.AddrPortFrom(client, 46197),
		}, netip.MustParseAddr("10.3.0.1"), 40222), clientSide4),
		as(at(alg.Pinhole{
			Mode: alg.Passive, Source: client, Dest: netip.AddrPortFrom(server, 30000),
		}, clientSide4, 60003), netip.MustParseAddr("10.3.0.1")),
	} {
		t.Run(p.Mode.String(), func(t *testing.T) {
			n, table := newTranslator(t, `chain pre { type nat hook prerouting priority dstnat;
					ip daddr 10.1.4.1 tcp dport 2121 dnat ip to 10.3.0.5:21; }
				chain post { type nat hook postrouting priority srcnat;
					ip saddr 10.3.0.0/24 ip daddr 10.3.0.5 tcp dport 21 snat ip to 10.3.0.1; }`, func(*Config, *Caps) {})
			n.client, n.server = newHost(t), newHost(t)
			n.bridge(t, map[*host]netip.Addr{n.client: client, n.server: server})
			src, dst, from, to := n.ends(p)
			heard := dst.listen(t, p.Dest)
			commit(t, table, opened(p))
			echo(t, src.dial(t, from, to, true))
			if got := <-heard; got.Addr() != p.As || p.Mode == alg.Active && got.Port() != 20 {
				t.Errorf("it came from %v", got)
			}
			src.dial(t, port(from, 0), to, false)
		})
	}
}

// Two clients behind one address announce the same port. Each has a port outside, and
// nobody can have that of the other.
func TestTwoClientsOnePort(t *testing.T) {
	n, table := newTranslator(t, masquerade, func(*Config, *Caps) {})
	n.client.run(t, func() error { return address("eth0", "10.1.4.6/24") })
	first, second := masked4, masked4
	second.Dest = netip.MustParseAddrPort("10.1.4.6:46197")
	at4, at6 := n.client.listen(t, first.Dest), n.client.listen(t, second.Dest)
	commit(t, table, opened(first))
	if err := table.Commit([]alg.Op{opened(second)}); !errors.Is(err, unix.EEXIST) {
		t.Errorf("the outside port of another client: %v, want EEXIST", err)
	}
	wantUnused(t, table, second, false)
	second = at(second, serverSide4, 40223)
	commit(t, table, opened(second))
	from := netip.AddrPortFrom(first.Source, 20)
	echo(t, n.server.dial(t, from, second.At, true))
	if len(at4) != 0 || len(at6) != 1 {
		t.Errorf("%d connections came to the first client and %d to the second", len(at4), len(at6))
	}
	wantUnused(t, table, first, true)
	echo(t, n.server.dial(t, from, first.At, true))
	if len(at4) != 1 {
		t.Error("no connection came to the first client")
	}
}

// An element of a map is not taken away from whom it belongs to; its owner can open it anew.
func TestClaim(t *testing.T) {
	everyKernel(t, func(t *testing.T, caps Caps) {
		table := install(t, defaults(), caps)
		owner := as(masked4, clientSide4)
		other, source := owner, owner
		other.Dest = port(owner.Dest, 2000)
		source.At, source.As = netip.AddrPort{}, netip.MustParseAddr("10.1.4.2")
		short := alg.Op{Kind: alg.OpOpen, Pinhole: owner, Timeout: 300 * time.Millisecond}
		commit(t, table, short)
		for _, p := range []alg.Pinhole{other, source} {
			err := table.Commit([]alg.Op{opened(active6), opened(p)})
			if !errors.Is(err, unix.EEXIST) || !strings.Contains(err.Error(), describePinhole(p)) {
				t.Errorf("%s: %v, want EEXIST and its name", describePinhole(p), err)
			}
		}
		wantUnused(t, table, active6, false)
		wantUnused(t, table, other, false)
		commit(t, table, opened(owner))
		time.Sleep(900 * time.Millisecond) // more than twice the time that it had
		for set, want := range map[string]string{
			"dnat4":       "10.2.5.5 . 10.2.5.1 . 40222 timeout 1m : 10.1.4.4 . 46197",
			"snat4":       "10.2.5.5 . 10.1.4.4 . 46197 timeout 1m : 10.1.4.1",
			"outside4":    "10.2.5.5 . 10.2.5.1 . 40222 timeout 1m",
			"translated4": "10.2.5.5 . 10.1.4.4 . 46197 timeout 1m2s",
		} {
			wantElements(t, set, want)
		}
		commit(t, table, closed(owner), closed(owner))
		for set, want := range map[string]string{
			"dnat4": "", "snat4": "", "outside4": "", "transfers4": "",
			// What was translated a moment ago is still to be known as such.
			"translated4": "10.2.5.5 . 10.1.4.4 . 46197 timeout 2s",
		} {
			wantElements(t, set, want)
		}
		commit(t, table, opened(other))
		// Time too is up for who comes next.
		commit(t, table, closed(other), short)
		time.Sleep(700 * time.Millisecond)
		commit(t, table, opened(other))
	})
}

func wantElements(t *testing.T, set, want string) {
	t.Helper()
	if got := elements(t, set); got != want {
		t.Errorf("%s has %q, want %q", set, got, want)
	}
}

// Without a translation nothing is written that would not be without ours.
func TestNothingTranslated(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	commit(t, table, opened(active4), opened(active6), opened(passive4), opened(passive6))
	for _, set := range []string{"dnat4", "dnat6", "snat4", "snat6", "outside4", "outside6", "translated4", "translated6"} {
		wantElements(t, set, "")
	}
}

func TestTranslationRefused(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	for _, p := range []alg.Pinhole{
		at(active4, serverSide6, 40222), at(active6, serverSide4, 40222), at(active4, serverSide4, 0),
		at(active4, netip.MustParseAddr("::ffff:10.2.5.1"), 40222), as(active4, clientSide6), as(active6, clientSide4),
		as(active6, netip.MustParseAddr("::ffff:10.1.4.1")),
	} {
		for _, op := range []alg.Op{opened(p), closed(p)} {
			if err := table.Commit([]alg.Op{op}); !errors.Is(err, unix.EINVAL) {
				t.Errorf("%s: %v, want EINVAL", describe(op), err)
			}
		}
		wantUnused(t, table, p, false)
	}
	short := opened(masked4)
	short.Timeout = time.Microsecond
	if err := table.Commit([]alg.Op{short}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("time-out %v: %v, want EINVAL", short.Timeout, err)
	}
}

// Of the SYNs that come one is admitted, and so is its repetition while the transfer lives.
func TestTranslatedSYNs(t *testing.T) {
	for _, p := range []alg.Pinhole{masked4, masked6} {
		t.Run(p.Source.String(), func(t *testing.T) {
			n, table := newTranslator(t, masquerade, func(*Config, *Caps) {})
			n.gateway.load(t, acceptsTranslated)
			heard := n.client.silence(t)
			from := netip.AddrPortFrom(p.Source, 20)
			commit(t, table, opened(p))
			for range 2 {
				for seq := range uint32(5) {
					n.server.syn(t, from, p.At, seq*1000+1)
					n.server.syn(t, port(from, uint16(3000+seq)), p.At, 1)
				}
				wantCount(t, "ten SYNs", heard, 1)
			}
			commit(t, table, closed(p))
			n.server.syn(t, from, p.At, 1)
			n.server.syn(t, port(from, 4000), p.At, 1)
			wantCount(t, "SYNs after the end of the transfer", heard, 0)
		})
	}
}

// The first SYN is lost on its way behind the gateway.
func TestTranslatedRepeatedSYN(t *testing.T) {
	for _, p := range []alg.Pinhole{masked4, as(masked6, clientSide6)} {
		t.Run(p.Source.String(), func(t *testing.T) {
			n, table := newTranslator(t, masquerade, func(*Config, *Caps) {})
			n.gateway.load(t, acceptsTranslated)
			n.client.listen(t, p.Dest)
			n.client.load(t, `table inet lossy {
				chain input { type filter hook input priority filter; tcp flags syn limit rate 1/day burst 1 packets drop; }
			}`)
			commit(t, table, opened(p))
			begin := time.Now()
			echo(t, n.server.dial(t, netip.AddrPortFrom(p.Source, 20), p.At, true))
			if time.Since(begin) < 900*time.Millisecond {
				t.Error("no SYN was lost: the test shows nothing")
			}
		})
	}
}

// The map opens nothing, whatever the operator accepts: not from another port, not when
// the pinhole's time is over, and no packet that is no SYN.
func TestMapIsNoHole(t *testing.T) {
	for _, p := range []alg.Pinhole{masked4, masked6} {
		t.Run(p.Source.String(), func(t *testing.T) {
			n, table := newTranslator(t, masquerade, func(*Config, *Caps) {})
			n.gateway.load(t, acceptsTranslated)
			heard := n.client.counts(t, "heard", "hook input priority raw", "tcp dport 46197", "drop")
			from := netip.AddrPortFrom(p.Source, 20)
			commit(t, table, alg.Op{Kind: alg.OpOpen, Pinhole: p, Timeout: 400 * time.Millisecond})
			n.server.syn(t, port(from, 33333), p.At, 1)
			n.server.send(t, port(from, 33334), p.At, 1, ack)
			n.server.send(t, from, p.At, 1, ack, 'x')
			wantCount(t, "what the pinhole does not admit", heard, 0)
			wantUnused(t, table, p, true)
			time.Sleep(500 * time.Millisecond) // the map has it for 300 ms more
			wantUnused(t, table, p, false)
			n.server.syn(t, from, p.At, 1)
			wantCount(t, "when the pinhole's time is over", heard, 0)
			time.Sleep(500 * time.Millisecond)
			n.server.syn(t, port(from, 33335), p.At, 1)
			wantCount(t, "when the map's is", heard, 0)
		})
	}
}

// What the operator translates himself is his, but for what is announced.
func TestOperatorsOwn(t *testing.T) {
	n, table := newTranslator(t, `chain pre { type nat hook prerouting priority dstnat;
			iifname "to5" tcp dport { 40222, 40224 } dnat ip to 10.1.4.4:8080; }
		chain post { type nat hook postrouting priority srcnat; ip daddr 10.1.4.4 snat ip to 10.1.4.1; }`, func(*Config, *Caps) {})
	n.gateway.load(t, acceptsTranslated)
	n.server.run(t, func() error { return address("eth0", "10.2.5.6/24") })
	heard := n.client.listen(t, netip.MustParseAddrPort("10.1.4.4:8080"))
	want := func(what, from, to string) {
		t.Helper()
		echo(t, n.server.dial(t, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), true))
		if got := <-heard; got.Addr() != clientSide4 {
			t.Errorf("%s: it came from %v, want the operator's %v", what, got, clientSide4)
		}
	}
	p := masked4
	announced := n.client.listen(t, p.Dest)
	want("nothing is announced", "10.2.5.5:0", "10.2.5.1:40222")
	commit(t, table, opened(p))
	want("another port", "10.2.5.5:0", "10.2.5.1:40224")
	want("another source", "10.2.5.6:0", "10.2.5.1:40222")
	n.server.dial(t, netip.MustParseAddrPort("10.2.5.5:20"), p.At, true)
	if got := <-announced; got.Addr() != clientSide4 {
		t.Errorf("what is announced came from %v, want %v, as ours says nothing", got, clientSide4)
	}
	commit(t, table, closed(p))
	want("no longer", "10.2.5.5:0", "10.2.5.1:40222")
}

// A SYN that is not translated, as its flow is known by its own addresses, does not come to
// the gateway's own port.
func TestOutsidePort(t *testing.T) {
	for _, p := range []alg.Pinhole{masked4, masked6} {
		t.Run(p.Source.String(), func(t *testing.T) {
			n, table := newTranslator(t, masquerade, func(*Config, *Caps) {})
			n.gateway.listen(t, p.At)
			from := netip.AddrPortFrom(p.Source, 20)
			n.server.dial(t, from, p.At, true)
			got := n.gateway.counts(t, "got", "hook input priority 0", "tcp flags & (fin|syn|rst|ack) == syn", "")
			n.server.syn(t, from, p.At, 1)
			wantCount(t, "before", got, 1)
			commit(t, table, opened(p))
			n.server.syn(t, from, p.At, 2)
			wantCount(t, "while the port is a client's", got, 0)
			n.client.dial(t, netip.AddrPort{}, p.At, true)
			wantCount(t, "of someone else", got, 1)
			commit(t, table, closed(p))
			n.server.syn(t, from, p.At, 3)
			wantCount(t, "after", got, 1)
			wantUnused(t, table, p, false)
		})
	}
}

// A server's SYN that the map finds and the pinhole does not admit is a near miss.
func TestMissedTranslated(t *testing.T) {
	n, table := newTranslator(t, masquerade, func(_ *Config, caps *Caps) { needs(t, caps.Log, "the log statement") })
	newListener(t, n.gateway, guarding(table.cfg))
	n.server.listen(t, control4.Server)
	echo(t, n.client.dial(t, control4.Client, control4.Server, true))
	tell := newTeller(t, n.gateway, table.cfg)
	commit(t, table, opened(masked4))
	n.server.syn(t, netip.AddrPortFrom(masked4.Source, 33333), masked4.At, 1)
	tell.want(t, "from another port", LogMissed)
}

// The table of old serves as ever where one cannot translate.
func TestWithoutNAT(t *testing.T) {
	n, table := newGateway(t, func(_ *Config, caps *Caps) { caps.NAT = false })
	n.client.listen(t, active4.Dest)
	commit(t, table, opened(active4))
	echo(t, n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, true))
}
