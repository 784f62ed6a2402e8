package tcp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// frame35 is the 35th frame of the reference dialogue, from its IP header on: PORT
// 10,1,4,4,180,117 from 10.1.4.4:41138 to 10.2.5.5:21. Its checksum is left out.
const frame35 = "4500004b000040004006177d0a0104040a020505" +
	"a0b2001500000054000001318018ffff00000000" + "0101080a0000000000000000" +
	"504f52542031302c312c342c342c3138302c3131370d0a"

func frame(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(frame35)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseIPv4(t *testing.T) {
	b := append(frame(t), 0, 0, 0, 0) // padded by the link layer
	s, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if s.Src != netip.MustParseAddrPort("10.1.4.4:41138") || s.Dst != netip.MustParseAddrPort("10.2.5.5:21") ||
		s.Seq != 84 || s.Ack != 305 || s.Flags != PSH|ACK || string(s.Payload) != "PORT 10,1,4,4,180,117\r\n" {
		t.Errorf("%+v", s)
	}
	if s.Len() != 23 || len(s.Packet()) != len(b)-4 {
		t.Errorf("length %d, packet of %d bytes", s.Len(), len(s.Packet()))
	}
}

func TestChecksums(t *testing.T) {
	b := frame(t)
	s, _ := Parse(b)
	if s.ChecksumOK() {
		t.Error("no checksum taken for a good one")
	}
	s.SetChecksum()
	// By hand, with another formula: the one's complement sum over everything is all ones.
	var acc uint32
	for _, part := range [][]byte{b[12:20], {0, 6, 0, byte(len(b) - 20)}, append(b[20:], 0)} {
		for i := 0; i+1 < len(part); i += 2 {
			acc += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	if acc = acc>>16 + acc&0xffff; acc>>16+acc&0xffff != 0xffff {
		t.Errorf("sum %x", acc)
	}
	if !s.ChecksumOK() || s.ChecksumPartial() {
		t.Error("a good checksum not recognised")
	}
	for i := range b {
		if i < 12 || i == 36 || i == 37 {
			continue
		}
		b[i] ^= 0x10
		if s, err := Parse(b); err == nil && s.ChecksumOK() {
			t.Errorf("a change of byte %d goes unnoticed", i)
		}
		b[i] ^= 0x10
	}
	binary.BigEndian.PutUint16(b[36:], fold(s.pseudo()))
	if s, _ = Parse(b); !s.ChecksumPartial() {
		t.Error("a checksum left to the card not recognised")
	}
}

// packet6 puts extension headers between an IPv6 header and a TCP segment.
func packet6(first byte, extensions ...byte) []byte {
	seg := Reset(netip.MustParseAddrPort("[fd00::1]:9"), netip.MustParseAddrPort("[fd00::2]:21"), 1, 2)
	p := append([]byte{}, seg[:header6]...)
	p[6] = first
	p = append(append(p, extensions...), seg[header6:]...)
	binary.BigEndian.PutUint16(p[4:], uint16(len(p)-header6))
	return p
}

func TestParseIPv6(t *testing.T) {
	for name, p := range map[string][]byte{
		"plain":           packet6(protocolTCP),
		"hop by hop":      packet6(hopByHop, protocolTCP, 0, 0, 0, 0, 0, 0, 0),
		"two headers":     packet6(destination, routing, 0, 0, 0, 0, 0, 0, 0, protocolTCP, 0, 0, 0, 0, 0, 0, 0),
		"long header":     packet6(destination, append([]byte{protocolTCP, 1}, make([]byte, 14)...)...),
		"authentication":  packet6(authentication, append([]byte{protocolTCP, 1}, make([]byte, 10)...)...),
		"eight headers":   packet6(destination, extensions(8, protocolTCP)...),
		"atomic fragment": packet6(fragment, protocolTCP, 0, 0, 0, 0, 0, 0, 1),
	} {
		s, err := Parse(p)
		if err != nil || s.Src.Port() != 9 || s.Dst != netip.MustParseAddrPort("[fd00::2]:21") || !s.ChecksumOK() {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestUnreadablePackets(t *testing.T) {
	change := func(at int, to ...byte) []byte {
		b := frame(t)
		copy(b[at:], to)
		return b
	}
	for name, tc := range map[string]struct {
		packet []byte
		want   error
	}{
		"empty":                  {nil, ErrTruncated},
		"version 5":              {change(0, 0x55), ErrVersion},
		"short header":           {change(0, 0x44), ErrHeader},
		"total below the header": {change(2, 0, 19), ErrHeader},
		"cut":                    {frame(t)[:50], ErrTruncated},
		"first fragment":         {change(6, 0x20, 0), ErrFragment},
		"later fragment":         {change(6, 0, 1), ErrFragment},
		"UDP":                    {change(9, 17), ErrNotTCP},
		"TCP header cut":         {change(2, 0, 39), ErrTruncated},
		"short TCP header":       {change(32, 0x40), ErrHeader},
		"TCP options cut":        {change(32, 0xf0)[:75], ErrTruncated},
		"IPv6 cut":               {packet6(protocolTCP)[:39], ErrTruncated},
		"IPv6 extension cut":     {packet6(hopByHop, protocolTCP, 9, 0, 0, 0, 0, 0, 0), ErrTruncated},
		"IPv6 fragment":          {packet6(fragment, protocolTCP, 0, 0, 1, 0, 0, 0, 1), ErrFragment},
		"IPv6 UDP":               {packet6(17), ErrNotTCP},
		"IPv6 mapped IPv4":       {mapped(), ErrVersion},
		"endless extensions":     {packet6(hopByHop, extensions(20, hopByHop)...), ErrExtensions},
		"nine extensions":        {packet6(destination, extensions(9, protocolTCP)...), ErrExtensions},
		"nine, and then UDP":     {packet6(destination, extensions(9, 17)...), ErrExtensions},
		"eight, and then UDP":    {packet6(destination, extensions(8, 17)...), ErrNotTCP},
		"eight, the last cut":    {packet6(destination, extensions(8, protocolTCP)...)[:header6+60], ErrTruncated},
	} {
		if _, err := Parse(tc.packet); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// extensions are that many extension headers of eight bytes, and then a protocol.
func extensions(n int, then byte) []byte {
	var b []byte
	for range n - 1 {
		b = append(b, destination, 0, 0, 0, 0, 0, 0, 0)
	}
	return append(b, then, 0, 0, 0, 0, 0, 0, 0)
}

func mapped() []byte {
	p := packet6(protocolTCP)
	copy(p[8:], netip.MustParseAddr("::ffff:10.0.0.1").AsSlice())
	return p
}

func TestUrgentData(t *testing.T) {
	b := frame(t)
	b[33] |= URG
	b[38], b[39] = 0, 3
	s, err := Parse(b)
	if err != nil || !s.Has(URG) || s.Urgent() != 84+3 || s.Changed() {
		t.Fatalf("%+v, %v: urgent up to %d", s, err, s.Urgent())
	}
	s.ClearUrgent()
	s.SetChecksum()
	again, err := Parse(s.Packet())
	if err != nil || s.Has(URG) || !s.Changed() || again.Has(URG) || again.Flags != PSH|ACK || again.Urgent() != again.Seq || !again.ChecksumOK() {
		t.Errorf("%+v, %v", again, err)
	}
}

// What the kernel logs of a packet may be its beginning alone.
func TestTheEndsOfABeginning(t *testing.T) {
	whole := segmentAt(Client, 1, strings.Repeat("x", 100))
	client, server := netip.MustParseAddrPort("[fd00::1]:41138"), netip.MustParseAddrPort("[fd00::2]:21")
	before := bytes.Clone(whole)
	for n := range len(whole) + 1 {
		src, dst, ok := Ends(whole[:n])
		if want := n >= header6+20; ok != want || ok && (src != client || dst != server) {
			t.Errorf("of %d bytes: %v, %v, %v", n, src, dst, ok)
		}
	}
	src, dst, ok := Ends(frame(t)[:52])
	if !ok || src != netip.MustParseAddrPort("10.1.4.4:41138") || dst != netip.MustParseAddrPort("10.2.5.5:21") {
		t.Errorf("%v, %v, %v", src, dst, ok)
	}
	if !bytes.Equal(whole, before) {
		t.Error("the packet was changed")
	}
}

func TestReset(t *testing.T) {
	for _, ends := range [][2]string{{"10.1.4.4:41138", "10.2.5.5:21"}, {"[fd00::1]:41138", "[fd00::2]:21"}} {
		from, to := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
		p := Reset(from, to, 7, 9)
		s, err := Parse(p)
		if err != nil || s.Src != from || s.Dst != to || s.Seq != 7 || s.Ack != 9 || s.Flags != RST|ACK || !s.ChecksumOK() {
			t.Errorf("%+v, %v", s, err)
		}
		if from.Addr().Is4() && fold(sum(0, p[:20])) != 0xffff {
			t.Error("the IPv4 header has a wrong checksum")
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(frame(f))
	f.Add(packet6(destination, protocolTCP, 0, 0, 0, 0, 0, 0, 0))
	f.Add(packet6(destination, extensions(9, protocolTCP)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		if len(s.Packet()) > len(b) || len(s.Payload) > len(b)-40 {
			t.Fatalf("more than there was: %+v", s)
		}
		s.ChecksumOK()
		s.ChecksumPartial()
		s.Urgent()
		if src, dst, ok := Ends(s.Packet()); !ok || src != s.Src || dst != s.Dst {
			t.Fatalf("the ends of %+v: %v, %v, %v", s, src, dst, ok)
		}
		s.SetChecksum()
		again, err := Parse(s.Packet())
		if err != nil || !again.ChecksumOK() || again.Seq != s.Seq || len(again.Payload) != len(s.Payload) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}
