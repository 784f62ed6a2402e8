// Package event writes what the engine reports for its readers: as JSON for
// machines, as lines of text for people.
package event

import (
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// JSON is an event as `ftpalg events --json`, `ftpalg replay --json` and the log name
// its parts. It reads back what it wrote.
type JSON struct {
	Time    time.Time      `json:"time"`
	Event   alg.Kind       `json:"event"`
	Session uint64         `json:"session,omitempty"`
	Client  netip.AddrPort `json:"client,omitzero"`
	Server  netip.AddrPort `json:"server,omitzero"`
	Reason  string         `json:"reason,omitempty"`

	// Where addresses are translated: the client as the server sees it, and the server as
	// the client does.
	OutsideClient netip.AddrPort `json:"outside_client,omitzero"`
	OutsideServer netip.AddrPort `json:"outside_server,omitzero"`

	// Of the pinhole events. Source connects to Address and Port.
	Mode       string     `json:"mode,omitempty"`
	Source     netip.Addr `json:"source,omitzero"`
	SourcePort *Ports     `json:"source_port,omitempty"`
	Address    netip.Addr `json:"address,omitzero"`
	Port       uint16     `json:"port,omitempty"`
	// Of those that are translated: where the connection is addressed to, and the source
	// that its listener sees.
	OutsideAddress netip.Addr `json:"outside_address,omitzero"`
	OutsidePort    uint16     `json:"outside_port,omitempty"`
	OutsideSource  netip.Addr `json:"outside_source,omitzero"`
	OpenedAt       time.Time  `json:"opened_at,omitzero"` // absent: it never opened

	// Of alg.PinholeClosed. Lifetime is how long the packet filter admitted the
	// connection, as time.Duration writes it; absent: not at all.
	Used     *bool  `json:"used,omitempty"`
	Lifetime string `json:"lifetime,omitempty"`
	Packets  uint64 `json:"packets,omitempty"` // with Bytes, where known
	Bytes    uint64 `json:"bytes,omitempty"`

	Error string `json:"error,omitempty"` // of alg.Failure
}

// From returns the event in the form that is written.
func From(e alg.Event) JSON {
	j := JSON{
		Time: e.Time, Event: e.Kind, Session: e.Session, Client: e.Client, Server: e.Server, Reason: e.Reason,
		OutsideClient: e.Outside.Client, OutsideServer: e.Outside.Server, OpenedAt: e.OpenedAt,
	}
	if p := e.Pinhole; p.Dest.IsValid() {
		j.Mode, j.Source, j.SourcePort = p.Mode.String(), p.Source, new(Ports(p.SourcePorts))
		j.Address, j.Port = p.Dest.Addr(), p.Dest.Port()
		j.OutsideAddress, j.OutsidePort, j.OutsideSource = p.At.Addr(), p.At.Port(), p.As
	}
	if e.Kind == alg.PinholeClosed {
		j.Used = new(e.Used)
		if !e.OpenedAt.IsZero() {
			j.Lifetime = e.Open.String()
		}
		j.Packets, j.Bytes = e.Counters.Packets, e.Counters.Bytes
	}
	if e.Err != nil {
		j.Error = e.Err.Error()
	}
	return j
}
