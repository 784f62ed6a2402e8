package alg

import (
	"net/netip"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// Translation is how connection tracking translates a control connection, whose packets
// the filter chains see with both ends' own addresses. An end that is not translated is
// seen by the other under its own address.
type Translation struct {
	Client netip.AddrPort // the client, as the server sees it
	Server netip.AddrPort // the server, as the client sees it
}

// Adjustment has the kernel correct the sequence numbers of one direction from a line on
// whose length was changed, and the acknowledgements of the other direction with them. It
// stays with the flow, whoever dies (struct nf_ct_seqadj).
type Adjustment = tcp.Adjustment

// Side is an end of a connection, and the direction of what it sends.
type Side = tcp.Side

// The sides of a control connection.
const (
	FromClient = tcp.Client // who sent the SYN
	FromServer = tcp.Server
)

// Translations is what a Worker asks of connection tracking where addresses are
// translated. Implementations are safe for concurrent use by several workers.
type Translations interface {
	// Prepare returns how a control connection is translated, and the adjustments that
	// its directions have, by the side that sends. Where it is to be adjustable it sees to
	// it that the kernel can adjust one that is translated, which may replace the flow's
	// entry by an equal one, with another ID. ok is false where connection tracking does not
	// know the connection, and with an error also where the connection is broken; with an
	// error and ok it is whole, and cannot be adjusted.
	Prepare(f Flow, adjustable bool) (t Translation, a [2]Adjustment, ok bool, err error)
	// Adjust sets the adjustment of what one side sends, of a connection that is prepared,
	// and returns when it is in force.
	Adjust(f Flow, t Translation, from Side, a Adjustment) error
	// Free reports whether connections from a source, of these ports, to an address that
	// stands for another can be told from all others: nobody on this host has a socket
	// there, and, where the ports are a single one, no tracked connection has these ends.
	Free(from netip.Addr, ports Ports, at netip.AddrPort) (bool, error)
}
