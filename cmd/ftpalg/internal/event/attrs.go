package event

import "log/slog"

// Attrs returns the event's parts as attributes of a log record, under the names of the
// JSON. The time is the record's own.
func (j *JSON) Attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("event", string(j.Event))}
	add := func(known bool, name string, value any) {
		if known {
			attrs = append(attrs, slog.Any(name, value))
		}
	}
	pinhole := j.Address.IsValid()
	add(j.Session != 0, "session", j.Session)
	add(j.Client.IsValid(), "client", j.Client)
	add(j.Server.IsValid(), "server", j.Server)
	add(j.OutsideClient.IsValid(), "outside_client", j.OutsideClient)
	add(j.OutsideServer.IsValid(), "outside_server", j.OutsideServer)
	add(j.Reason != "", "reason", j.Reason)
	if pinhole {
		add(true, "mode", j.Mode)
		add(true, "source", j.Source)
		add(true, "source_port", *j.SourcePort)
		add(true, "address", j.Address)
		add(true, "port", j.Port)
		add(j.OutsideAddress.IsValid(), "outside_address", j.OutsideAddress)
		add(j.OutsidePort != 0, "outside_port", j.OutsidePort)
		add(j.OutsideSource.IsValid(), "outside_source", j.OutsideSource)
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
