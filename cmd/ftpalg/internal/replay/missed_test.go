package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg"
)

// misses replays a capture, and returns the SYNs that the engine is told of since they
// found no pinhole.
func (k *talk) misses() []string {
	p := newPlayer(quietly)
	var told []string
	p.missed = func(now time.Time, from, to netip.AddrPort) {
		if !now.Equal(p.filter.now) {
			k.t.Errorf("told at %v, not %v", now, p.filter.now)
		}
		told = append(told, fmt.Sprintf("%v -> %v", from, to))
	}
	for _, packet := range k.packets {
		p.packet(record{at: packet.at, link: layers.LinkTypeRaw, frame: packet.ip})
	}
	return told
}

// A server's SYN that found no pinhole is compared with what is announced, as it is
// where the packet filter's log tells of it.
func TestNearMisses(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(*talk)
		want []string
	}{
		{"from another port", func(k *talk) {
			k.c("PORT 10,1,4,4,180,117")
			k.s("200 ok")
			k.c("RETR x")
			k.data("10.2.5.5:33333", "10.1.4.4:46197")
		}, []string{"10.2.5.5:33333 -> 10.1.4.4:46197"}},
		{"too early, and again", func(k *talk) {
			k.send(netip.MustParseAddrPort("10.2.5.5:20"), netip.MustParseAddrPort("10.1.4.4:46197"), layers.TCP{SYN: true}, "")
			k.c("PORT 10,1,4,4,180,117")
			k.data("10.2.5.5:20", "10.1.4.4:46197")
			k.s("200 ok")
			k.c("RETR x")
		}, []string{"10.2.5.5:20 -> 10.1.4.4:46197", "10.2.5.5:20 -> 10.1.4.4:46197"}},
		{"from a control port", func(k *talk) { k.data("10.2.5.5:21", "10.1.4.4:46197") }, []string{"10.2.5.5:21 -> 10.1.4.4:46197"}},
		{"in time", func(k *talk) { k.download() }, nil},
		{"to a low port", func(k *talk) { k.data("10.2.5.5:20", "10.1.4.4:1023") }, nil},
		{"of a stranger", func(k *talk) { k.data("10.2.5.6:20", "10.1.4.4:46197") }, nil},
		{"of the client", func(k *talk) { k.data("10.1.4.4:40000", "10.2.5.5:50000") }, nil},
		{"of an established connection", func(k *talk) {
			k.download()
			k.next[netip.MustParseAddrPort("10.2.5.5:20")] += 1 << 20
			k.data("10.2.5.5:20", "10.1.4.4:46197")
		}, nil},
		{"after the session", func(k *talk) { k.close(); k.data("10.2.5.5:20", "10.1.4.4:46197") }, nil},
		{"after a reset", func(k *talk) {
			k.send(k.client, k.server, layers.TCP{RST: true}, "")
			k.data("10.2.5.5:20", "10.1.4.4:46197")
		}, nil},
	} {
		k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
		c.say(k)
		if got := k.misses(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}

	// Nobody has answered: this is no server.
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21")
	k.send(k.client, k.server, layers.TCP{SYN: true}, "")
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	if got := k.misses(); len(got) > 0 {
		t.Errorf("no server: %q", got)
	}
	// Its control connection began before the file.
	k = newTalk(t, "10.1.4.4:41138", "10.2.5.5:21")
	k.c("NOOP")
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	if got := k.misses(); len(got) != 1 {
		t.Errorf("began before the file: %q", got)
	}
}

// What is told names the setting that would have admitted the connection.
func TestNearMissesAreTold(t *testing.T) {
	for _, c := range []struct {
		from, setting string
		early         bool
	}{
		{"10.2.5.5:33333", "source_port", false},
		{"10.2.5.5:20", "open_on", true},
	} {
		k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
		k.c("PORT 10,1,4,4,180,117")
		if c.early {
			k.data(c.from, "10.1.4.4:46197")
		}
		k.s("200 ok")
		k.c("RETR x")
		if !c.early {
			k.data(c.from, "10.1.4.4:46197")
		}
		k.s("150 ok", "226 ok")
		events, s := k.replay()
		i := slices.IndexFunc(events, func(e alg.Event) bool { return e.Kind == alg.PinholeMissed })
		if s.Missed != 1 || i < 0 || !strings.Contains(events[i].Reason, c.setting) || events[i].Missed.String() != c.from {
			t.Errorf("%s: %v\n%v", c.setting, &s, events)
		}
	}
}

// The summary counts those of which the engine has something to say.
func TestNearMissesAreCounted(t *testing.T) {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	for _, told := range []bool{false, true} {
		p := newPlayer(quietly)
		p.missed = func(now time.Time, from, to netip.AddrPort) {
			if told {
				p.event(alg.Event{Time: now, Kind: alg.PinholeMissed, Client: client, Server: server})
			}
		}
		for _, packet := range k.packets {
			p.packet(record{at: packet.at, link: layers.LinkTypeRaw, frame: packet.ip})
		}
		if s := p.summary(); told && (s.Missed != 1 || s.Skipped != 3) || !told && (s.Missed != 0 || s.Skipped != 4) {
			t.Errorf("%v: %v", told, &s)
		}
	}
}
