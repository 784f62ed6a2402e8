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

// show writes a figure with its extremes.
func (u unit) show(s Stat) string {
	if s.Rounds == 0 {
		return "-"
	}
	text := u.format(s.Median)
	if s.Rounds > 1 && s.Min != s.Max {
		text += fmt.Sprintf(" (%s-%s)", strings.Fields(u.format(s.Min))[0], u.format(s.Max))
		if word := strings.Fields(u.format(s.Max)); len(word) > 1 && strings.HasSuffix(u.format(s.Min), word[1]) {
			text = fmt.Sprintf("%s (%s-%s)", u.format(s.Median), strings.Fields(u.format(s.Min))[0], word[0])
		} else if len(word) > 1 {
			text = fmt.Sprintf("%s (%s-%s)", u.format(s.Median), u.format(s.Min), u.format(s.Max))
		}
	}
	return text
}

// bases are what a column is compared with.
var bases = []string{Plain, Helper, Floor}

// Print writes the table, and below it what there is to be said.
func Print(w io.Writer, r *Result) error {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.Options{SeparateHeader: true}
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft, style.Box.PaddingRight, style.Box.MiddleSeparator = "", "  ", "-"
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	ratios := r.ratios()
	head := table.Row{""}
	for _, c := range r.Columns {
		head = append(head, c.Title)
	}
	for _, x := range ratios {
		head = append(head, x[0]+" / "+x[1])
	}
	t.AppendHeader(head)
	for _, m := range r.Measures {
		rows := r.rows(m, ratios)
		if len(rows) == 0 {
			continue
		}
		t.AppendRow(table.Row{m.Title})
		t.AppendRows(rows)
		t.AppendSeparator()
	}
	rounds := "one round"
	if r.Rounds > 1 {
		rounds = fmt.Sprintf("medians of %d rounds, and (minimum-maximum)", r.Rounds)
	}
	_, err := fmt.Fprintf(w, "%s\nLinux %s, %d CPUs, shared by clients, gateway and server: %s.\nCompare the ratios, each of columns in one round; the rest is this machine's.\n",
		t.Render(), r.Kernel, r.CPUs, rounds)
	for _, note := range r.Notes {
		if err == nil {
			_, err = fmt.Fprintln(w, text.WrapSoft(note, 100))
		}
	}
	return err
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
func (r *Result) rows(m Measure, ratios [][2]string) (rows []table.Row) {
	for _, k := range metrics {
		row, any, trouble := table.Row{"  " + k.title}, false, false
		for _, c := range r.Columns {
			s := r.Stat(m.Name, c.Name, k.metric)
			any = any || s.Rounds > 0
			trouble = trouble || s.Max > 0
			row = append(row, k.unit.show(s))
		}
		if !any || k.metric == Failed && !trouble {
			continue
		}
		for _, x := range ratios {
			s := r.Ratio(m.Name, x[0], x[1], k.metric)
			cell := "-"
			if s.Rounds > 0 {
				cell = unitNumber.show(s)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}
