package report

import (
	"fmt"
	"strconv"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
)

// comparison is the table of the firewalls.
type comparison struct {
	Firewalls []attack.Firewall
	Groups    []group
	Notes     []string
	Exposure  figure
}

// Columns counts the columns of the table.
func (c *comparison) Columns() int { return 1 + len(c.Firewalls) }

// Count is the number of firewalls, in words.
func (c *comparison) Count() string {
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven"}
	if n := len(c.Firewalls); n < len(words) {
		return words[n]
	}
	return strconv.Itoa(len(c.Firewalls))
}

// group is the part of the table that tells about services, or about attacks.
type group struct {
	Title string
	Rows  []row
}

// row is a service or an attack.
type row struct {
	attack.Row
	Cells []cell
}

// cell is what one firewall made of it.
type cell struct {
	attack.Cell
	Firewall string
	Class    string // "good", "bad", or "none" for what was not measured
}

// Word names the result.
func (c cell) Word() string {
	if c.Class == "none" {
		return "not measured"
	}
	return string(c.Result)
}

// compare puts services before attacks.
func compare(m *attack.Matrix) (*comparison, error) {
	c := &comparison{
		Firewalls: m.Firewalls,
		Groups:    []group{{Title: "What should work"}, {Title: "What an attacker tries"}},
		Notes:     m.Notes,
		Exposure:  exposure(m.Firewalls),
	}
	for _, r := range m.Rows {
		if len(r.Cells) != len(m.Firewalls) {
			return nil, fmt.Errorf("row %q has %d cells for %d firewalls", r.Name, len(r.Cells), len(m.Firewalls))
		}
		v := row{Row: r}
		for i, one := range r.Cells {
			w := cell{Cell: one, Firewall: m.Firewalls[i].Title, Class: "none"}
			switch one.Result {
			case attack.Works, attack.Blocked, attack.Reached:
				w.Class = "bad"
				if r.Good(one) {
					w.Class = "good"
				}
			}
			v.Cells = append(v.Cells, w)
		}
		g := &c.Groups[0]
		if r.Attack {
			g = &c.Groups[1]
		}
		g.Rows = append(g.Rows, v)
	}
	return c, nil
}
