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

// unlist takes a session off the list; the last one takes its place.
func (w *Worker) unlist(s *session) {
	end := len(w.listed) - 1
	last := w.listed[end]
	w.listed[s.at], last.at = last, s.at
	w.listed[end] = nil
	w.listed = w.listed[:end]
}

// End is where Part begins.
const End = 1 << 30

// Part returns some sessions, at most n of those before a place in a list, and the last
// announcement of each that had one; and where the next part ends, which is 0 where there is
// none. Called from End on until there is none, whatever happens in between, it returns
// each session that was there all the time once at least, and seldom twice.
func (w *Worker) Part(before, n int) (sessions []SessionInfo, pinholes []PinholeInfo, next int) {
	before = min(before, len(w.listed))
	next = max(before-n, 0)
	for _, s := range w.listed[next:before] {
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
	return sessions, pinholes, next
}

// Snapshot returns all sessions, and the last announcement of each that had one, in no
// order.
func (w *Worker) Snapshot() ([]SessionInfo, []PinholeInfo) {
	sessions, pinholes, _ := w.Part(End, len(w.listed))
	return sessions, pinholes
}
