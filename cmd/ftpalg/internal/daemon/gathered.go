package daemon

import (
	"fmt"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg"
)

// gathered is what waits to be logged.
type gathered struct {
	events []alg.Event
	shares map[netip.Addr]share // by client, of those that have any
	losers []alg.Event          // of each of them the first event that it had no room for
}

// share is what one client has of what waits.
type share struct {
	n    int
	lost int // that it had no room for
}

func newGathered() *gathered { return &gathered{shares: make(map[netip.Addr]share)} }

// empty leaves the memory for what comes next.
func (g *gathered) empty() {
	clear(g.events)
	clear(g.losers)
	clear(g.shares)
	g.events, g.losers = g.events[:0], g.losers[:0]
}

// left returns what is to be told of the clients that had no room.
func (g *gathered) left() (told []alg.Event) {
	for _, ev := range g.losers {
		told = append(told, alg.Event{
			Time: ev.Time, Kind: alg.Overload, Client: ev.Client, Server: ev.Server,
			Reason: fmt.Sprintf("%d events of this client were left out", g.shares[of(ev)].lost),
		})
	}
	return told
}

// of returns whose share an event counts for: an IPv6 client is a network of 64 bits.
func of(ev alg.Event) netip.Addr {
	a := ev.Client.Addr()
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}

// atWill reports whether an event is one that a client can make happen as often as it likes.
func atWill(k alg.Kind) bool {
	switch k {
	case alg.PinholeAnnounced, alg.PinholeOpen, alg.PinholeUsed, alg.PinholeClosed, alg.PinholeRefused, alg.PinholeMissed, alg.FTPSAdmitted, alg.FTPSRefused:
		return true
	}
	return false
}
