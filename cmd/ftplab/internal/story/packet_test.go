package story

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// wire makes the frames of one connection, from 10.1.4.4:4000 to 10.2.5.5:21.
type wire struct {
	t  *testing.T
	id uint16
}

// frame returns a segment as a host sees it that is some hops away from its sender.
// There and back have sequence numbers that begin at 1000 and 9000.
func (w *wire) frame(there bool, hops uint8, tcp layers.TCP, text string) []byte {
	w.t.Helper()
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, hops}, DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64 - hops, Id: w.id, Protocol: layers.IPProtocolTCP, SrcIP: net.IPv4(10, 1, 4, 4), DstIP: net.IPv4(10, 2, 5, 5)}
	tcp.SrcPort, tcp.DstPort, tcp.Window = 4000, 21, 100
	tcp.Seq, tcp.Ack = tcp.Seq+1000, tcp.Ack+9000
	if !there {
		ip.SrcIP, ip.DstIP, tcp.SrcPort, tcp.DstPort = ip.DstIP, ip.SrcIP, 21, 4000
		tcp.Seq, tcp.Ack = tcp.Seq+8000, tcp.Ack-8000
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		w.t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	o := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, o, eth, ip, &tcp, gopacket.Payload(text)); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

// TestGather joins three views: a packet that is sent again, with what a network card
// would still do to it, and one that the gateway drops.
func TestGather(t *testing.T) {
	w := &wire{t: t}
	var seen [places][]lab.Packet
	clock := time.Unix(1e9, 0)
	pass := func(there bool, tcp layers.TCP, text string, at ...place) {
		w.id++
		for _, p := range at {
			clock = clock.Add(time.Millisecond)
			seen[p] = append(seen[p], lab.Packet{Time: clock, Frame: w.frame(there, uint8(p), tcp, text)})
		}
	}
	scale := []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}}}
	pass(true, layers.TCP{SYN: true, Options: scale}, "", atClient, inside, outside)
	pass(false, layers.TCP{SYN: true, ACK: true, Ack: 1}, "", outside, inside, atClient)
	pass(true, layers.TCP{Seq: 1, Ack: 1, ACK: true, PSH: true}, "FEAT\r\n", atClient, inside, outside)
	pass(true, layers.TCP{Seq: 1, Ack: 1, ACK: true, PSH: true}, "FEAT\r\n", atClient, inside, outside)
	pass(false, layers.TCP{Seq: 1, Ack: 7, ACK: true, PSH: true}, "211-Features:\r\n EPRT\r\n", outside, inside, atClient)
	pass(false, layers.TCP{Seq: 23, Ack: 7, ACK: true, FIN: true}, "", outside)
	for _, p := range seen[atClient] {
		p.Frame[14+20+16]++ // the checksum of TCP
	}
	var got []string
	for _, p := range gather(seen) {
		info := p.info()
		if p.dropped() {
			info += " dropped"
		}
		got = append(got, info)
	}
	want := []string{
		"4000 -> 21 [SYN] Seq=0 Win=100 Len=0", "21 -> 4000 [SYN, ACK] Seq=0 Ack=1 Win=100 Len=0",
		"Request: FEAT", "[TCP Retransmission] 4000 -> 21 [PSH, ACK] Seq=1 Ack=1 Win=12800 Len=6",
		"Response: 211-Features: |  EPRT", "21 -> 4000 [FIN, ACK] Seq=23 Ack=7 Win=100 Len=0 dropped",
	}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

// TestChecksum tells a checksum that is right, one that the network card completes, and
// one that is wrong.
func TestChecksum(t *testing.T) {
	w := &wire{t: t}
	frame := w.frame(true, 0, layers.TCP{Seq: 1, Ack: 1, ACK: true}, "PORT 10,1,4,4,180,117\r\n")
	segment := frame[34:]
	partial := sum(uint32(layers.IPProtocolTCP)+uint32(len(segment)), frame[26:34])
	for _, c := range []struct {
		checksum uint16
		want     string
	}{
		{uint16(segment[16])<<8 | uint16(segment[17]), "correct"},
		{partial, "so far over addresses and length alone: the network card does the rest"},
		{partial + 1, "wrong"},
	} {
		segment[16], segment[17] = byte(c.checksum>>8), byte(c.checksum)
		p, _ := decode(frame)
		p.seen[atClient].Frame = frame
		found := false
		for _, f := range dissect(7, p).Fields {
			found = found || f.Name == "Checksum" && f.Meaning == fmt.Sprintf("0x%x, %s", segment[16:18], c.want)
		}
		if !found {
			t.Errorf("%#x is not said to be %s", c.checksum, c.want)
		}
	}
}
