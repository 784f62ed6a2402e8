package alg

import (
	"encoding"
	"fmt"
	"net/netip"
	"time"
)

// Mode says which end of the dialogue waits for the data connection.
type Mode uint8

const (
	// Active: the client listens, the server connects (PORT, EPRT).
	Active Mode = iota
	// Passive: the server listens, the client connects (PASV, EPSV).
	Passive
)

var (
	_ encoding.TextMarshaler   = Mode(0)
	_ encoding.TextUnmarshaler = (*Mode)(nil)
)

// String returns the mode as configuration and events spell it.
func (m Mode) String() string {
	if m == Active {
		return "active"
	}
	return "passive"
}

// MarshalText writes the mode as configuration and events spell it. It never fails.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads "active" or "passive" and refuses everything else.
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "active":
		*m = Active
	case "passive":
		*m = Passive
	default:
		return fmt.Errorf("%q is neither \"active\" nor \"passive\"", text)
	}
	return nil
}

// Pinhole admits one TCP data connection, once. It is a plain, comparable value
// and its own identity. Both addresses are of one family and never IPv4-mapped.
type Pinhole struct {
	Mode       Mode
	Source     netip.Addr     // who connects: the server (active) or the client (passive)
	SourcePort uint16         // of the connecting end; 0 admits any
	Dest       netip.AddrPort // who listens, as announced
}

// Client returns the address of the FTP client.
func (p Pinhole) Client() netip.Addr {
	if p.Mode == Active {
		return p.Dest.Addr()
	}
	return p.Source
}

// Server returns the address of the FTP server.
func (p Pinhole) Server() netip.Addr {
	if p.Mode == Active {
		return p.Source
	}
	return p.Dest.Addr()
}

// OpKind says what an Op asks of the kernel.
type OpKind uint8

const (
	// OpOpen puts a pinhole in place, with a fresh time-out if it was there.
	OpOpen OpKind = iota
	// OpClose takes a pinhole away. One that is gone already is no error.
	OpClose
	// OpRelease stops diverting the packets of a control connection. A new connection
	// between the same ends is diverted again.
	OpRelease
)

// Op is one change to the objects in the kernel.
type Op struct {
	Kind    OpKind
	Pinhole Pinhole       // of OpOpen and OpClose
	Timeout time.Duration // of OpOpen: how long an unused pinhole stays
	Flow    Flow          // of OpRelease
}

// Flow names a control connection.
type Flow struct {
	Client, Server netip.AddrPort
}

// Pinholes is what a Worker asks of the packet filter. Implementations are safe
// for concurrent use by several workers.
type Pinholes interface {
	// Commit makes all changes in one transaction, in order, and returns after
	// the kernel has acknowledged it. After an error none of them is in force.
	Commit(ops []Op) error
	// Unused reports whether the pinhole is still in place: committed, not yet
	// used by a connection, and not expired.
	Unused(p Pinhole) (bool, error)
}

// Counters is the traffic of a data connection, both directions together.
type Counters struct {
	Packets, Bytes uint64
}

// Flows is what a Worker asks of connection tracking. Implementations are safe
// for concurrent use by several workers.
type Flows interface {
	// Counters returns what has passed through the data connection that used
	// the pinhole. ok is false where the kernel does not know: accounting is
	// off, the flow is gone, or its source port is not known.
	Counters(p Pinhole) (c Counters, ok bool, err error)
}
