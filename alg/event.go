package alg

import (
	"net/netip"
	"time"
)

// Kind names what happened. The names are part of the contract of `ftpalg events`.
type Kind string

// The kinds of event.
const (
	SessionStart     Kind = "session.start"
	SessionEnd       Kind = "session.end"
	PinholeAnnounced Kind = "pinhole.announced"
	PinholeOpen      Kind = "pinhole.open"
	PinholeUsed      Kind = "pinhole.used"
	PinholeClosed    Kind = "pinhole.closed"
	PinholeRefused   Kind = "pinhole.refused"
	PinholeMissed    Kind = "pinhole.missed"      // a connection that nearly had a pinhole
	PassiveOff       Kind = "session.passive_off" // 227 and 229 are not believed any more
	FTPSAdmitted     Kind = "ftps.admitted"       // a connection under TLS to a port that the operator named
	FTPSRefused      Kind = "ftps.refused"
	Violation        Kind = "violation"
	AuthTLS          Kind = "auth.tls"
	NotFTP           Kind = "session.not_ftp"
	Overload         Kind = "overload"
	Failure          Kind = "failure"
)

// Event is one thing that happened, as a value: formatting it is its reader's work.
type Event struct {
	Time    time.Time
	Kind    Kind
	Session uint64 // 0: no session
	Client  netip.AddrPort
	Server  netip.AddrPort
	Outside Translation // how the ends see each other; zero: by their own addresses, as far as is known
	Reason  string      // why, in plain words; a constant text wherever the network has a say

	Pinhole  Pinhole        // of the pinhole events; the zero value otherwise
	OpenedAt time.Time      // of PinholeUsed and PinholeClosed; zero: it never opened
	Open     time.Duration  // how long the packet filter admitted the connection
	Missed   netip.AddrPort // of PinholeMissed: where the connection came from
	Used     bool           // of PinholeClosed: a connection came through
	Counters Counters       // of PinholeClosed: for those who ask the kernel before they pass it on
	Err      error          // of Failure
}

// Sink takes events in the order in which they happen. It is called on the packet
// path and must not block.
type Sink func(Event)
