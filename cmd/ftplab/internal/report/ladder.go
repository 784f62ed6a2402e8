package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

// transfer is a transfer with its ladder.
type transfer struct {
	ID      string
	Title   string
	Figure  figure
	Rungs   []rung
	Opened  bool
	Used    bool
	Found   bool          // that it was used, before the end
	Waited  time.Duration // from the opening to the use, or else to the end
	Existed time.Duration // from the opening until ftpalg found it used, or else to the end
	Closed  time.Duration // from the opening to the end
	Reason  string
}

// rung is one thing of a ladder, in the order of time: a message, or something that
// happened to the pinhole.
type rung struct {
	After   time.Duration // since the first of the ladder
	Message *story.Message
	Event   string // "opened", "used", "found" or "closed"; empty for a message
	Text    string

	at time.Time
}

// Who names the sender, or what it happened to.
func (r rung) Who() string {
	switch {
	case r.Message == nil:
		return "gateway"
	case r.Message.Sender != "":
		return r.Message.Sender
	case r.Message.FromClient:
		return "client"
	}
	return "server"
}

// Kind is "control" or "data" for a message, "strange" for one that is not the client's
// or the server's, and "pinhole" for the rest.
func (r rung) Kind() string {
	switch {
	case r.Message == nil:
		return "pinhole"
	case r.Message.Sender != "":
		return "strange"
	case r.Message.Data:
		return "data"
	}
	return "control"
}

func newTransfer(n int, t story.Transfer, hosts []story.Host) transfer {
	rungs := climb(t)
	hole := t.Pinhole
	v := transfer{
		ID: fmt.Sprintf("transfer-%d", n), Title: t.Title, Rungs: rungs,
		Opened: !hole.OpenedAt.IsZero(), Used: !hole.UsedAt.IsZero(), Found: !hole.FoundAt.IsZero(),
		Reason: hole.Reason,
	}
	if v.Opened {
		v.Existed, v.Closed = hole.Existed(), hole.ClosedAt.Sub(hole.OpenedAt)
		v.Waited = v.Closed
		if v.Used {
			v.Waited = hole.UsedAt.Sub(hole.OpenedAt)
		}
	}
	v.Figure = figure{
		ID:    v.ID,
		Title: t.Title + ": the ladder of its packets",
		Desc: "Time runs downwards. Arrows between the client, the gateway and the server are packets, solid for the control " +
			"connection and dashed for the data connection. The list below says the same in words.",
		Wide: wideLadder.draw(rungs, hosts), Narrow: narrowLadder.draw(rungs, hosts),
	}
	return v
}

// climb puts the messages and the moments of the pinhole in one order.
func climb(t story.Transfer) []rung {
	var rungs []rung
	for i := range t.Messages {
		rungs = append(rungs, rung{Message: &t.Messages[i], Text: t.Messages[i].Text, at: t.Messages[i].Time})
	}
	hole := t.Pinhole
	if !hole.OpenedAt.IsZero() {
		rungs = append(rungs, rung{Event: "opened", at: hole.OpenedAt, Text: fmt.Sprintf("pinhole open: %s → %v", hole.From(), hole.Destination)})
		if !hole.UsedAt.IsZero() {
			rungs = append(rungs, rung{Event: "used", at: hole.UsedAt, Text: "used: admits no other connection"})
		}
		if !hole.FoundAt.IsZero() {
			rungs = append(rungs, rung{Event: "found", at: hole.FoundAt, Text: "ftpalg finds it used"})
		}
		rungs = append(rungs, rung{Event: "closed", at: hole.ClosedAt, Text: "closed: " + hole.Reason})
	}
	// What happens to the pinhole at the time of a packet comes of that packet.
	slices.SortStableFunc(rungs, func(a, b rung) int { return a.at.Compare(b.at) })
	for i := range rungs {
		rungs[i].After = rungs[i].at.Sub(rungs[0].at)
	}
	return rungs
}

// ladder says where things stand on the drawing of a ladder.
type ladder struct {
	width                   int
	client, gateway, server int // x of the lanes
	chars                   int // of a line of text
	right                   int // x of what the server says and the gateway does; 0: at the left, like the client's
	time                    int // x where times end
}

var (
	wideLadder   = ladder{width: 840, client: 112, gateway: 475, server: 838, chars: 35, right: 501, time: 98}
	narrowLadder = ladder{width: 300, client: 6, gateway: 212, server: 294, chars: 22, time: 290}
)

// Heights, in units of the drawing.
const (
	ladderTop  = 60 // of the names of the lanes
	lineHeight = 18
	arrowGap   = 8  // from the text to the arrow below it
	slant      = 8  // of an arrow: time passes while it travels
	rungGap    = 22 // from an arrow to the text below it
)

