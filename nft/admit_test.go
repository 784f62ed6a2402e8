package nft

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// Five SYNs of one connection come before any answer, with five numbers: one is admitted.
func TestFiveSYNs(t *testing.T) {
	for _, p := range []alg.Pinhole{active4, active6, passive4, passive6} {
		t.Run(p.Mode.String()+" "+p.Source.String(), func(t *testing.T) {
			n, table := newGateway(t, func(*Config, *Caps) {})
			src, dst := n.server, n.client
			if p.Mode == alg.Passive {
				src, dst = n.client, n.server
			}
			heard := dst.silence(t)
			from := netip.AddrPortFrom(p.Source, 20)
			commit(t, table, opened(p))
			for seq := range uint32(5) {
				src.syn(t, from, p.Dest, seq*1000+1)
			}
			wantCount(t, "five SYNs", heard, 1)
			for seq := range uint32(5) {
				src.syn(t, from, p.Dest, seq*1000+1)
			}
			wantCount(t, "the same five once more", heard, 1)
		})
	}
}

// The SYN that was admitted may be repeated while the transfer lives, and not after.
func TestRepetitionEndsWithTransfer(t *testing.T) {
	for _, p := range []alg.Pinhole{active4, active6} {
		t.Run(p.Source.String(), func(t *testing.T) {
			n, table := newGateway(t, func(*Config, *Caps) {})
			heard := n.client.silence(t)
			from := netip.AddrPortFrom(p.Source, 20)
			commit(t, table, opened(p))
			for range 3 {
				n.server.syn(t, from, p.Dest, 7)
			}
			wantCount(t, "a SYN and two repetitions", heard, 3)
			n.server.syn(t, from, p.Dest, 8)
			n.server.syn(t, port(from, 21), p.Dest, 7)
			n.server.syn(t, from, port(p.Dest, p.Dest.Port()+1), 7)
			wantCount(t, "others", heard, 0)
			commit(t, table, closed(p))
			n.server.syn(t, from, p.Dest, 7)
			wantCount(t, "a repetition after the end of the transfer", heard, 0)
		})
	}
}

// The nft program can list what was admitted: of some types it cannot list two elements.
func TestAdmittedIsListed(t *testing.T) {
	for _, p := range []alg.Pinhole{active4, active6} {
		t.Run(p.Source.String(), func(t *testing.T) {
			n, table := newGateway(t, func(*Config, *Caps) {})
			heard := n.client.silence(t)
			other := p
			other.Dest = port(p.Dest, p.Dest.Port()+1)
			for _, p := range []alg.Pinhole{p, other} {
				commit(t, table, opened(p))
				n.server.syn(t, netip.AddrPortFrom(p.Source, 20), p.Dest, 7)
			}
			wantCount(t, "two SYNs", heard, 2)
			n.gateway.do(t, func() { nft(t, "list", "ruleset") })
		})
	}
}

// Nothing makes the time longer in which the SYN may be repeated.
func TestAdmittedIsNotRefreshed(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	heard := n.client.silence(t)
	from := netip.AddrPortFrom(active4.Source, 20)
	commit(t, table, opened(active4))
	begin := time.Now()
	n.server.syn(t, from, active4.Dest, 7)
	time.Sleep(300 * time.Millisecond)
	n.server.syn(t, from, active4.Dest, 7)
	wantCount(t, "a SYN and its repetition", heard, 2)
	if left := n.gateway.expires(t, "admitted4"); left > admittedFor-time.Since(begin)+100*time.Millisecond {
		t.Errorf("%v are left %v after the SYN", left, time.Since(begin))
	}
}

// A transfer that the daemon never closes ends after twice the pinhole's time.
func TestTransferExpires(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	heard := n.client.silence(t)
	from := netip.AddrPortFrom(active4.Source, 20)
	commit(t, table, alg.Op{Kind: alg.OpOpen, Pinhole: active4, Timeout: 300 * time.Millisecond})
	begin := time.Now()
	n.server.syn(t, from, active4.Dest, 7)
	wantCount(t, "the SYN", heard, 1)
	time.Sleep(time.Until(begin.Add(400 * time.Millisecond)))
	n.server.syn(t, from, active4.Dest, 7)
	wantCount(t, "a repetition beyond the pinhole's time", heard, 1)
	time.Sleep(time.Until(begin.Add(800 * time.Millisecond)))
	n.server.syn(t, from, active4.Dest, 7)
	wantCount(t, "a repetition beyond the transfer's time", heard, 0)
}

// A set without room for a repetition does not keep the connection out.
func TestAdmittedIsFull(t *testing.T) {
	n, table := newGateway(t, func(c *Config, _ *Caps) { c.SetSize = 1 })
	commit(t, table, opened(active4), opened(passive4))
	n.client.listen(t, active4.Dest)
	n.server.listen(t, passive4.Dest)
	echo(t, n.server.dial(t, netip.AddrPortFrom(active4.Source, 20), active4.Dest, true))
	echo(t, n.client.dial(t, netip.AddrPortFrom(passive4.Source, 0), passive4.Dest, true))
	n.gateway.do(t, func() {
		if got := elements(t, "admitted4"); len(got) == 0 || len(got) > 80 {
			t.Errorf("set admitted4 has %q, want one element", got)
		}
	})
}

