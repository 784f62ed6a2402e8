package conntrack

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// pump sends random bytes both ways and fails where others arrive.
func pump(t *testing.T, c connection, size int) {
	t.Helper()
	if err := pumped(c, size); err != nil {
		t.Fatal(err)
	}
}

func pumped(c connection, size int) (err error) {
	errs := make(chan error, 4)
	for i, ends := range [][2]net.Conn{{c.client, c.server}, {c.server, c.client}} {
		data := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(data)
		for _, e := range ends {
			_ = e.SetDeadline(time.Now().Add(30 * time.Second))
		}
		go func() {
			_, err := ends[0].Write(data)
			errs <- err
		}()
		go func() {
			got := make([]byte, size)
			_, err := io.ReadFull(ends[1], got)
			if err == nil && !bytes.Equal(got, data) {
				err = errors.New("other bytes arrived than were sent")
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		err = errors.Join(err, <-errs)
	}
	return err
}

// entry returns the entry of a flow that is there.
func (n *network) entry(t *testing.T, f alg.Flow) conntrack.Flow {
	t.Helper()
	e, ok, err := n.conn.control(f)
	if err != nil || !ok {
		t.Fatalf("%v: %t, %v", f, ok, err)
	}
	return e
}

func (n *network) prepare(t *testing.T, c connection) [2]alg.Adjustment {
	t.Helper()
	got, a, ok, err := n.conn.Prepare(c.flow, true)
	if err != nil || !ok || got != c.translation {
		t.Fatalf("%v: %+v, %t, %v; want %+v", c.flow, got, ok, err, c.translation)
	}
	return a
}

func TestPrepare(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			c := n.connect(t, w)
			pump(t, c, 1000)
			before, known, err := n.conn.known(c.flow)
			if known == w.both {
				t.Fatalf("found by its tuples: %t", known)
			}
			if !known {
				before, _, err = n.conn.search(c.flow)
			}
			if err != nil || before.ID == 0 || before.Status.SeqAdjust() {
				t.Fatalf("%+v, %v", before, err)
			}
			if a := n.prepare(t, c); a != [2]alg.Adjustment{} {
				t.Errorf("adjusted by %+v", a)
			}
			after := n.entry(t, c.flow)
			if !after.Status.SeqAdjust() {
				t.Errorf("it cannot be adjusted: %+v", after)
			}
			n.equal(t, after, before)
			pump(t, c, 300_000)
			if i := n.invalid(t); i != 0 {
				t.Errorf("%d packets were invalid", i)
			}
			// What is set stays, also when it is prepared again.
			want := [2]alg.Adjustment{{Pos: 1 << 31, After: -3}, {Pos: 0, Before: -70000, After: 1}}
			for side, a := range want {
				if err := n.conn.Adjust(c.flow, c.translation, tcp.Side(side), a); err != nil {
					t.Error(err)
				}
			}
			for range 2 {
				if a := n.prepare(t, c); a != want {
					t.Errorf("adjusted by %+v, want %+v", a, want)
				}
			}
		})
	}
}

// equal compares what of an entry is to stay.
func (n *network) equal(t *testing.T, got, want conntrack.Flow) {
	t.Helper()
	const status = ^conntrack.StatusSeqAdjust
	a, b := *got.ProtoInfo.TCP, *want.ProtoInfo.TCP
	a.OriginalFlags, a.ReplyFlags, b.OriginalFlags, b.ReplyFlags = a.OriginalFlags&0x700, a.ReplyFlags&0x700, b.OriginalFlags&0x700, b.ReplyFlags&0x700
	switch {
	case got.TupleOrig != want.TupleOrig, got.TupleReply != want.TupleReply:
		t.Errorf("%v, %v; want %v, %v", got.TupleOrig, got.TupleReply, want.TupleOrig, want.TupleReply)
	case got.Status&status != want.Status&status:
		t.Errorf("status %v, want %v", got.Status, want.Status)
	case a != b || a.OriginalWindowScale == 0 || a.OriginalFlags == 0:
		t.Errorf("%+v, want %+v", a, b)
	case got.Mark != want.Mark || got.Mark != 0x0a0b0c0d:
		t.Errorf("mark %x, want %x", got.Mark, want.Mark)
	case !bytes.Equal(got.Labels, want.Labels) || !(&Conn{label: [16]byte{15: 0x40}}).bears(got):
		t.Errorf("labels %x, want %x", got.Labels, want.Labels)
	case got.Timeout < want.Timeout-60 || got.Timeout > want.Timeout:
		t.Errorf("a time-out of %d s, want %d s", got.Timeout, want.Timeout)
	}
}

// A flow that is not translated is told, and left as it is.
func TestPrepareUntranslated(t *testing.T) {
	n := newNetwork(t)
	c := n.connect(t, way{to: server + ":21", listen: server + ":21"})
	before := n.entry(t, c.flow)
	n.prepare(t, c)
	if after := n.entry(t, c.flow); after.ID != before.ID || after.Status.SeqAdjust() {
		t.Errorf("%+v, before %+v", after, before)
	}
}

