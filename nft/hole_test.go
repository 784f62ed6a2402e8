package nft

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

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
			over := time.Now().Add(2 * time.Second)
			commit(t, table, alg.Op{Kind: alg.OpOpen, Pinhole: p, Timeout: time.Until(over).Round(time.Millisecond)})
			n.server.syn(t, port(from, 33333), p.At, 1)
			n.server.send(t, port(from, 33334), p.At, 1, ack)
			n.server.send(t, from, p.At, 1, ack, 'x')
			wantCount(t, "what the pinhole does not admit", heard, 0)
			wantUnused(t, table, p, true)
			time.Sleep(time.Until(over) + 100*time.Millisecond) // the map has it for 300 ms more
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
