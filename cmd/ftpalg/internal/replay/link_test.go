package replay

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// Frames, and what of each begins with an IP header. "45" stands for an IPv4 packet
// and "60" for an IPv6 one.
func TestLinks(t *testing.T) {
	const addresses = "020000000001 020000000002 "
	for _, c := range []struct {
		name  string
		link  layers.LinkType
		frame string
		want  string // empty: nothing
	}{
		{"IPv4", layers.LinkTypeEthernet, addresses + "0800 45", "45"},
		{"IPv6", layers.LinkTypeEthernet, addresses + "86dd 60", "60"},
		{"ARP", layers.LinkTypeEthernet, addresses + "0806 45", ""},
		{"802.3", layers.LinkTypeEthernet, addresses + "0026 45", ""},
		{"802.1Q", layers.LinkTypeEthernet, addresses + "8100 0007 0800 45", "45"},
		{"QinQ", layers.LinkTypeEthernet, addresses + "88a8 0007 8100 0008 86dd 60", "60"},
		{"old QinQ", layers.LinkTypeEthernet, addresses + "9100 0007 8100 0008 0800 45", "45"},
		{"802.1Q, ARP", layers.LinkTypeEthernet, addresses + "8100 0007 0806 45", ""},
		{"802.1Q, cut", layers.LinkTypeEthernet, addresses + "8100 0007 08", ""},
		{"Ethernet, cut", layers.LinkTypeEthernet, addresses + "08", ""},
		{"Ethernet, nothing more", layers.LinkTypeEthernet, addresses + "0800", ""},
		{"cooked IPv4", layers.LinkTypeLinuxSLL, "0000 0001 0006 0200000000010000 0800 45", "45"},
		{"cooked IPv6", layers.LinkTypeLinuxSLL, "0004 0001 0006 0200000000010000 86dd 60", "60"},
		{"cooked 802.1Q", layers.LinkTypeLinuxSLL, "0000 0001 0006 0200000000010000 8100 0007 0800 45", "45"},
		{"cooked ARP", layers.LinkTypeLinuxSLL, "0000 0001 0006 0200000000010000 0806 45", ""},
		{"cooked, cut", layers.LinkTypeLinuxSLL, "0000 0001 0006 0200000000010000 08", ""},
		{"cooked 2 IPv4", layers.LinkTypeLinuxSLL2, "0800 0000 00000002 0001 00 06 0200000000010000 45", "45"},
		{"cooked 2 IPv6", layers.LinkTypeLinuxSLL2, "86dd 0000 00000002 0001 00 06 0200000000010000 60", "60"},
		{"cooked 2, cut", layers.LinkTypeLinuxSLL2, "86dd 0000 00000002 0001 00 06 02000000000100", ""},
		{"raw", layers.LinkTypeRaw, "45", "45"},
		{"raw IPv6", layers.LinkTypeIPv6, "60", "60"},
		{"raw, nothing", layers.LinkTypeRaw, "", ""},
		{"loopback, little-endian", layers.LinkTypeNull, "02000000 45", "45"},
		{"loopback, big-endian", layers.LinkTypeNull, "00000002 45", "45"},
		{"loopback, Linux IPv6", layers.LinkTypeNull, "0a000000 60", "60"},
		{"loopback, NetBSD IPv6", layers.LinkTypeLoop, "00000018 60", "60"},
		{"loopback, FreeBSD IPv6", layers.LinkTypeNull, "1c000000 60", "60"},
		{"loopback, Darwin IPv6", layers.LinkTypeNull, "1e000000 60", "60"},
		{"loopback, AppleTalk", layers.LinkTypeNull, "10000000 45", ""},
		{"loopback, cut", layers.LinkTypeNull, "020000", ""},
	} {
		frame, err := hex.DecodeString(strings.ReplaceAll(c.frame, " ", ""))
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got := hex.EncodeToString(links[c.link](frame)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
