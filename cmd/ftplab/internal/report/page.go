package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

// portStep is the number of the step that looks into the PORT command.
const portStep = 4

// masqueradeStep is the number of the step that shows an announcement on both sides.
const masqueradeStep = 10

// page is what the templates make the page of.
type page struct {
	*story.Story
	Topology figure
	Steps    []step
	Compared *comparison // nil without a matrix
}

// step is one step of the story with the figures that belong to it.
type step struct {
	story.Step
	Packets   []packet
	ALG       bool // ftpalg did something
	Frame     *frame
	Transfers []transfer

	Masquerade *masquerade
}

// packet is a line of the table of packets.
type packet struct {
	story.Packet
	Kind string // "control", "data" or ""
}

func newPage(s *story.Story, m *attack.Matrix) (*page, error) {
	p := &page{Story: s, Topology: topology(s.Hosts)}
	for _, one := range s.Steps {
		p.Steps = append(p.Steps, newStep(one))
	}
	for i, t := range s.Transfers {
		at := p.stepOf(t)
		if at < 0 {
			return nil, fmt.Errorf("there is no step to show transfer %q in", t.Title)
		}
		p.Steps[at].Transfers = append(p.Steps[at].Transfers, newTransfer(i+1, t, s.Hosts))
	}
	if i := slices.IndexFunc(p.Steps, func(s step) bool { return s.Number == portStep }); i >= 0 {
		f, err := newFrame(s.Port)
		if err != nil {
			return nil, err
		}
		p.Steps[i].Frame = f
	}
	if i := slices.IndexFunc(p.Steps, func(s step) bool { return s.Number == masqueradeStep }); i >= 0 {
		p.Steps[i].Masquerade = newMasquerade(&s.Masquerade)
	}
	if m != nil {
		c, err := compare(m)
		if err != nil {
			return nil, err
		}
		p.Compared = c
	}
	return p, nil
}

func newStep(s story.Step) step {
	one := step{Step: s}
	for _, p := range s.Packets {
		kind := ""
		switch {
		case p.SrcPort == 21 || p.DstPort == 21:
			kind = "control"
		case p.SrcPort == 20 || p.DstPort == 20:
			kind = "data"
		}
		one.Packets = append(one.Packets, packet{Packet: p, Kind: kind})
		one.ALG = one.ALG || len(p.ALG) > 0
	}
	return one
}

// stepOf returns the index of the step that tells the end of a transfer: the first
// during which the last message came on its control connection, or else the last of all.
func (p *page) stepOf(t story.Transfer) int {
	for _, m := range slices.Backward(t.Messages) {
		if m.Data {
			continue
		}
		if i := slices.IndexFunc(p.Steps, func(s step) bool { return s.during(m.Time) }); i >= 0 {
			return i
		}
		break
	}
	return len(p.Steps) - 1
}

// during reports whether t lies between the first and the last packet of the step.
func (s step) during(t time.Time) bool {
	if len(s.Packets) == 0 {
		return false
	}
	first, last := s.Packets[0].Time, s.Packets[len(s.Packets)-1].Time
	return !t.Before(first) && !t.After(last)
}
