package attack

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Printer writes matrices as text. The zero value, with a Writer, writes without colours.
type Printer struct {
	Writer  io.Writer
	Color   bool
	Width   int  // of the terminal, in columns; 0: not known
	Details bool // also what was tried, and what came of it, cell by cell

	err error // the first
}

// paragraphWidth is good to read.
const paragraphWidth = 88

// Matrix writes the table, and below it what the firewalls are.
func (p *Printer) Matrix(m *Matrix) error {
	p.table(m)
	p.text("\n")
	p.paragraph("stranger, server", "how many ports of the client a third host outside can reach, and how many the server that the client "+
		"talks to; and for how long, in an hour with one transfer and one PORT that the server refuses.")
	p.text("\n")
	for _, f := range m.Firewalls {
		p.paragraph(f.Name, f.About)
	}
	for _, note := range m.Notes {
		p.text(note + "\n")
	}
	if p.Details {
		p.details(m)
	}
	return p.err
}

func (p *Printer) table(m *Matrix) {
	w := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.Options{SeparateHeader: true}
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft, style.Box.PaddingRight, style.Box.MiddleSeparator = "", "  ", "-"
	w.SetStyle(style)
	w.SuppressTrailingSpaces()
	head := table.Row{""}
	for _, f := range m.Firewalls {
		head = append(head, "  "+f.Name)
	}
	w.AppendHeader(head)
	for i, r := range m.Rows {
		if i > 0 && r.Attack != m.Rows[i-1].Attack {
			w.AppendSeparator()
		}
		row := table.Row{r.Name}
		for _, c := range r.Cells {
			row = append(row, p.result(r, c))
		}
		w.AppendRow(row)
	}
	w.AppendSeparator()
	w.AppendRows(exposures(m, "ports, stranger", func(f Firewall) Exposure { return f.Exposure }))
	w.AppendSeparator()
	w.AppendRows(exposures(m, "ports, server", func(f Firewall) Exposure { return f.ToServer }))
	p.text(w.Render() + "\n")
}

func exposures(m *Matrix, name string, of func(Firewall) Exposure) []table.Row {
	ports, seconds, product := table.Row{name}, table.Row{"seconds"}, table.Row{"ports x seconds"}
	for _, f := range m.Firewalls {
		e := of(f)
		ports = append(ports, number(float64(e.Ports)))
		seconds = append(seconds, number(e.Seconds))
		product = append(product, number(e.PortSeconds))
	}
	return []table.Row{ports, seconds, product}
}

// number writes large numbers without a fraction, and small ones with two digits that
// mean something.
func number(v float64) string {
	if v >= 10 || v == 0 {
		return "  " + strconv.FormatFloat(v, 'f', 0, 64)
	}
	return "  " + strconv.FormatFloat(v, 'g', 2, 64)
}

// result writes a result so that what should not be stands out, with or without colours.
func (p *Printer) result(r Row, c Cell) string {
	color, mark := "32", "  " // green
	if !r.Good(c) {
		color, mark = "31", "! " // red
	}
	if !p.Color {
		return mark + string(c.Result)
	}
	return mark + "\x1b[" + color + "m" + string(c.Result) + "\x1b[0m"
}

func (p *Printer) details(m *Matrix) {
	for _, r := range m.Rows {
		p.text("\n")
		p.paragraph(r.Name, r.About)
		for i, c := range r.Cells {
			p.text(fmt.Sprintf("  %-9s  %s%s\n", m.Firewalls[i].Name, p.result(r, c), ", "+c.Detail))
		}
	}
}

// paragraph writes text after a name, in lines of a good width.
func (p *Printer) paragraph(name, about string) {
	width := paragraphWidth
	if p.Width > 0 {
		width = min(width, p.Width)
	}
	for line := range strings.Lines(text.WrapSoft(name+": "+about, width)) {
		p.text(strings.TrimRight(line, " \n") + "\n")
	}
}

func (p *Printer) text(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.Writer, s)
	}
}