// What others set in the packet's mark opens nothing, and but for our bit it stays. The
// operator's line here asks for the mark alone.
func TestMarksOfOthers(t *testing.T) {
	n, table := newGateway(t, func(*Config, *Caps) {})
	n.gateway.load(t, `insert rule inet filter forward meta mark & 0x01000000 == 0x01000000 accept
		table inet mangle {
			chain prerouting { type filter hook prerouting priority mangle; meta mark set 0xffff0000; }
		}`)
	heard := n.client.silence(t)
	bit := n.gateway.counts(t, "bit", "hook forward priority 11", "tcp dport 46197 meta mark & 0x01000000 != 0", "")
	rest := n.gateway.counts(t, "rest", "hook forward priority 11", "tcp dport 46197 meta mark 0xfeff0000", "")
	from := netip.AddrPortFrom(active4.Source, 20)
	n.server.syn(t, from, active4.Dest, 1)
	wantCount(t, "without a pinhole", heard, 0)
	commit(t, table, opened(active4))
	n.server.syn(t, from, active4.Dest, 2)
	wantCount(t, "with a pinhole", heard, 1)
	wantCount(t, "our bit after our chains", bit, 0)
	wantCount(t, "the other bits after our chains", rest, 1)
	n.server.syn(t, from, active4.Dest, 3)
	wantCount(t, "after the pinhole was used", heard, 0)
}

// The flow keeps its label when its receiver has reset it, and the operator's chain accepts
// what is established, as which conntrack has every SYN of it for some seconds.
func TestNoSYNAfterReset(t *testing.T) {
	for _, p := range []alg.Pinhole{active4, active6} {
		t.Run(p.Source.String(), func(t *testing.T) {
			n, table := newGateway(t, func(*Config, *Caps) {})
			connected, reset := make(chan struct{}), make(chan struct{})
			n.client.run(t, func() error {
				l, err := (&net.ListenConfig{Control: reuse}).Listen(context.Background(), "tcp", p.Dest.String())
				if err != nil {
					return err
				}
				t.Cleanup(func() { l.Close() })
				go func() {
					if c, err := l.Accept(); err == nil {
						<-connected
						hangUp(c)
					}
					l.Close()
					close(reset)
				}()
				return nil
			})
			from := netip.AddrPortFrom(p.Source, 20)
			commit(t, table, opened(p))
			n.server.dial(t, from, p.Dest, true)
			close(connected)
			<-reset
			heard := n.client.silence(t)
			established := n.gateway.counts(t, "est", "hook forward priority -20",
				"ct state established ct label 126 tcp flags & (fin|syn|rst|ack) == syn", "")
			for seq := range uint32(3) {
				n.server.syn(t, from, p.Dest, 0x10000000*(seq+1))
			}
			wantCount(t, "SYNs that conntrack calls established", established, 3)
			wantCount(t, "SYNs after the reset", heard, 0)
			commit(t, table, closed(p))
			n.server.syn(t, from, p.Dest, 0x50000000)
			wantCount(t, "a SYN after the session", heard, 0)
		})
	}
}

// Of the ports that a pinhole names any may come, and no other.
func TestSourcePortRange(t *testing.T) {
	for _, p := range []alg.Pinhole{active4, active6} {
		t.Run(p.Source.String(), func(t *testing.T) {
			p.SourcePorts = alg.Ports{First: 1, Last: 1023}
			n, table := newGateway(t, func(c *Config, _ *Caps) { c.SourcePorts = []alg.Ports{{}, port20, p.SourcePorts} })
			heard := n.client.silence(t)
			commit(t, table, opened(p))
			for _, from := range []uint16{1024, 33333, 65535} {
				n.server.syn(t, netip.AddrPortFrom(p.Source, from), p.Dest, 1)
			}
			wantCount(t, "ports above", heard, 0)
			for _, from := range []uint16{1, 1023, 20} {
				wantUnused(t, table, p, true)
				n.server.syn(t, netip.AddrPortFrom(p.Source, from), p.Dest, 1)
				wantCount(t, "a port of the range", heard, 1)
				wantUnused(t, table, p, false)
				commit(t, table, opened(p))
			}
		})
	}
}

// On a single host a packet to itself passes both hooks, and is admitted at both.
func TestLoopback(t *testing.T) {
	h := newHost(t)
	h.load(t, `table inet filter {
		chain input { type filter hook input priority filter; policy drop; ct state established,related accept; }
		chain output { type filter hook output priority filter; policy drop; ct state established,related accept; }
	}`)
	cfg := defaults()
	cfg.Hooks = []string{"input", "output"}
	var table *Table
	h.do(t, func() {
		table = install(t, cfg, probe(t))
		anchor(t, "inet filter", cfg.Hooks, cfg.Tag)
	})
	for _, a := range []string{"127.0.0.1", "::1"} {
		addr := netip.MustParseAddr(a)
		p := alg.Pinhole{Mode: alg.Active, Source: addr, SourcePorts: port20, Dest: netip.AddrPortFrom(addr, 46197)}
		h.listen(t, p.Dest)
		commit(t, table, opened(p))
		echo(t, h.dial(t, netip.AddrPortFrom(addr, 20), p.Dest, true))
		wantUnused(t, table, p, false)
	}
}
