package event

import (
	"log/slog"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg"
)

// Name is the attribute that says which event it is.
const Name = "event"

// Attrs returns the event's parts as attributes of a log record, under the names of the
// JSON. The time is the record's own.
func (j *JSON) Attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs, slog.String(Name, string(j.Event)))
	add := func(known bool, name string, value any) {
		if known {
			attrs = append(attrs, slog.Any(name, value))
		}
	}
	// Addresses as text: a handler would ask package encoding/json what they are, which
	// takes longer than all the rest.
	add(j.Session != 0, "session", j.Session)
	for _, end := range []struct {
		name string
		at   netip.AddrPort
	}{{"client", j.Client}, {"server", j.Server}, {"outside_client", j.OutsideClient}, {"outside_server", j.OutsideServer}} {
		if end.at.IsValid() {
			add(true, end.name, end.at.String())
		}
	}
	add(j.Reason != "", "reason", j.Reason)
	if j.Address.IsValid() {
		add(true, "mode", j.Mode)
		add(true, "source", j.Source.String())
		if port, one := alg.Ports(*j.SourcePort).Single(); one {
			add(true, "source_port", port)
		} else {
			add(true, "source_port", *j.SourcePort)
		}
		add(true, "address", j.Address.String())
		add(true, "port", j.Port)
		if j.OutsideAddress.IsValid() {
			add(true, "outside_address", j.OutsideAddress.String())
			add(true, "outside_port", j.OutsidePort)
		}
		if j.OutsideSource.IsValid() {
			add(true, "outside_source", j.OutsideSource.String())
		}
	}
	add(!j.OpenedAt.IsZero(), "opened_at", j.OpenedAt)
	if j.Used != nil {
		add(true, "used", *j.Used)
	}
	add(j.Lifetime != "", "lifetime", j.Lifetime)
	add(j.Packets > 0, "packets", j.Packets)
	add(j.Packets > 0, "bytes", j.Bytes)
	add(j.Error != "", "error", j.Error)
	return attrs
}