// What connection tracking does not know, or knows the other way round, is not prepared.
func TestPrepareUnknown(t *testing.T) {
	n := newNetwork(t)
	for name, w := range ways() {
		c := n.connect(t, w)
		for _, f := range []alg.Flow{
			{Client: c.flow.Server, Server: c.flow.Client},
			{Client: netip.AddrPortFrom(c.flow.Client.Addr(), c.flow.Client.Port()^1), Server: c.flow.Server},
			{Client: c.flow.Client, Server: netip.AddrPortFrom(c.flow.Server.Addr(), 22)},
		} {
			if _, _, ok, err := n.conn.Prepare(f, true); ok || err != nil {
				t.Errorf("%s: %v: %t, %v", name, f, ok, err)
			}
			if err := n.conn.Adjust(f, c.translation, tcp.Client, alg.Adjustment{After: 1}); !errors.Is(err, ErrNoFlow) {
				t.Errorf("%s: %v: %v", name, f, err)
			}
		}
	}
}

// Two flows whose ends are the same to filter chains cannot be told apart.
func TestPrepareAmbiguous(t *testing.T) {
	for _, family := range []string{"IPv4", "IPv6"} {
		t.Run(family, func(t *testing.T) {
			n := newNetwork(t)
			w := ways()[family+" both"]
			c := n.connect(t, w)
			// The same client's port, to another address that is the same server's.
			other := c.translation
			other.Server = netip.AddrPortFrom(other.Server.Addr(), 2122)
			other.Client = netip.AddrPortFrom(other.Client.Addr(), 40000)
			twin := conntrack.Flow{Timeout: 100, Status: conntrack.StatusConfirmed, ProtoInfo: conntrack.ProtoInfo{TCP: &conntrack.ProtoInfoTCP{State: 3}}}
			create, err := message(msgNew, netlink.Create|netlink.Excl|netlink.Acknowledge, c.flow.Client.Addr(), copied(c.flow, other, twin)...)
			if err != nil {
				t.Fatal(err)
			}
			if answers, err := n.conn.raw.exchange(create); err != nil || answers[0].err != nil {
				t.Fatal(answers, err)
			}
			if got, _, ok, err := n.conn.Prepare(c.flow, true); ok || err != nil {
				t.Errorf("%+v, %t, %v", got, ok, err)
			}
			// Another port of the client's is another flow.
			n.prepare(t, n.connect(t, w))
		})
	}
}

// The kernel picks what it is asked for, of IPv6 by the ports alone.
func TestList(t *testing.T) {
	n := newNetwork(t)
	for _, family := range []string{"IPv4", "IPv6"} {
		var all []connection
		for range 5 {
			all = append(all, n.connect(t, ways()[family+" both"]))
		}
		for _, c := range all {
			entries, err := n.conn.list(c.flow)
			if err != nil || len(entries) != 1 || seen(entries[0]) != c.flow || translation(entries[0]) != c.translation {
				t.Errorf("%v: %+v, %v", c.flow, entries, err)
			}
		}
	}
}

// The flows of a daemon that has stopped are found again, whatever is translated.
func TestVouchTranslated(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			c := n.connect(t, w)
			n.prepare(t, c)
			id(t, n.conn, c.flow)
			if err := n.conn.Vouch(c.flow, true); err != nil {
				t.Fatal(err)
			}
			var next *Conn
			n.gateway.run(t, func() (err error) {
				next, err = Open(label)
				return err
			})
			defer next.Close()
			if got, err := next.Vouched(); err != nil || !maps.Equal(got, map[alg.Flow]bool{c.flow: c.translation != alg.Translation(c.flow)}) {
				t.Fatalf("vouched for %v, %v; want %v", got, err, c.flow)
			}
			id(t, next, c.flow)
			if err := next.Vouch(c.flow, false); err != nil {
				t.Error(err)
			}
			if got, err := next.Vouched(); err != nil || len(got) != 0 {
				t.Errorf("vouched for %v, %v", got, err)
			}
		})
	}
}

// What is remembered of servers is bounded.
func TestDialled(t *testing.T) {
	var d dialled
	entry := func(server, at int) (e conntrack.Flow) {
		ap := func(a, b, port int) (netip.Addr, uint16) {
			return netip.AddrFrom4([4]byte{10, byte(a), byte(b >> 8), byte(b)}), uint16(port)
		}
		e.TupleOrig.IP.SourceAddress, e.TupleOrig.Proto.SourcePort = ap(1, 1, 4000)
		e.TupleOrig.IP.DestinationAddress, e.TupleOrig.Proto.DestinationPort = ap(2, at, 21)
		e.TupleReply.IP.SourceAddress, e.TupleReply.Proto.SourcePort = ap(3, server, 21)
		e.TupleReply.IP.DestinationAddress, e.TupleReply.Proto.DestinationPort = ap(4, 1, 4000)
		return e
	}
	for at := range 2 * maxDialled {
		d.note(entry(0, at))
		d.note(entry(0, at))
		if got := d.of(seen(entry(0, 0)).Server); len(got) != min(at+1, maxDialled) || got[len(got)-1] != destination(entry(0, at).TupleOrig) {
			t.Fatalf("after %d: %v", at, got)
		}
	}
	for server := range 2 * maxServers {
		d.note(entry(server, 1))
		if got := d.of(seen(entry(server, 1)).Server); len(d.all) > maxServers || len(got) == 0 {
			t.Fatalf("after %d: %d, %v", server, len(d.all), got)
		}
	}
}
