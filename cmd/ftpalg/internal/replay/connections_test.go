package replay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg"
)

var (
	client = netip.MustParseAddrPort("10.1.4.4:41138")
	server = netip.MustParseAddrPort("10.2.5.5:21")
)

// A SYN is new where nothing is known of the connection, where it is over, and where the
// same end repeats it before the answer.
func TestNewSYN(t *testing.T) {
	up := func(flags uint8) segment { return segment{src: client, dst: server, flags: flags} }
	down := func(flags uint8) segment { return segment{src: server, dst: client, flags: flags} }
	for _, c := range []struct {
		name   string
		before []segment
		syn    segment
		want   bool
	}{
		{"unknown", nil, up(syn), true},
		{"repeated", []segment{up(syn), up(syn)}, up(syn), true},
		{"from the other end", []segment{up(syn)}, down(syn), false},
		{"answered", []segment{up(syn), down(syn | ack)}, up(syn), false},
		{"established", []segment{up(syn), down(syn | ack), up(ack), up(ack)}, up(syn), false},
		{"one FIN", []segment{up(syn), down(syn | ack), up(fin | ack), up(fin | ack)}, up(syn), false},
		{"both FIN", []segment{up(syn), down(syn | ack), up(fin | ack), down(fin | ack), up(ack)}, up(syn), true},
		{"both FIN, other end", []segment{up(syn), down(syn | ack), down(fin | ack), up(fin | ack)}, down(syn), true},
		{"refused", []segment{up(syn), down(rst | ack)}, up(syn), true},
		{"reset", []segment{up(syn), down(syn | ack), up(rst)}, up(syn), true},
		{"began before the file", []segment{up(ack)}, up(syn), false},
		{"began before the file, reset", []segment{up(ack), down(rst)}, up(syn), true},
		{"again", []segment{up(syn), down(syn | ack), up(rst), up(syn), down(syn | ack)}, up(syn), false},
	} {
		p := newPlayer(quietly)
		for _, s := range c.before {
			p.segment(&s, nil)
		}
		if got := p.flows.find(client, server).isNew(&c.syn); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What the engine gets to see of control connections.
func TestDiverted(t *testing.T) {
	up := func(flags uint8) segment { return segment{src: client, dst: server, flags: flags} }
	down := func(flags uint8) segment { return segment{src: server, dst: client, flags: flags} }
	text := func(s segment) segment { s.payload = true; return s }
	p := newPlayer(quietly)
	for i, c := range []struct {
		segment
		want bool
	}{
		{up(syn), true},
		{up(syn), true}, // not answered yet
		{down(syn | ack), true},
		{up(syn), false},
		{text(up(syn)), false},
		{down(syn), false},
		{up(ack), false},
		{text(down(ack)), true},
		{text(up(ack)), true},
		{down(fin | ack), true},
		{up(rst), true},
		{up(syn), true}, // the next one
		{up(syn | ack), false},
	} {
		before := p.worker.Stats().Packets
		p.segment(&c.segment, nil)
		if got := p.worker.Stats().Packets > before; got != c.want {
			t.Errorf("segment %d: %v", i, got)
		}
	}

	// After its release only the end is of interest, until a new connection.
	p.segment(new(down(syn|ack)), nil)
	_ = p.filter.Commit([]alg.Op{{Kind: alg.OpRelease, Flow: alg.Flow{Client: client, Server: server}}})
	for i, c := range []struct {
		segment
		want bool
	}{{text(up(ack)), false}, {text(down(ack)), false}, {up(fin | ack), true}, {down(rst), true}, {up(syn), true}, {text(up(ack)), true}} {
		before := p.worker.Stats().Packets
		p.segment(&c.segment, nil)
		if got := p.worker.Stats().Packets > before; got != c.want {
			t.Errorf("released, segment %d: %v", i, got)
		}
	}
}

// Connections that nobody answers are forgotten; the others are not.
func TestUnansweredConnectionsAreForgotten(t *testing.T) {
	flows := newConnections([]uint16{21})
	now := time.Unix(1e9, 0)
	for i := range 100_000 {
		s := segment{src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 40000), dst: server, flags: syn}
		c := flows.begin(&s, now)
		if i%1000 == 0 {
			flows.note(c, &segment{src: server, dst: s.src, flags: syn | ack})
		} else {
			flows.admitByRange(c) // counted for as long as it is known
		}
		now = now.Add(100 * time.Millisecond)
	}
	answered := 0
	for _, c := range flows.all {
		if c.answered {
			answered++
		}
	}
	named := 0
	for _, n := range flows.byRange {
		named += n
	}
	if n := len(flows.all); answered != 100 || named != n-answered || n > 5000 || flows.servers[server.Addr()] != 100 {
		t.Errorf("%d connections, %d of them answered, %d for the server", n, answered, flows.servers[server.Addr()])
	}
}

// A SYN within an established connection uses no pinhole, though it may be open.
func TestSYNOfAnEstablishedConnection(t *testing.T) {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
	announce := func() {
		k.c("PORT 10,1,4,4,180,117")
		k.s("200 ok")
		k.c("RETR x")
	}
	announce()
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	k.s("150 ok", "226 ok")
	announce()
	k.data("10.2.5.5:20", "10.1.4.4:46197") // the first was not closed
	k.s("150 ok", "226 ok")
	announce()
	k.send(netip.MustParseAddrPort("10.1.4.4:46197"), netip.MustParseAddrPort("10.2.5.5:20"), layers.TCP{RST: true}, "")
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	k.s("150 ok", "226 ok")
	if _, s := k.replay(); s.Opened != 3 || s.Used != 2 || s.Missed != 0 {
		t.Error(&s)
	}
}

// An active data connection that a server opens from a control port is none.
func TestDataConnectionFromAControlPort(t *testing.T) {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
	k.c("PORT 10,1,4,4,180,117")
	k.s("200 ok")
	k.c("RETR x")
	_, before := k.replay()
	k.data("10.2.5.5:21", "10.1.4.4:46197")
	_, s := k.replay(func(c *Config) { c.Policy.SourcePort = alg.Ports{First: 1, Last: 1023} })
	if s.Skipped != 3 || s.Engine.Packets != before.Engine.Packets {
		t.Errorf("%v; the engine was given %d packets, want %d", &s, s.Engine.Packets, before.Engine.Packets)
	}
	k.s("150 ok")
	if _, s := k.replay(func(c *Config) { c.Policy.SourcePort = alg.Ports{First: 1, Last: 1023} }); s.Used != 1 {
		t.Error(&s)
	}
}
