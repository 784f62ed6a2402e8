package story

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

const topology = `
  client ------ router ------ gateway ------ server
  10.1.4.4                    nftables   |   10.2.5.5
  lftp                        and ftpalg |   vsftpd
                                         |
                                         --- outsider
                                             10.2.5.66

The gateway's firewall drops what it does not admit: it admits connections to port 21,
and what belongs to them. Packets are told as the client saw them, times as captured.
`

// The widths of a page, in columns.
const (
	paragraphWidth = 88
	minInfoWidth   = 24
)

// Printer writes stories as text. The zero value, with a Writer, writes without colours
// and breaks no line of a table.
type Printer struct {
	Writer io.Writer
	Color  bool
	Width  int          // of the terminal, in columns; 0: unlimited
	Pause  func() error // is called between two steps; nil: no pause

	err error // the first
}

// Story writes the whole story.
func (p *Printer) Story(s *Story) error {
	p.text(topology + "\n")
	for _, program := range s.Programs {
		p.text(fmt.Sprintf("  %s %s, %s\n", program.Name, program.Version, program.Role))
	}
	for i := range s.Steps {
		if i > 0 && p.Pause != nil && p.err == nil {
			p.err = p.Pause()
		}
		_ = p.Step(s, i+1) // p.err has it
	}
	p.summary(s)
	return p.err
}

// Step writes one step, the first of which is 1.
func (p *Printer) Step(s *Story, number int) error {
	step := &s.Steps[number-1]
	p.heading(fmt.Sprintf("%d. %s", step.Number, step.Title))
	for i, paragraph := range step.Text {
		if i > 0 {
			p.text("\n")
		}
		p.paragraph(paragraph)
	}
	switch number {
	case 4:
		p.packets(step.Packets)
		p.frame(&s.Port)
	case 9:
		p.dialogue(s, step.Packets)
		p.pinholes(s)
	case 10:
		p.masquerade(&s.Masquerade)
	default:
		p.packets(step.Packets)
	}
	return p.err
}

func (p *Printer) text(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.Writer, text)
	}
}

// heading writes an underlined line.
func (p *Printer) heading(title string) {
	p.text("\n" + p.paint(bold, title) + "\n" + strings.Repeat("=", len(title)) + "\n\n")
}

// paragraph writes text in lines of a good width.
func (p *Printer) paragraph(paragraph string) {
	width := paragraphWidth
	if p.Width > 0 {
		width = min(width, p.Width)
	}
	for line := range strings.Lines(text.WrapSoft(paragraph, width)) {
		p.text(strings.TrimRight(line, " \n") + "\n")
	}
}

// SGR parameters (ECMA-48).
const (
	bold    = "1"
	red     = "31"
	green   = "32"
	yellow  = "33"
	cyan    = "36"
	noColor = ""
)

func (p *Printer) paint(color, text string) string {
	if !p.Color || color == noColor || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// rows writes a table, whose first row is its head. The column with the number wide
// gives way where the terminal is narrow; 0: none does. Columns in right are numbers.
func (p *Printer) rows(rows [][]string, wide int, right ...int) {
	w := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.Options{SeparateHeader: true}
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft, style.Box.PaddingRight, style.Box.MiddleSeparator = "", "  ", ""
	w.SetStyle(style)
	w.SuppressTrailingSpaces()
	var config []table.ColumnConfig
	for _, n := range right {
		config = append(config, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	if rest := p.Width; rest > 0 && wide > 0 {
		for column := range rows[0] {
			rest -= len(style.Box.PaddingRight)
			if column != wide-1 {
				rest -= columnWidth(rows, column)
			}
		}
		config = append(config, table.ColumnConfig{Number: wide, WidthMax: max(rest, minInfoWidth), WidthMaxEnforcer: text.WrapSoft})
	}
	w.SetColumnConfigs(config)
	for i, row := range rows {
		var cells table.Row
		for _, cell := range row {
			cells = append(cells, cell)
		}
		if i == 0 {
			w.AppendHeader(cells)
		} else {
			w.AppendRow(cells)
		}
	}
	p.text("\n" + w.Render() + "\n")
}

func columnWidth(rows [][]string, column int) (width int) {
	for _, row := range rows {
		width = max(width, text.StringWidthWithoutEscSequences(row[column]))
	}
	return width
}
