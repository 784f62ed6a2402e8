package replay

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// What the engine can read is found, and its ends and flags are those that the engine
// reads.
func TestDissectAgreesWithTheEngine(t *testing.T) {
	k := active(t)
	k6 := newTalk(t, "[fd00:1:4::4]:41138", "[fd00:2:5::5]:21").login()
	options := []*layers.IPv6DestinationOption{{OptionType: 1, OptionData: []byte{0, 0, 0, 0}}}
	k6.packet(k6.client.Addr(), k6.server.Addr(), &layers.TCP{SrcPort: 41138, DstPort: 21}, gopacket.Payload("PASV\r\n"))
	extended := k6.packets[len(k6.packets)-1].ip
	destination := layers.IPv6Destination{Options: options}
	destination.NextHeader = layers.IPProtocolTCP
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, &destination, gopacket.Payload(extended[40:])); err != nil {
		t.Fatal(err)
	}
	extended = append(extended[:40:40], buf.Bytes()...)
	extended[6] = protocolDestination
	binary.BigEndian.PutUint16(extended[4:], uint16(len(extended)-40))

	random := rand.New(rand.NewPCG(1, 2))
	agree := func(p []byte) {
		seg, err := tcp.Parse(p)
		got, ok := dissect(p)
		if err != nil || len(p) >= 40 && p[0]>>4 == 6 && !ok { // with headers that hardly anyone sends
			return
		}
		want := segment{seg.Src, seg.Dst, seg.Seq, seg.Flags, len(seg.Payload) > 0, seg.Payload}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(segment{}), cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()); !ok || d != "" {
			t.Errorf("%x: %v (-want +got)\n%s", p, ok, d)
		}
	}
	if got, ok := dissect(extended); !ok || got.dst != k6.server || !got.payload {
		t.Errorf("behind an extension header: %v, %v", got, ok)
	}
	packets := append(append(k.packets, k6.packets...), packet{ip: extended})
	for _, p := range packets {
		_, err := tcp.Parse(p.ip)
		if _, ok := dissect(p.ip); ok != (err == nil) {
			t.Errorf("%x: %v, %v", p.ip, ok, err)
		}
		agree(p.ip)
		for n := range p.ip {
			agree(p.ip[:n])
		}
		for range 200 {
			changed := append([]byte{}, p.ip...)
			changed[random.IntN(len(changed))] ^= 1 << random.IntN(8)
			changed[random.IntN(len(changed))] = byte(random.Uint32())
			agree(changed)
		}
	}
}
