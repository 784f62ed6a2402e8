package demo

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

const topology = `
  client ------ router ------ gateway ------ server
  10.1.4.4                    nftables       10.2.5.5
  lftp                        and ftpalg     vsftpd

The gateway's firewall drops what is not admitted: it admits connections to port 21,
and what belongs to them. The server's data connections come from outside.
`

const legend = `
"Used after" is from the opening to the first packet of the data connection, as captured
on the gateway: with that packet the kernel itself removed the pinhole. "Open for at
most" is until ftpalg has looked.
`

// Print writes the story as text.
func (s *Story) Print(w io.Writer) error {
	p := printer{w: w}
	p.text(topology)
	for _, session := range s.Sessions {
		p.text(fmt.Sprintf("\n%s: %v to %v\n\n", session.Title, session.Client, session.Server))
		p.table(session.table())
	}
	p.text("\nR1.cfg (38 bytes) and R3.cfg (48 bytes) arrived as they were sent.\n\nThe pinholes\n\n")
	p.table(s.pinholeTable())
	p.text(legend)
	return p.err
}

func (s *Session) table() [][]string {
	rows := [][]string{{"ms", "", "on the wire", "what ftpalg did"}}
	for _, r := range s.Rows {
		first, more := "", []string(nil)
		if len(r.ALG) > 0 {
			first, more = r.ALG[0], r.ALG[1:]
		}
		rows = append(rows, []string{ms(r.After), r.Who, r.Text, first})
		for _, line := range more {
			rows = append(rows, []string{"", "", "", line})
		}
	}
	return rows
}

func (s *Story) pinholeTable() [][]string {
	rows := [][]string{{"opened by", "admits", "used after", "open for at most", "closed because"}}
	for _, h := range s.Pinholes {
		used := "never"
		if h.Used {
			used = ms(h.UsedIn) + " ms"
		}
		rows = append(rows, []string{h.Command, fmt.Sprintf("%v to %v", h.From, h.To), used, ms(h.Lifetime) + " ms", h.Reason})
	}
	return rows
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) text(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, text)
	}
}

// table writes rows in columns, the first of them underlined.
func (p *printer) table(rows [][]string) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // to memory
	for i, line := range strings.SplitAfter(b.String(), "\n") {
		p.text(strings.TrimRight(line, " \n") + line[len(strings.TrimRight(line, "\n")):])
		if i == 0 {
			p.text(strings.Repeat("-", len(strings.TrimSpace(line))) + "\n")
		}
	}
}

// ms writes a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }
