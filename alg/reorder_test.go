package alg_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// piece is a part of what a side says, at its number.
type piece struct {
	d    side
	seq  uint32
	text string
}

// cutTurn cuts a turn into a few segments, which begin at a number.
func cutTurn(rt *rapid.T, tn turn, seq uint32) (pieces []piece) {
	for rest := tn.text; rest != ""; {
		n := len(rest)
		if len(pieces) < 20 {
			n = rapid.IntRange(1, min(len(rest), 60)).Draw(rt, "n")
		}
		pieces = append(pieces, piece{tn.d, seq, rest[:n]})
		seq += uint32(n)
		rest = rest[n:]
	}
	return pieces
}

func (x *wire) sendPiece(p piece) uint64 {
	return x.packet(p.d, x.build(p.d, p.seq, x.next[p.d.other()], tcp.ACK, p.text))
}

// Whatever order, repetition and loss do to the segments of a dialogue, the same opens as
// of the dialogue itself, or less, and never something else.
func TestReorderingDuplicationAndLossNeverOpenMore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		turns := anyDialogue(rt)
		clean, messy := newWire(rt).connect(), newWire(rt).connect()
		var past []piece
		waited := false
		for _, tn := range turns {
			clean.say(tn.d, tn.text)
			pieces := cutTurn(rt, tn, messy.next[tn.d])
			order := rapid.Permutation(pieces).Draw(rt, "order")
			lost := rapid.IntRange(0, len(order)).Draw(rt, "lost")
			if rapid.Bool().Draw(rt, "nothing lost") {
				lost = 0
			}
			for _, p := range order[lost:] {
				messy.sendPiece(p)
				if len(past) > 0 && rapid.IntRange(0, 3).Draw(rt, "late copy") == 0 {
					messy.sendPiece(past[rapid.IntRange(0, len(past)-1).Draw(rt, "of")])
				}
				if rapid.IntRange(0, 3).Draw(rt, "copy") == 0 {
					messy.sendPiece(p)
				}
			}
			if lost > 0 && rapid.Bool().Draw(rt, "wait") {
				messy.wait(11 * tick) // what was held is dropped
				waited = true
			}
			for _, p := range pieces { // TCP sends all of it again, in order
				messy.sendPiece(p)
			}
			messy.next[tn.d] += uint32(len(tn.text))
			past = append(past, pieces...)
		}
		if waited {
			for _, p := range messy.kernel.opened {
				if !slices.Contains(clean.kernel.opened, p) {
					rt.Fatalf("%q\nopened %v beside %v\n%s", turns, p, clean.kernel.opened, messy.told())
				}
			}
		} else if !slices.Equal(messy.kernel.opened, clean.kernel.opened) {
			rt.Fatalf("%q\nopened %v, clean %v\n%s\nclean:\n%s", turns, messy.kernel.opened, clean.kernel.opened, messy.told(), clean.told())
		}
	})
}

// Packets that no receiver accepts, whoever forged them, change no decision. Nor do those
// that come in where their sender is not.
func TestForgedPacketsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		turns := anyDialogue(rt)
		clean, forged := newWire(rt).connect(), newWire(rt).connect()
		spoken := false
		for _, tn := range turns {
			clean.say(tn.d, tn.text)
			forged.say(tn.d, tn.text)
			spoken = spoken || tn.d == fromClient
			d := side(rapid.IntRange(0, 1).Draw(rt, "forged side"))
			seq, ack := forged.next[d], forged.next[d.other()]
			far := rapid.Uint32Range(1<<21, 1<<31).Draw(rt, "far")
			text := rapid.SampledFrom(append(slices.Clone(clientWords), serverWords...)).Draw(rt, "forged text")
			switch rapid.IntRange(0, 6).Draw(rt, "kind") {
			case 0:
				forged.packet(d, forged.build(d, seq+far, ack, tcp.ACK, text))
			case 1:
				forged.packet(d, forged.build(d, seq, ack, tcp.PSH, text)) // no ACK
			case 2:
				p := forged.build(d, seq, ack, tcp.ACK, text)
				p[len(p)-1] ^= 0x55 // checksum
				forged.packet(d, p)
			case 3:
				if spoken { // before, two answers to one SYN are one too many
					forged.packet(fromServer, forged.build(fromServer, forged.next[fromServer]+far, far, tcp.SYN|tcp.ACK, ""))
				}
			case 4:
				forged.packet(d, forged.build(d, seq+far, 0, tcp.RST, ""))
			case 5:
				o := d.other()
				id := forged.by(forged.in[o], forged.out[o], forged.build(d, seq, ack, tcp.ACK, text))
				if forged.sessions() > 0 {
					forged.wantDrop(id)
				}
			case 6:
				o := d.other()
				id := forged.by(forged.in[o], forged.out[o], forged.build(d, seq, 0, tcp.RST, ""))
				if forged.sessions() > 0 {
					forged.wantDrop(id)
				}
			}
		}
		if got, want := forged.unforged(), clean.unforged(); got != want {
			rt.Fatalf("%q\nclean:\n%s\nforged:\n%s", turns, want, got)
		}
	})
}

// unforged is what a worker decided, without what it says of forged packets.
func (x *wire) unforged() string {
	kept := *x.gateway
	kept.events = slices.DeleteFunc(slices.Clone(x.events), func(e alg.Event) bool { return e.Kind == alg.Violation })
	return strings.TrimSpace((&wire{gateway: &kept}).decisions())
}
