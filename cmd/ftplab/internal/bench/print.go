package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// unit is what a figure counts.
type unit int

const (
	unitNumber unit = iota
	unitTime        // seconds
	unitCPU         // seconds for 1,000, shown for one
	unitBytes
	unitShare // of one CPU
	unitCount // a whole number, but for medians
)

// format writes a figure with three digits that mean something.
func (u unit) format(v float64) string {
	switch u {
	case unitTime:
		return duration(v)
	case unitCPU:
		return duration(v / 1000)
	case unitBytes:
		if v >= 1e9 {
			return digits(v/1e9) + " GB"
		}
		return digits(v/1e6) + " MB"
	case unitCount:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case unitShare:
		return digits(v*100) + " %"
	}
	return digits(v)
}

func duration(seconds float64) string {
	switch {
	case seconds >= 1:
		return digits(seconds) + " s"
	case seconds >= 1e-3:
		return digits(seconds*1e3) + " ms"
	}
	return digits(seconds*1e6) + " us"
}

func digits(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// show writes a figure with its extremes: "299 us (281-317)".
func (u unit) show(s Stat) string {
	if s.Rounds == 0 {
		return "-"
	}
	text := u.format(s.Median)
	if s.Min == s.Max {
		return text
	}
	low, lowUnit, _ := strings.Cut(u.format(s.Min), " ")
	high, highUnit, _ := strings.Cut(u.format(s.Max), " ")
	if _, own, _ := strings.Cut(text, " "); own == lowUnit && own == highUnit {
		return fmt.Sprintf("%s (%s-%s)", text, low, high)
	}
	return fmt.Sprintf("%s (%s-%s)", text, u.format(s.Min), u.format(s.Max))
}

// number writes a number as it is, its thousands apart.
func number(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", number(n/1000), n%1000)
}

// bases are what a column is compared with.
var bases = []string{Plain, Helper, Conntrackd, Floor}

// Table is the whole of a result as text.
type Table struct {
	Head   []string // of the figures' columns
	Groups []Group
}

// Group is the part of a table that one measure has.
type Group struct {
	Title string
	Rows  []Row
}

// Row is one figure of all columns, and its ratios.
type Row struct {
	Title string
	Cells []string
}

// Table returns the figures, and the ratios that are to be compared.
func (r *Result) Table() Table {
	var t Table
	ratios := r.ratios()
	for _, c := range r.Columns {
		t.Head = append(t.Head, c.Title)
	}
	for _, x := range ratios {
		t.Head = append(t.Head, x[0]+" / "+x[1])
	}
	for _, m := range r.Measures {
		if rows := r.rows(m, ratios); len(rows) > 0 {
			t.Groups = append(t.Groups, Group{m.Title, rows})
		}
	}
	return t
}

// Print writes the table, and below it what there is to be said.
func Print(w io.Writer, r *Result) error {
	out := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.Options{SeparateHeader: true}
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft, style.Box.PaddingRight, style.Box.MiddleSeparator = "", "  ", "-"
	out.SetStyle(style)
	out.SuppressTrailingSpaces()
	t := r.Table()
	line := func(title string, cells []string) table.Row {
		row := table.Row{title}
		for _, c := range cells {
			row = append(row, c)
		}
		return row
	}
	out.AppendHeader(line("", t.Head))
	for _, g := range t.Groups {
		out.AppendRow(table.Row{g.Title})
		for _, row := range g.Rows {
			out.AppendRow(line("  "+row.Title, row.Cells))
		}
		out.AppendSeparator()
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", out.Render(), strings.Join(r.Remarks(), "\n"))
	return err
}

// Remarks says what the figures are, and what they cannot say.
func (r *Result) Remarks() []string {
	rounds := "one round"
	if r.Rounds > 1 {
		rounds = fmt.Sprintf("medians of %d rounds, and (minimum-maximum)", r.Rounds)
	}
	failed := "Nothing failed."
	switch n := r.Failures(); n {
	case 0:
	case 1:
		failed = "1 transfer, round trip or login failed."
	default:
		failed = fmt.Sprintf("%s transfers, round trips or logins failed.", number(n))
	}
	return append([]string{
		fmt.Sprintf("Linux %s, %d CPUs, which clients, gateway and server share: %s.", r.Kernel, r.CPUs, rounds),
		"Compare the ratios, each of two columns in one round; the rest is this machine's.",
		fmt.Sprintf("* The generator was the bottleneck: its clients or its server had a CPU for %.0f %% of the time or more.", busy*100),
		failed,
	}, r.Notes...)
}

// ratios are the pairs of columns to compare: those that run ftpalg with each of the bases.
func (r *Result) ratios() (pairs [][2]string) {
	there := map[string]bool{}
	for _, c := range r.Columns {
		there[c.Name] = true
	}
	for _, c := range columns {
		if c.runs != programFTPALG || !there[c.name] {
			continue
		}
		for _, b := range bases {
			if there[b] {
				pairs = append(pairs, [2]string{c.name, b})
			}
		}
	}
	return pairs
}

// rows are those of one measure.
func (r *Result) rows(m Measure, ratios [][2]string) (rows []Row) {
	for _, k := range r.figures() {
		row, there, trouble := Row{Title: k.title}, false, false
		for _, c := range r.Columns {
			s := r.Stat(m.Name, c.Name, k.metric)
			there = there || s.Rounds > 0
			trouble = trouble || s.Max > 0
			cell := k.unit.show(s)
			if (k.metric == Rate || k.metric == Bytes) && r.bound(m.Name, c.Name) {
				cell += " *"
			}
			row.Cells = append(row.Cells, cell)
		}
		if !there || k.metric == Failed && !trouble {
			continue
		}
		for _, x := range ratios {
			row.Cells = append(row.Cells, unitNumber.show(r.Ratio(m.Name, x[0], x[1], k.metric)))
		}
		rows = append(rows, row)
	}
	return rows
}
