package queue

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// A packet that was made by hand arrives, from an address that is not ours.
func TestInject(t *testing.T) {
	namespace(t, 1500)
	i, err := OpenInjector()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close() }()
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		to := receiver(t, loopback)
		packet := datagram(netip.MustParseAddr(loopback), "hello")
		if err := i.Inject(packet); err != nil {
			t.Error(err)
		}
		if got := datagrams(t, to); len(got) != 1 || got[0] != "hello" {
			t.Errorf("%s: %q arrived", loopback, got)
		}
		_ = to.Close()
	}
	if err := i.Inject([]byte("GET / HTTP/1.1")); err == nil {
		t.Error("what is no packet was injected")
	}
}

// datagram returns an IP packet with a UDP datagram from an address to itself.
func datagram(a netip.Addr, text string) []byte {
	udp := binary.BigEndian.AppendUint16(nil, 1234)
	udp = binary.BigEndian.AppendUint16(udp, divertedPort)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(text)))
	udp = append(udp, 0, 0)
	udp = append(udp, text...)
	if a.Is4() {
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
		copy(ip[12:], a.AsSlice())
		copy(ip[16:], a.AsSlice())
		fixIPv4(ip)
		return append(ip, udp...)
	}
	ip := make([]byte, 40)
	ip[0], ip[6], ip[7] = 0x60, 17, 64
	binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
	copy(ip[8:], a.AsSlice())
	copy(ip[24:], a.AsSlice())
	binary.BigEndian.PutUint16(udp[6:], sum6(ip, udp))
	return append(ip, udp...)
}

// sum6 is the UDP checksum, which IPv6 does not go without (RFC 8200 8.1).
func sum6(ip, udp []byte) uint16 {
	sum := uint32(17 + len(udp))
	for i, b := range append(append([]byte(nil), ip[8:40]...), udp...) {
		sum += uint32(b) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
