package replay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// asks is the SYN of a connection.
func asks(from, to string, seq uint32) *segment {
	return &segment{src: netip.MustParseAddrPort(from), dst: netip.MustParseAddrPort(to), seq: seq, flags: syn}
}

func (f *filter) do(ops ...alg.Op) { _ = f.Commit(ops) }

func newTestFilter() *filter {
	f := newFilter(newConnections([]uint16{21}))
	f.now = time.Unix(1e9, 0)
	return f
}

// A pinhole admits from the ports of its range, and once.
func TestSourcePorts(t *testing.T) {
	for _, c := range []struct {
		ports alg.Ports
		from  string
		want  bool
	}{
		{alg.Ports{First: 20, Last: 20}, "10.2.5.5:20", true},
		{alg.Ports{First: 20, Last: 20}, "10.2.5.5:21", false},
		{alg.Ports{First: 1, Last: 1023}, "10.2.5.5:1023", true},
		{alg.Ports{First: 1, Last: 1023}, "10.2.5.5:1024", false},
		{alg.Ports{}, "10.2.5.5:33333", true},
		{alg.Ports{}, "10.2.5.6:33333", false},
	} {
		f := newTestFilter()
		p := alg.Pinhole{Source: server.Addr(), SourcePorts: c.ports, Dest: netip.MustParseAddrPort("10.1.4.4:46197")}
		f.do(alg.Op{Kind: alg.OpOpen, Pinhole: p, Timeout: time.Minute})
		if f.admit(asks(c.from, "10.1.4.4:46198", 1)) != closed {
			t.Errorf("%v, %s: another destination", c.ports, c.from)
		}
		if got := f.admit(asks(c.from, "10.1.4.4:46197", 1)) != closed; got != c.want {
			t.Errorf("%v, %s: %v", c.ports, c.from, got)
		}
		if f.admit(asks(c.from, "10.1.4.4:46197", 2)) != closed {
			t.Errorf("%v, %s: twice", c.ports, c.from)
		}
		if unused, _ := f.Unused(p); unused == c.want {
			t.Errorf("%v, %s: unused: %v", c.ports, c.from, unused)
		}
	}
}

// The SYN that was admitted may come again, for a while and during the transfer; another
// one may not, nor the same from another port.
func TestRepeatedSYN(t *testing.T) {
	p := alg.Pinhole{Source: server.Addr(), Dest: netip.MustParseAddrPort("10.1.4.4:46197")}
	opened := func() *filter {
		f := newTestFilter()
		f.do(alg.Op{Kind: alg.OpOpen, Pinhole: p, Timeout: time.Minute})
		if f.admit(asks("10.2.5.5:20", "10.1.4.4:46197", 1)) == closed {
			t.Fatal("not admitted")
		}
		return f
	}
	f := opened()
	for i, c := range []struct {
		after time.Duration
		from  string
		seq   uint32
		want  bool
	}{
		{0, "10.2.5.5:20", 1, true},
		{0, "10.2.5.5:20", 2, false},
		{0, "10.2.5.5:22", 1, false},
		{30 * time.Second, "10.2.5.5:20", 1, true},
		{time.Millisecond, "10.2.5.5:20", 1, false}, // nothing has refreshed it
	} {
		f.now = f.now.Add(c.after)
		if got := f.admit(asks(c.from, "10.1.4.4:46197", c.seq)) != closed; got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	f = opened()
	f.do(alg.Op{Kind: alg.OpClose, Pinhole: p})
	if f.admit(asks("10.2.5.5:20", "10.1.4.4:46197", 1)) != closed {
		t.Error("after the transfer")
	}
}

// A pinhole that was not used is gone after its time-out.
func TestTimeout(t *testing.T) {
	f := newTestFilter()
	p := alg.Pinhole{Mode: alg.Passive, Source: client.Addr(), Dest: netip.MustParseAddrPort("10.2.5.5:50000")}
	f.do(alg.Op{Kind: alg.OpOpen, Pinhole: p, Timeout: time.Minute})
	f.now = f.now.Add(time.Minute + 1)
	if f.admit(asks("10.1.4.4:40000", "10.2.5.5:50000", 1)) != closed {
		t.Error("admitted")
	}
}

// A range admits every connection of the client to its ports, until it is revoked.
func TestRanges(t *testing.T) {
	f := newTestFilter()
	r := alg.Range{Client: client.Addr(), Server: server.Addr(), Ports: alg.Ports{First: 50000, Last: 50100}}
	f.do(alg.Op{Kind: alg.OpAdmit, Range: r, Timeout: time.Minute})
	for i, c := range []struct {
		from, to string
		want     bool
	}{
		{"10.1.4.4:40000", "10.2.5.5:50000", true},
		{"10.1.4.4:40001", "10.2.5.5:50000", true},
		{"10.1.4.4:40002", "10.2.5.5:50100", true},
		{"10.1.4.4:40003", "10.2.5.5:50101", false},
		{"10.1.4.5:40004", "10.2.5.5:50000", false},
		{"10.2.5.5:50000", "10.1.4.4:50000", false},
	} {
		if got := f.admit(asks(c.from, c.to, uint32(i))) != closed; got != c.want {
			t.Errorf("%s -> %s: %v", c.from, c.to, got)
		}
	}
	f.do(alg.Op{Kind: alg.OpRevoke, Range: r})
	if f.admit(asks("10.1.4.4:40001", "10.2.5.5:50000", 1)) != closed {
		t.Error("revoked")
	}
}
