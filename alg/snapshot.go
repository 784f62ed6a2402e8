package alg

import (
	"net/netip"
	"time"
)

// SessionInfo is what is to be told of a session at one moment.
type SessionInfo struct {
	ID     uint64
	Client netip.AddrPort
	Server netip.AddrPort
	// Outside says how the ends see each other; zero: by their own addresses.
	Outside Translation
	State   string // "greeting", "dialogue", "encrypted", "unhelped" or "ended"
	Login   bool   // somebody is logged in, or is taken to be
}

// PinholeInfo is what is to be told of the last announcement of a session.
type PinholeInfo struct {
	State    string // "announced", "accepted", "open", "used" or "closed"
	Client   netip.AddrPort
	Server   netip.AddrPort
	Pinhole  Pinhole
	OpenedAt time.Time // zero: it never opened
	Session  uint64
}

// Snapshot returns all sessions, and the last announcement of each that had one, in no
// order.
func (w *Worker) Snapshot() ([]SessionInfo, []PinholeInfo) {
	sessions := make([]SessionInfo, 0, len(w.sessions))
	var pinholes []PinholeInfo
	for _, s := range w.sessions {
		sessions = append(sessions, SessionInfo{
			ID: s.id, Client: s.flow.Client, Server: s.flow.Server,
			Outside: s.outside(), State: s.state(), Login: s.talk.LoggedIn(),
		})
		if a := s.announced; a.known {
			pinholes = append(pinholes, PinholeInfo{
				State: s.stateOf(), Client: s.flow.Client, Server: s.flow.Server,
				Pinhole: a.pinhole, OpenedAt: a.openedAt, Session: s.id,
			})
		}
	}
	return sessions, pinholes
}
