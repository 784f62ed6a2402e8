package report

import (
	"fmt"
	"math"
	"strings"
)

// chart is lines over two scales, one for each kind of gateway.
type chart struct {
	id, title, desc string
	xName, yName    string
	x, y            []tick // in order
	lines           []line
}

// tick is a mark on a scale, at a part of its length from 0 to 1.
type tick struct {
	at   float64
	text string
}

// line is what one gateway did, from point to point, each of two parts from 0 to 1.
type line struct {
	name   string
	number int // of its looks
	points [][2]float64
}

// figure draws the chart wide and narrow.
func (c chart) figure() figure {
	return figure{ID: c.id, Title: c.title, Desc: c.desc, Wide: c.draw(1000, 420, 70, 150), Narrow: c.draw(320, 300, 46, 14)}
}

// draw leaves so much room at the left for the scale, and at the right for the names. Where
// that is too little, the names stand below.
func (c chart) draw(width, height, left, right int) drawing {
	below := right < 100
	d := drawing{Width: width, Height: height + 60}
	top := 30
	if below {
		d.Height += lineHeight * len(c.lines)
	}
	x := func(v float64) int { return left + int(math.Round(v*float64(width-left-right))) }
	y := func(v float64) int { return height - int(math.Round(v*float64(height-top))) }
	d.text("tick", 0, 14, c.yName)
	for _, t := range c.y {
		d.path("grid", "M%d %dH%d", left, y(t.at), width-right)
		d.text("tick end", left-8, y(t.at)+4, t.text)
	}
	for _, t := range c.x {
		d.path("grid minor", "M%d %dV%d", x(t.at), top, height)
		d.text("tick middle", x(t.at), height+20, t.text)
	}
	d.text("tick end", width-right, height+42, c.xName)
	var ends []int
	for _, l := range c.lines {
		if len(l.points) == 0 {
			ends = append(ends, height)
			continue
		}
		ends = append(ends, y(l.points[len(l.points)-1][1]))
	}
	spread(ends, lineHeight)
	for i, l := range c.lines {
		class := fmt.Sprintf("line line-%d", l.number)
		if len(l.points) > 0 {
			var path strings.Builder
			for j, p := range l.points {
				fmt.Fprintf(&path, "%c%d %d", "ML"[min(j, 1)], x(p[0]), y(p[1]))
			}
			d.path(class, "%s", path.String())
		}
		at, from := ends[i], width-right+8
		if below {
			at, from = height+60+lineHeight*i, 0
		}
		d.path(class, "M%d %dh20", from, at)
		d.text("name-of-line halo", from+26, at+5, l.name)
	}
	return d
}

// spread moves what is nearer to each other than apart, and keeps the order.
func spread(at []int, apart int) {
	for range at {
		for i := range at {
			for j := range at[:i] {
				if gap := at[i] - at[j]; gap >= 0 && gap < apart {
					at[i] += apart - gap
				} else if gap < 0 && -gap < apart {
					at[j] += apart + gap
				}
			}
		}
	}
}
