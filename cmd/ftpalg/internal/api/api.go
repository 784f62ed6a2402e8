// Package api is the control socket: what `ftpalg status`, `sessions`, `pinholes` and
// `events` ask the running daemon. It speaks HTTP over a unix socket, one path a
// question, JSON in the answers.
package api

import (
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// The paths of the questions.
const (
	pathStatus   = "/status"
	pathSessions = "/sessions"
	pathPinholes = "/pinholes"
	pathEvents   = "/events" // an answer that goes on, one object a line
)

// Status is how the daemon is doing.
type Status struct {
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Queues    []Queue   `json:"queues"`
	Sessions  uint64    `json:"sessions"`
	Pinholes  uint64    `json:"pinholes"` // open and not yet used

	// What was counted since the start, also where it was not told.
	Transfers uint64 `json:"transfers"` // pinholes that were used
	Refused   uint64 `json:"refused"`   // announcements
	Missed    uint64 `json:"missed"`    // data connections that nearly had a pinhole
}

// Queue is what one queue and its worker have counted since the start.
type Queue struct {
	Number  uint16    `json:"number"`
	Worker  alg.Stats `json:"worker"`
	Waiting uint32    `json:"waiting"` // packets without a verdict, as the kernel counts them
	Dropped uint64    `json:"dropped"` // packets that it had no room for; what passes unread then it does not count
}

// Session is one control connection.
type Session struct {
	Session uint64         `json:"session"`
	Client  netip.AddrPort `json:"client"`
	Server  netip.AddrPort `json:"server"`
	// Where addresses are translated: the client as the server sees it, and the server as
	// the client does.
	OutsideClient netip.AddrPort `json:"outside_client,omitzero"`
	OutsideServer netip.AddrPort `json:"outside_server,omitzero"`

	State string `json:"state"`
	Login bool   `json:"login"`
}

// Pinhole is the last announcement of a session.
type Pinhole struct {
	State      string         `json:"state"`
	Mode       string         `json:"mode"`
	Client     netip.AddrPort `json:"client"`
	Server     netip.AddrPort `json:"server"`
	SourcePort event.Ports    `json:"source_port"`
	Address    netip.Addr     `json:"address"`
	Port       uint16         `json:"port"`
	// Where the connection is translated: where it is addressed to, and the source that its
	// listener sees.
	OutsideAddress netip.Addr `json:"outside_address,omitzero"`
	OutsidePort    uint16     `json:"outside_port,omitempty"`
	OutsideSource  netip.Addr `json:"outside_source,omitzero"`
	OpenedAt       time.Time  `json:"opened_at,omitzero"` // absent: it never opened
	Session        uint64     `json:"session"`
}

// NewSession returns a session in the form of the socket.
func NewSession(s alg.SessionInfo) Session {
	return Session{
		Session: s.ID, Client: s.Client, Server: s.Server,
		OutsideClient: s.Outside.Client, OutsideServer: s.Outside.Server, State: s.State, Login: s.Login,
	}
}

// NewPinhole returns a pinhole in the form of the socket.
func NewPinhole(p alg.PinholeInfo) Pinhole {
	return Pinhole{
		State: p.State, Mode: p.Pinhole.Mode.String(), Client: p.Client, Server: p.Server,
		SourcePort: event.Ports(p.Pinhole.SourcePorts), Address: p.Pinhole.Dest.Addr(), Port: p.Pinhole.Dest.Port(),
		OutsideAddress: p.Pinhole.At.Addr(), OutsidePort: p.Pinhole.At.Port(), OutsideSource: p.Pinhole.As,
		OpenedAt: p.OpenedAt, Session: p.Session,
	}
}

// Source is what the daemon answers from. It is safe for concurrent use.
type Source interface {
	Status() Status
	// Snapshot returns all sessions and pinholes as of now, in no order.
	Snapshot() ([]Session, []Pinhole)
	// Subscribe returns the events from now on, until cancel is called or the daemon
	// ends, which closes the channel. A reader that is too slow misses some.
	Subscribe() (events <-chan event.JSON, cancel func())
}
