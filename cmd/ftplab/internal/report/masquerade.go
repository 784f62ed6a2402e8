package report

import (
	"bytes"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

// masquerade is an announcement on both sides of the gateway.
type masquerade struct {
	Sent, Received int // bytes of the line
	Parts          []part
	Packets        []crossing
}

// part is a part of the line on both sides.
type part struct {
	Name           string
	Client, Server []octet
	Changed        bool
}

// crossing is a packet that both sides have seen.
type crossing struct {
	story.Crossing
	Kind string // "control" or "data"
}

// newMasquerade returns nil where nothing was announced.
func newMasquerade(m *story.Masquerade) *masquerade {
	if len(m.Parts) == 0 {
		return nil
	}
	v := &masquerade{}
	for _, p := range m.Parts {
		v.Sent, v.Received = v.Sent+len(p.Client), v.Received+len(p.Server)
		v.Parts = append(v.Parts, part{
			Name: p.Name, Client: octets(p.Client, true), Server: octets(p.Server, true), Changed: !bytes.Equal(p.Client, p.Server),
		})
	}
	for _, p := range m.Packets {
		kind := "control"
		if p.Data {
			kind = "data"
		}
		v.Packets = append(v.Packets, crossing{p, kind})
	}
	return v
}
