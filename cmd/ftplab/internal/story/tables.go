package story

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// packets writes the columns that analysers show.
func (p *Printer) packets(packets []Packet) {
	rows := [][]string{{"No.", "Source", "Destination", "Proto", "Src Port", "Dst Port", "Info"}}
	for _, k := range packets {
		rows = append(rows, []string{
			strconv.Itoa(k.No), k.Source.String(), k.Destination.String(), k.Protocol,
			port(k.SrcPort), port(k.DstPort), p.paint(color(&k), k.Info),
		})
	}
	p.rows(rows, 7, 1, 5, 6)
}

func port(n uint16) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// color tells the lines of the client, those of the server, and data apart.
func color(k *Packet) string {
	switch {
	case k.Protocol == "FTP" && k.DstPort == 21:
		return cyan
	case k.Protocol == "FTP":
		return green
	case k.Protocol == "FTP-DATA":
		return yellow
	}
	return noColor
}

// frame writes a frame byte by byte.
func (p *Printer) frame(f *Frame) {
	rows := [][]string{{"Offset", "Bytes", "", "Layer", "Field", "Meaning"}}
	for _, d := range f.Fields {
		b := f.Bytes[d.Offset : d.Offset+d.Length]
		rows = append(rows, []string{
			strconv.Itoa(d.Offset), fmt.Sprintf("% x", b), printable(d.Layer, b), d.Layer, d.Name, d.Meaning,
		})
	}
	p.rows(rows, 6, 1)
}

// printable returns the bytes as text where they are text.
func printable(layer string, b []byte) string {
	if layer != "FTP" {
		return ""
	}
	return strings.Trim(strconv.QuoteToASCII(string(b)), `"`)
}

// dialogue writes, for each session, what was said beside what ftpalg did about it.
// What the firewall dropped stands in the session that was going on.
func (p *Printer) dialogue(s *Story, packets []Packet) {
	drops := dropped(s)
	for len(packets) > 0 {
		n := 1 + slices.IndexFunc(packets[1:], func(k Packet) bool { return k.No == 1 })
		if n == 0 {
			n = len(packets)
		}
		rows := [][]string{{"ms", "from", "on the wire", "what ftpalg did"}}
		for i, k := range packets[:n] {
			rows = append(rows, p.line(k)...)
			for len(drops) > 0 && (i+1 == len(packets) || drops[0].Time.Before(packets[i+1].Time)) {
				rows = append(rows, []string{
					ms(drops[0].Time.Sub(packets[0].Time)), drops[0].Sender, p.paint(red, drops[0].Text),
					p.paint(red, "nothing: the firewall drops it"),
				})
				drops = drops[1:]
			}
		}
		p.rows(rows, 3, 1)
		packets = packets[n:]
	}
}

// line returns the row of a packet, and one more for each further thing that ftpalg did.
func (p *Printer) line(k Packet) [][]string {
	from := "data"
	switch {
	case k.SrcPort == 21:
		from = "server"
	case k.DstPort == 21:
		from = "client"
	}
	said, _, _ := strings.Cut(k.Info, " Seq=")
	said = strings.TrimPrefix(strings.TrimPrefix(said, "Request: "), "Response: ")
	rows := [][]string{{ms(k.After), from, p.paint(color(&k), said), ""}}
	for i, did := range k.ALG {
		if i > 0 {
			rows = append(rows, []string{"", "", "", ""})
		}
		rows[i][3] = p.paint(bold, did)
	}
	return rows
}

// dropped returns the messages that the gateway dropped, in the order of their times.
func dropped(s *Story) []Message {
	var all []Message
	for _, t := range s.Transfers {
		for _, m := range t.Messages {
			if m.Dropped {
				all = append(all, m)
			}
		}
	}
	return all
}

const legend = `"Used after" is from the opening to the first packet of the data connection, as captured on the gateway: with that packet the kernel itself removed the pinhole. "Open for at most" is until ftpalg found that out, "closed after" is until the transfer was over.`

// pinholes writes the life of each pinhole.
func (p *Printer) pinholes(s *Story) {
	rows := [][]string{{"pinhole for", "admits", "used after", "open for at most", "closed after", "because"}}
	for _, t := range s.Transfers {
		h, used := t.Pinhole, "never"
		if !h.UsedAt.IsZero() {
			used = ms(h.UsedAt.Sub(h.OpenedAt)) + " ms"
		}
		rows = append(rows, []string{
			t.Title, fmt.Sprintf("%s to %v", h.From(), h.Destination),
			used, ms(h.Existed()) + " ms", ms(h.ClosedAt.Sub(h.OpenedAt)) + " ms", h.Reason,
		})
	}
	p.rows(rows, 0, 3, 4, 5)
	p.text("\n")
	p.paragraph(legend)
}

// masquerade writes the announcement byte by byte, and what was said after it, as the two
// sides of the gateway saw them.
func (p *Printer) masquerade(m *Masquerade) {
	rows := [][]string{{"Part", "client's side", "", "server's side", ""}}
	for _, part := range m.Parts {
		client, server := printable("FTP", part.Client), printable("FTP", part.Server)
		if client != server {
			client, server = p.paint(yellow, client), p.paint(yellow, server)
		}
		rows = append(rows, []string{part.Name, fmt.Sprintf("% x", part.Client), client, fmt.Sprintf("% x", part.Server), server})
	}
	p.rows(rows, 0)
	rows = [][]string{{"from", "client's side", "Seq", "Ack", "Len", "server's side", "Seq", "Ack", "Len"}}
	for _, k := range m.Packets {
		row, color := []string{k.Sender}, cyan
		switch {
		case k.Data:
			row, color = []string{"data"}, yellow
		case k.Sender == "server":
			color = green
		}
		for _, v := range []View{k.Client, k.Server} {
			row = append(row, p.paint(color, v.Text), strconv.Itoa(int(v.Seq)), strconv.Itoa(int(v.Ack)), strconv.Itoa(v.Len))
		}
		if k.Client.Text == k.Server.Text {
			row[5] = "the same"
		}
		rows = append(rows, row)
	}
	p.rows(rows, 2, 3, 4, 5, 7, 8, 9)
}

// summary says what was shown.
func (p *Printer) summary(s *Story) {
	p.heading("What was shown")
	for _, paragraph := range []string{
		"- The client announces a port in the text of the dialogue, and the server connects to it, from outside in.",
		fmt.Sprintf("- For that, a stateless filter must leave %d ports of every client open, to everybody and always.", highPorts),
		fmt.Sprintf("- ftpalg read the announcements and opened %d pinholes, each for one connection; they were open for %s ms all together. Every transfer worked.",
			len(s.Transfers), ms(s.openTime())),
		fmt.Sprintf("- A stranger's packets to a port that was announced, but not to him: %d. The firewall dropped them all.", len(dropped(s))),
		fmt.Sprintf("- Behind masquerade, an announcement of %v reaches the server as %v, and that transfer worked, too.",
			s.Masquerade.Announced, s.Masquerade.Instead),
	} {
		p.paragraph(paragraph)
	}
	p.text("\n`ftplab up` leaves such a lab standing, to try all this by hand.\n")
}
