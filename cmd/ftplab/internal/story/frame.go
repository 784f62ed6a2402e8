package story

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// dissector takes a frame apart, from its first byte on.
type dissector struct {
	Frame
	layer string
	at    int
}

// field takes n bytes. Of what is missing, nothing is told.
func (d *dissector) field(n int, name string, meaning func(b []byte) string) {
	b := d.Bytes[d.at:min(d.at+n, len(d.Bytes))]
	if len(b) == 0 {
		return
	}
	d.Fields = append(d.Fields, Field{Offset: d.at, Length: len(b), Layer: d.layer, Name: name, Meaning: meaning(b)})
	d.at += len(b)
}

// dissect explains a frame that carries a PORT command over TCP and IPv4.
func dissect(number int, p *packet) Frame {
	d := &dissector{Frame: Frame{Number: number, Bytes: p.seen[atClient].Frame}}
	d.ethernet()
	d.ipv4()
	d.tcp(p)
	d.port(p)
	return d.Frame
}

func (d *dissector) ethernet() {
	d.layer = "Ethernet"
	d.field(6, "Destination", mac)
	d.field(6, "Source", mac)
	d.field(2, "Type", always("0x0800: IPv4 follows"))
}

func (d *dissector) ipv4() {
	d.layer = "IPv4"
	header := d.Bytes[d.at:]
	d.field(1, "Version, header length", func(b []byte) string {
		return fmt.Sprintf("version %d, %d bytes", b[0]>>4, b[0]&15*4)
	})
	d.field(1, "DSCP, ECN", func(b []byte) string { return fmt.Sprintf("class %d, ECN %d", b[0]>>2, b[0]&3) })
	d.field(2, "Total length", func(b []byte) string {
		return fmt.Sprintf("%s bytes, and 14 of Ethernet are %d", number(b), binary.BigEndian.Uint16(b)+14)
	})
	d.field(2, "Identification", number)
	d.field(2, "Flags, fragment offset", func(b []byte) string {
		if binary.BigEndian.Uint16(b) == 0x4000 {
			return "do not fragment; offset 0"
		}
		return fmt.Sprintf("0x%x", b)
	})
	d.field(1, "Time to live", number)
	d.field(1, "Protocol", always("6: TCP follows"))
	d.field(2, "Header checksum", func(b []byte) string {
		if sum(0, header[:20]) == 0xffff {
			return fmt.Sprintf("0x%x, correct", b)
		}
		return fmt.Sprintf("0x%x, wrong", b)
	})
	d.field(4, "Source", func(b []byte) string { return address(b) + ": the client" })
	d.field(4, "Destination", func(b []byte) string { return address(b) + ": the server" })
}

func (d *dissector) tcp(p *packet) {
	d.layer = "TCP"
	ip, segment := d.Bytes[14:34], d.Bytes[d.at:]
	d.field(2, "Source port", number)
	d.field(2, "Destination port", func(b []byte) string { return number(b) + ": the control connection" })
	d.field(4, "Sequence number", func(b []byte) string { return fmt.Sprintf("%s; relative: %d", number(b), p.seq) })
	d.field(4, "Acknowledgement", func(b []byte) string { return fmt.Sprintf("%s; relative: %d", number(b), p.ack) })
	d.field(2, "Header length, flags", func(b []byte) string {
		return fmt.Sprintf("%d bytes; %s", b[0]>>4*4, flags(p.tcp))
	})
	d.field(2, "Window", func(b []byte) string {
		return fmt.Sprintf("%s; scaled: %d bytes", number(b), p.window)
	})
	d.field(2, "Checksum", func(b []byte) string {
		// RFC 9293, section 3.1: over the addresses, the protocol and the length, too.
		pseudo := sum(uint32(layers.IPProtocolTCP)+uint32(len(segment)), ip[12:20])
		switch {
		case sum(uint32(pseudo), segment) == 0xffff:
			return fmt.Sprintf("0x%x, correct", b)
		case binary.BigEndian.Uint16(b) == pseudo:
			return fmt.Sprintf("0x%x, so far over addresses and length alone: the network card does the rest", b)
		}
		return fmt.Sprintf("0x%x, wrong", b)
	})
	d.field(2, "Urgent pointer", number)
	for _, o := range p.tcp.Options {
		d.option(o)
	}
}

func (d *dissector) option(o layers.TCPOption) {
	name := "Option: " + o.OptionType.String()
	switch {
	case o.OptionType == layers.TCPOptionKindNop || o.OptionType == layers.TCPOptionKindEndList:
		d.field(1, name, always("fills up to four bytes"))
	case o.OptionType == layers.TCPOptionKindTimestamps && len(o.OptionData) == 8:
		d.field(2, name, always("kind 8, 10 bytes"))
		d.field(4, "Timestamp", func(b []byte) string { return number(b) + ": the client's clock" })
		d.field(4, "Timestamp echo", func(b []byte) string { return number(b) + ": the server's clock, as last heard" })
	default:
		d.field(int(o.OptionLength), name, func(b []byte) string { return fmt.Sprintf("0x%x", b) })
	}
}

// parts returns the five parts of "PORT h1,h2,h3,h4,p1,p2" with its end (RFC 959, section
// 4.1.2): command, address, the bytes of the port, and CR LF. It returns nil for anything else.
func parts(line []byte) []string {
	const command, end = "PORT ", "\r\n"
	text, ok := strings.CutPrefix(string(line), command)
	numbers := strings.SplitAfter(strings.TrimSuffix(text, end), ",")
	if !ok || !strings.HasSuffix(text, end) || len(numbers) != 6 {
		return nil
	}
	return []string{command, strings.Join(numbers[:4], ""), numbers[4], numbers[5], end}
}

func (d *dissector) port(p *packet) {
	d.layer = "FTP"
	at, _ := p.announcement()
	parts := parts(p.payload())
	if parts == nil {
		return
	}
	d.field(len(parts[0]), "Command", always("PORT: open the data connection to this address and port"))
	d.field(len(parts[1]), "Address", always(at.Addr().String()+": the client itself"))
	high, low := at.Port()>>8, at.Port()&255
	d.field(len(parts[2]), "Port, high byte", always(fmt.Sprintf("%d * 256 = %d", high, high*256)))
	d.field(len(parts[3]), "Port, low byte", always(fmt.Sprintf("%d * 256 + %d = %d", high, low, at.Port())))
	d.field(len(parts[4]), "End of line", always("CR LF"))
}

// sum adds to the Internet checksum (RFC 1071), which is 0xffff over what is intact.
func sum(total uint32, b []byte) uint16 {
	for i, c := range b {
		total += uint32(c) << (8 * (1 - i&1))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

func always(text string) func([]byte) string { return func([]byte) string { return text } }

func mac(b []byte) string { return net.HardwareAddr(b).String() }

func address(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}

// number writes an unsigned number, the most significant byte first.
func number(b []byte) string {
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return fmt.Sprint(n)
}
