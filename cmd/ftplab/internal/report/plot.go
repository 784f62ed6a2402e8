package report

import (
	"fmt"
	"math"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
)

// exposure plots the port-seconds of each firewall, for a stranger and for the server, on
// a scale of powers of ten, on which zero has a place of its own at the left.
func exposure(firewalls []attack.Firewall) figure {
	return figure{
		ID:     "exposure-plot",
		Title:  "Exposure of the client behind each firewall",
		Desc:   "Ports times seconds in an hour with one transfer, on a logarithmic scale. The table below has the numbers.",
		Wide:   plot{width: 1000, zero: 12, left: 90, right: 975}.draw(firewalls),
		Narrow: plot{width: 300, zero: 10, left: 46, right: 286, stacked: true}.draw(firewalls),
	}
}

// plot says where things stand on the drawing.
type plot struct {
	width             int
	zero, left, right int  // x of zero, and of the ends of the scale
	stacked           bool // the numbers stand below those for whom they are
}

// decades returns the powers of ten between which all values are, in steps of three.
func decades(firewalls []attack.Firewall) (low, high int) {
	lowest, highest := 1.0, 10.0
	for _, f := range firewalls {
		for _, v := range []float64{f.Exposure.PortSeconds, f.ToServer.PortSeconds} {
			if v > 0 {
				lowest, highest = min(lowest, v), max(highest, v)
			}
		}
	}
	low, high = int(math.Floor(math.Log10(lowest)/3)), int(math.Ceil(math.Log10(highest)/3))
	return low * 3, high * 3
}

func (p plot) draw(firewalls []attack.Firewall) drawing {
	line := 50
	if p.stacked {
		line += lineHeight
	}
	each := 50 + 2*line
	bottom := each*len(firewalls) + 10
	d := drawing{Width: p.width, Height: bottom + 50}
	low, high := decades(firewalls)
	x := func(v float64) int {
		if v <= 0 {
			return p.zero
		}
		return p.left + int(math.Round((math.Log10(v)-float64(low))*float64(p.right-p.left)/float64(high-low)))
	}
	p.axis(&d, low, high, bottom, x)
	for i, f := range firewalls {
		y := i*each + 26
		d.text("name halo", p.zero-8, y, f.Title)
		p.line(&d, y+26, "for a stranger", f.Exposure, x)
		p.line(&d, y+26+line, "for the server", f.ToServer, x)
	}
	return d
}

// line draws what one firewall leaves open for somebody, below a text at y.
func (p plot) line(d *drawing, y int, whom string, e attack.Exposure, x func(float64) int) {
	sum := fmt.Sprintf("%s × %s s = %s", quantity(float64(e.Ports)), quantity(e.Seconds), quantity(e.PortSeconds))
	d.text("about halo", p.zero-8, y, whom)
	if p.stacked {
		y += lineHeight
		d.text("product halo", p.zero-8, y, sum)
	} else {
		d.text("product end halo", p.right, y, sum)
	}
	y += 18
	at := x(e.PortSeconds)
	if at > p.zero {
		d.path("stem", "M%d %dH%d", p.zero, y, at)
	}
	class := "dot"
	if e.PortSeconds <= 0 {
		class = "dot zero"
	}
	d.path(class, "M%d %dm-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", at, y)
}

// axis draws the scale and its lines.
func (p plot) axis(d *drawing, low, high, bottom int, x func(float64) int) {
	d.path("grid", "M%d 0V%d", p.zero, bottom)
	d.text("tick middle", p.zero, bottom+22, "0")
	for n := low; n <= high; n++ {
		at := x(math.Pow10(n))
		if (n-low)%3 != 0 {
			d.path("grid minor", "M%d 0V%d", at, bottom)
			continue
		}
		d.path("grid", "M%d 0V%d", at, bottom)
		d.text("tick middle", at, bottom+22, power(n))
	}
	d.text("tick end", p.right, bottom+44, "ports × seconds")
}

// power writes a power of ten.
func power(n int) string {
	if n >= -3 && n <= 3 {
		return quantity(math.Pow10(n))
	}
	digits := []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")
	s := "10"
	if n < 0 {
		s, n = s+"⁻", -n
	}
	if n >= 10 {
		s += string(digits[n/10])
	}
	return s + string(digits[n%10])
}
