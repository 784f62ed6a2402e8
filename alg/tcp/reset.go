package tcp

import (
	"encoding/binary"
	"net/netip"
)

// Reset builds a packet that ends a connection: a RST from one end to the other,
// from the IP header on. seq must be the next byte that the receiver expects, or
// it answers with a challenge instead (RFC 5961, section 3).
func Reset(from, to netip.AddrPort, seq, ack uint32) []byte {
	const ttl = 64
	ip := make([]byte, 0, header6+20)
	if from.Addr().Is4() {
		src, dst := from.Addr().As4(), to.Addr().As4()
		ip = append(ip, 0x45, 0, 0, 40, 0, 0, 0x40, 0, ttl, protocolTCP, 0, 0)
		ip = append(ip, src[:]...)
		ip = append(ip, dst[:]...)
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip)))
	} else {
		src, dst := from.Addr().As16(), to.Addr().As16()
		ip = append(ip, 0x60, 0, 0, 0, 0, 20, protocolTCP, ttl)
		ip = append(ip, src[:]...)
		ip = append(ip, dst[:]...)
	}
	at := len(ip)
	ip = binary.BigEndian.AppendUint16(ip, from.Port())
	ip = binary.BigEndian.AppendUint16(ip, to.Port())
	ip = binary.BigEndian.AppendUint32(ip, seq)
	ip = binary.BigEndian.AppendUint32(ip, ack)
	ip = append(ip, 5<<4, RST|ACK, 0, 0, 0, 0, 0, 0)
	s := Segment{Src: from, Dst: to, packet: ip, header: at}
	s.SetChecksum()
	return ip
}