func (l ladder) draw(rungs []rung, hosts []story.Host) drawing {
	d := drawing{Width: l.width}
	height := ladderTop
	for _, r := range rungs {
		height += l.height(r)
	}
	d.Height = height + rungGap
	l.lanes(&d, hosts)
	l.hole(&d, rungs)
	y := ladderTop + rungGap
	for _, r := range rungs {
		l.rung(&d, r, y)
		y += l.height(r)
	}
	return d
}

// label returns the text of a rung in lines.
func (l ladder) label(r rung) []string {
	text := r.Text
	switch r.Kind() {
	case "data":
		text = "data: " + text
	case "strange":
		text = r.Who() + ": " + text
	}
	lines := wrap(text, l.chars)
	if r.Message != nil && r.Message.Dropped {
		lines = append(lines, "dropped at the gateway")
	}
	return lines
}

// height returns how much of the drawing's height a rung takes.
func (l ladder) height(r rung) int {
	return (len(l.label(r))-1)*lineHeight + arrowGap + slant + rungGap
}

// middle returns the y of a rung's marker, or of the middle of its arrow, when its
// text begins at y.
func (l ladder) middle(r rung, y int) int {
	if r.Message == nil {
		return y - 5
	}
	return y + (len(l.label(r))-1)*lineHeight + arrowGap + slant/2
}

// lanes draws the three lanes with their names.
func (l ladder) lanes(d *drawing, hosts []story.Host) {
	for _, lane := range []struct {
		name, class string
		x           int
	}{{"client", "", l.client}, {"gateway", " middle", l.gateway}, {"server", " end", l.server}} {
		x := lane.x
		if l.right == 0 && lane.name == "gateway" { // the server is near
			x, lane.class = x+10, " end"
		}
		address := ""
		if i := slices.IndexFunc(hosts, func(h story.Host) bool { return h.Name == lane.name }); i >= 0 {
			address = hosts[i].IPv4.String()
		}
		d.text("lane"+lane.class, x, 20, lane.name)
		d.text("address"+lane.class, x, 40, address)
		if lane.name == "gateway" {
			d.wall(lane.x-5, ladderTop-8, 10, d.Height-ladderTop+8)
			continue
		}
		d.path("lifeline", "M%d %dV%d", lane.x, ladderTop-8, d.Height)
	}
}

// hole draws what of the wall is open, and until when something is remembered of it.
func (l ladder) hole(d *drawing, rungs []rung) {
	at := map[string]int{}
	y := ladderTop + rungGap
	for _, r := range rungs {
		if r.Event != "" {
			at[r.Event] = l.middle(r, y)
		}
		y += l.height(r)
	}
	opened, ok := at["opened"]
	if !ok {
		return
	}
	end := cmp.Or(at["used"], at["closed"])
	d.path("hole", "M%d %dh20v%dh-20z", l.gateway-10, opened, end-opened)
	if at["used"] > 0 {
		d.path("admitted", "M%d %dV%d", l.gateway, end, at["closed"])
	}
}

// rung draws one rung; the first line of its text stands at y.
func (l ladder) rung(d *drawing, r rung, y int) {
	x := l.client + 14
	if l.right > 0 && r.Who() != "client" {
		x = l.right
	}
	middle, lines := l.middle(r, y), l.label(r)
	d.text("time end", l.time, y, span(r.After))
	if r.Message == nil {
		d.lines("event", x, y, lineHeight, lines)
		d.path("mark "+r.Event, marks[r.Event], l.gateway, middle)
		return
	}
	if r.Message.Dropped {
		last := len(lines) - 1
		d.text("drop", x, y+last*lineHeight, lines[last])
		lines = lines[:last]
	}
	d.lines("said "+r.Kind(), x, y, lineHeight, lines)
	from, to := l.client, l.server
	if !r.Message.FromClient {
		from, to = to, from
	}
	if r.Kind() == "strange" { // it comes from beside the lane
		from += (l.gateway - from) / 6
		d.path("node strange", "M%d %dm-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", from, middle-slant/2)
	}
	if r.Message.Dropped {
		to = l.gateway + 16
		if r.Message.FromClient {
			to = l.gateway - 16
		}
		d.path(r.Kind(), "M%d %dL%d %d", from, middle-slant/2, to, middle)
		d.cross(to, middle)
		return
	}
	d.arrow(r.Kind(), from, middle-slant/2, to, middle+slant/2)
}

// marks are the signs of what happens to a pinhole, around a point.
var marks = map[string]string{
	"opened": "M%d %dm-13 0a13 13 0 1 0 26 0a13 13 0 1 0 -26 0z",
	"used":   "M%d %dm-14 0l14 -14l14 14l-14 14z",
	"found":  "M%d %dm-9 0a9 9 0 1 0 18 0a9 9 0 1 0 -18 0z",
	"closed": "M%d %dm-12 -12h24v24h-24z",
}
