package replay

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// ftpsPorts is a configuration with ports for connections under TLS.
func ftpsPorts(c *Config) {
	rules := c.Policy.Rules
	rules.FTPSPorts = dialogue.Ports{First: 50000, Last: 50100}
	c.Policy.Overrides = []alg.Override{{Servers: []netip.Prefix{netip.MustParsePrefix("10.2.5.5/32")}, Rules: rules}}
}

// secured is a dialogue that goes on under TLS.
func secured(t *testing.T) *talk {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21")
	k.connect()
	k.s("220 (vsFTPd 3.0.3)")
	k.c("AUTH TLS")
	k.s("234 Proceed with negotiation.")
	k.c("\x16\x03\x01\x00\x02hello")
	k.s("\x16\x03\x03\x00\x02hello")
	return k
}

func count(events []alg.Event, kind alg.Kind) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// Under TLS, connections to the ports of a range are admitted while the control
// connection lives; each is told, and one client has no more than 32 at a time.
func TestRangesUnderTLS(t *testing.T) {
	k := secured(t)
	k.c("\x17\x03\x03 records", "\x17\x03\x03 more") // released: the engine does not read on
	for i := range 40 {
		k.data(fmt.Sprintf("10.1.4.4:%d", 40000+i), "10.2.5.5:50000")
	}
	k.data("10.1.4.5:40000", "10.2.5.5:50000") // another client
	k.data("10.1.4.4:40100", "10.2.5.5:50101") // another port
	// One ends, and the next is admitted; it repeats its SYN.
	over, next := netip.MustParseAddrPort("10.1.4.4:40000"), netip.MustParseAddrPort("10.1.4.4:40200")
	to := netip.MustParseAddrPort("10.2.5.5:50000")
	k.send(over, to, layers.TCP{RST: true}, "")
	k.send(next, to, layers.TCP{SYN: true}, "")
	k.send(next, to, layers.TCP{SYN: true}, "")
	k.close()
	k.data("10.1.4.4:40300", "10.2.5.5:50000") // after the control connection
	events, s := k.replay(ftpsPorts)
	if a, r := count(events, alg.FTPSAdmitted), count(events, alg.FTPSRefused); a != 33 || r != 8 {
		t.Errorf("%d admitted, %d refused, want 33 and 8", a, r)
	}
	if s.Opened != 0 || s.Missed != 0 {
		t.Error(&s)
	}

	if events, _ := k.replay(); count(events, alg.FTPSAdmitted)+count(events, alg.FTPSRefused) != 0 {
		t.Error("admitted, though nothing is configured")
	}
}

// An IPv6 client is a /64.
func TestOneClient(t *testing.T) {
	for _, c := range [][3]string{
		{"10.1.4.4:1", "10.1.4.4:2", "10.1.4.5:1"},
		{"[fd00:1:4::4]:1", "[fd00:1:4:0:1::5]:2", "[fd00:1:4:1::4]:1"},
	} {
		of := func(i int) netip.Prefix { return clientOf(netip.MustParseAddrPort(c[i])) }
		if of(0) != of(1) || of(0) == of(2) {
			t.Errorf("%v: %v %v %v", c, of(0), of(1), of(2))
		}
	}
}
