package report

import "fmt"

// figure is a drawing in two forms, of which a style sheet shows one.
type figure struct {
	ID, Title, Desc string
	Wide, Narrow    drawing
}

// drawing is a list of shapes on a sheet whose unit is about a pixel of a page as wide
// as it is. Their looks are the style sheet's.
type drawing struct {
	Width, Height int
	Shapes        []shape
}

// Ratio is the width over the height.
func (d drawing) Ratio() float64 { return float64(d.Width) / float64(d.Height) }

// shape is a path or a line of text.
type shape struct {
	Class string
	D     string // of a path
	X, Y  int    // of a text
	Text  string
}

// path adds a path.
func (d *drawing) path(class, format string, args ...any) {
	d.Shapes = append(d.Shapes, shape{Class: class, D: fmt.Sprintf(format, args...)})
}

// text adds a line of text that begins at x, ends there, or has its middle there, as
// its class says.
func (d *drawing) text(class string, x, y int, text string) {
	d.Shapes = append(d.Shapes, shape{Class: class, X: x, Y: y, Text: text})
}

// lines adds lines of text, the first of them at y, and returns the y after the last.
func (d *drawing) lines(class string, x, y, height int, lines []string) int {
	for _, l := range lines {
		d.text(class, x, y, l)
		y += height
	}
	return y
}

// arrow adds a horizontal or slightly slanted arrow of a connection: solid with a
// filled head for "control", dashed with an open one for "data".
func (d *drawing) arrow(class string, x1, y1, x2, y2 int) {
	back := -12
	if x2 < x1 {
		back = 12
	}
	d.path(class, "M%d %dL%d %d", x1, y1, x2, y2)
	d.path(class+" head", "M%d %dl%d -6M%d %dl%d 6", x2, y2, back, x2, y2, back)
	if class == "control" {
		d.path(class+" head", "M%d %dl%d -6v12z", x2, y2, back)
	}
}

// cross adds the sign for what was dropped.
func (d *drawing) cross(x, y int) {
	d.path("cross", "M%d %dl16 16m0 -16l-16 16", x-8, y-8)
}

// wall adds a piece of the firewall.
func (d *drawing) wall(x, y, width, height int) {
	d.path("wall", "M%d %dh%dv%dh%dz", x, y, width, height, -width)
}
