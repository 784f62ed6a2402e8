package alg

import (
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// Mode says which end of the dialogue waits for the data connection.
type Mode = dialogue.Mode

// The two modes: the server connects (PORT, EPRT), or the client does (PASV, EPSV).
const (
	Active  = dialogue.Active
	Passive = dialogue.Passive
)

// Ports is a range of TCP ports; the zero value is every port.
type Ports = dialogue.Ports

// Pinhole admits one TCP data connection, once. It is a plain, comparable value
// and its own identity. Both addresses are of one family and never IPv4-mapped.
type Pinhole struct {
	Mode        Mode
	Source      netip.Addr     // who connects: the server (active) or the client (passive)
	SourcePorts Ports          // of the connecting end
	Dest        netip.AddrPort // who listens

	// Of a connection that is translated, as its control connection is; zero otherwise.
	At netip.AddrPort // where it is addressed to, as announced, in place of Dest
	As netip.Addr     // the address that it comes from for the end that listens, in place of Source
}

// untranslated returns the pinhole as the dialogue announced it.
func (p Pinhole) untranslated() Pinhole {
	p.At, p.As = netip.AddrPort{}, netip.Addr{}
	return p
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
	// OpWatch diverts the pure acknowledgements of a control connection too, for as long
	// as Timeout.
	OpWatch
	// OpAdmit admits every connection of a Range, for as long as Timeout, anew if it
	// was admitted already. Each is told by the packet filter's log.
	OpAdmit
	// OpRevoke admits no further connection of a Range. One that is gone already is no error.
	OpRevoke
)

// Op is one change to the objects in the kernel.
type Op struct {
	Kind    OpKind
	Pinhole Pinhole       // of OpOpen and OpClose
	Timeout time.Duration // of OpOpen, OpAdmit and OpWatch: how long it stays without another of the kind; of OpClose: at most
	Flow    Flow          // of OpRelease and OpWatch
	Range   Range         // of OpAdmit and OpRevoke
}

// Range names connections of a client to ports of a server, in passive mode and under
// TLS, where the one that is announced cannot be read.
type Range struct {
	Client, Server netip.Addr
	Ports          Ports
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
	// ID returns the number that connection tracking gave the control connection. Another
	// number is another connection; the same may be another one too, as the kernel makes it
	// of the place of its entry (nf_ct_get_id). ok is false where there is none.
	ID(f Flow) (id uint32, ok bool, err error)
	// Vouch puts the label of control connections that may be taken up again on the
	// flow, or takes it away, and returns when that is in force. A flow that is gone
	// is no error where the label is taken away.
	Vouch(f Flow, on bool) error
}
