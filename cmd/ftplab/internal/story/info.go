package story

import (
	"fmt"
	"strings"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// protocol names the packet as Wireshark does.
func (p *packet) protocol() string {
	switch {
	case p.udp != nil:
		return "UDP"
	case p.icmp != nil:
		return "ICMP"
	case len(p.payload()) == 0 || p.again:
		return "TCP"
	case p.control():
		return "FTP"
	}
	return "FTP-DATA"
}

// info describes the packet in the words of Wireshark. TCP options are left out.
// Where one packet has several lines, all are told.
func (p *packet) info() string {
	switch p.protocol() {
	case "UDP":
		return fmt.Sprintf("%d -> %d Len=%d", p.from.Port(), p.to.Port(), len(p.udp.Payload))
	case "ICMP":
		return icmpText(p.icmp.TypeCode)
	case "FTP":
		who := "Response: "
		if p.to.Port() == 21 {
			who = "Request: "
		}
		return who + strings.Join(p.lines(), " | ")
	case "FTP-DATA":
		return fmt.Sprintf("FTP Data: %d bytes", len(p.payload()))
	}
	again, ack := "", ""
	if p.again {
		again = "[TCP Retransmission] "
	}
	if p.tcp.ACK {
		ack = fmt.Sprintf(" Ack=%d", p.ack)
	}
	return fmt.Sprintf("%s%d -> %d [%s] Seq=%d%s Win=%d Len=%d",
		again, p.from.Port(), p.to.Port(), flags(p.tcp), p.seq, ack, p.window, len(p.payload()))
}

func icmpText(t layers.ICMPv4TypeCode) string {
	if t == layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort) {
		return "Destination unreachable (Port unreachable)"
	}
	return t.String()
}

// flags names the flags that are set, in Wireshark's order.
func flags(t *layers.TCP) string {
	var set []string
	for _, f := range []struct {
		on   bool
		name string
	}{{t.FIN, "FIN"}, {t.SYN, "SYN"}, {t.RST, "RST"}, {t.PSH, "PSH"}, {t.ACK, "ACK"}, {t.URG, "URG"}, {t.ECE, "ECE"}, {t.CWR, "CWR"}} {
		if f.on {
			set = append(set, f.name)
		}
	}
	return strings.Join(set, ", ")
}

// lines returns the lines of a packet of a control connection, without their ends.
func (p *packet) lines() []string {
	text := strings.TrimSuffix(string(p.payload()), "\r\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\r\n")
}

// tabulate returns the packets as one table, with the times that at says.
func tabulate(packets []*packet, begin time.Time, at func(*packet) time.Time) []Packet {
	var rows []Packet
	for i, p := range packets {
		t := at(p)
		row := Packet{
			No: i + 1, Time: t, After: t.Sub(begin),
			Source: p.from.Addr(), Destination: p.to.Addr(), Protocol: p.protocol(),
			SrcPort: p.from.Port(), DstPort: p.to.Port(), Info: p.info(),
		}
		if p.icmp != nil { // it has no ports; those of p are quoted
			row.SrcPort, row.DstPort = 0, 0
		}
		rows = append(rows, row)
	}
	return rows
}
