package alg_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ftpalg/ftpalg/alg"
)

func (g *gateway) wantOpen(holes ...alg.Pinhole) {
	g.t.Helper()
	open := g.kernel.holes()
	if len(open) != len(holes) {
		g.t.Errorf("open: %v, want %v\n%s", open, holes, g.told())
		return
	}
	for _, h := range holes {
		if !slices.Contains(open, h) {
			g.t.Errorf("open: %v, want %v\n%s", open, holes, g.told())
		}
	}
}

// wantNever checks that no pinhole was ever committed.
func (g *gateway) wantNever() {
	g.t.Helper()
	if len(g.kernel.opened) != 0 {
		g.t.Errorf("opened %v, want nothing ever\n%s", g.kernel.opened, g.told())
	}
}

// wantReason checks that an event of the kind has a reason with one of the words, which
// are set apart by |.
func (g *gateway) wantReason(k alg.Kind, words string) {
	g.t.Helper()
	for _, e := range g.events {
		if e.Kind == k && anyOf(e.Reason, words) {
			return
		}
	}
	g.t.Errorf("no event %s with %q in:\n%s", k, words, g.told())
}

// wantCount checks how often a kind of event was told.
func (g *gateway) wantCount(k alg.Kind, n int) {
	g.t.Helper()
	if got := g.count(k); got != n {
		g.t.Errorf("%s told %d times, want %d:\n%s", k, got, n, g.told())
	}
}

func (g *gateway) count(kinds ...alg.Kind) (n int) {
	for _, e := range g.events {
		if slices.Contains(kinds, e.Kind) {
			n++
		}
	}
	return n
}

func (g *gateway) wantPass(ids ...uint64) { g.t.Helper(); g.wantDropped(false, ids) }
func (g *gateway) wantDrop(ids ...uint64) { g.t.Helper(); g.wantDropped(true, ids) }

func (g *gateway) wantDropped(drop bool, ids []uint64) {
	g.t.Helper()
	for _, id := range ids {
		if v, ok := g.verdicts[id]; !ok || v.Drop != drop {
			g.t.Errorf("packet %d: dropped %v, verdict given %v; want dropped %v", id, v.Drop, ok, drop)
		}
	}
}

func (g *gateway) wantHeld(id uint64) {
	g.t.Helper()
	if v, ok := g.verdicts[id]; ok {
		g.t.Errorf("packet %d: dropped %v, want it held", id, v.Drop)
	}
}

// wantHelp checks that the dialogue is helped in active mode at this moment.
func (x *wire) wantHelp() {
	x.t.Helper()
	x.port()
	x.retr()
	x.wantOpen(x.hole(46197))
	x.s("426 x") // a transfer that ends, for what comes next
}

// wantNoHelp checks that nothing opens in either mode.
func (x *wire) wantNoHelp() {
	x.t.Helper()
	before := len(x.kernel.opened)
	x.port()
	x.retr()
	x.s("425 x")
	x.c("PASV")
	x.s(ok227)
	if more := x.kernel.opened[before:]; len(more) > 0 {
		x.t.Errorf("opened %v, want nothing\n%s", more, x.told())
	}
}

// wantPassiveOff checks that 227 and 229 are not believed any more, that this was told
// once, and that active mode goes on.
func (x *wire) wantPassiveOff() {
	x.t.Helper()
	x.wantOpen()
	x.wantCount(alg.PassiveOff, 1)
	before := len(x.kernel.opened)
	x.c("PASV")
	x.s(ok227)
	x.c("EPSV")
	x.s("229 ok (|||50100|)")
	if more := x.kernel.opened[before:]; len(more) > 0 {
		x.t.Errorf("opened %v after the belief ended\n%s", more, x.told())
	}
	x.wantHelp()
}

// wantPassive checks that a 227 is helped.
func (x *wire) wantPassive() {
	x.t.Helper()
	x.c("PASV")
	x.s(ok227)
	x.wantOpen(x.passive(46197))
}

// told is what the sink was told, a line an event, without times.
func (g *gateway) told() string {
	var b strings.Builder
	for _, e := range g.events {
		fmt.Fprintf(&b, "%s %v->%v", e.Kind, e.Client, e.Server)
		if e.Pinhole.Dest.IsValid() {
			fmt.Fprintf(&b, " %s %v:%v->%v", e.Pinhole.Mode, e.Pinhole.Source, e.Pinhole.SourcePorts, e.Pinhole.Dest)
		}
		fmt.Fprintf(&b, " %q\n", e.Reason)
	}
	return b.String()
}
