package conntrack

import (
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// control returns the entry of a control connection. ok is false where there is none.
//
// A control connection is named as filter chains see it: behind a source NAT and before
// a destination NAT are undone and done, from the client's own address to the server's
// own. So the client is the source of the entry's original tuple, and the server that of
// its reply tuple; either tuple is known whole where only the other end is translated.
//
// Where both ends are translated neither is, but for where clients of that server were
// seen to connect to.
func (c *Conn) control(f alg.Flow) (found conntrack.Flow, ok bool, err error) {
	if found, ok, err = c.known(f); ok || err != nil {
		return found, ok, err
	}
	for _, at := range c.dialled.of(f.Server) {
		switch entry, there, err := c.direction(f.Client, at); {
		case err != nil:
			return conntrack.Flow{}, false, err
		case !there || seen(entry) != f:
		case ok: // a second one: which is meant?
			return conntrack.Flow{}, false, nil
		default:
			found, ok = entry, true
		}
	}
	return found, ok, nil
}

// dialled remembers where clients of a server connect to that are translated themselves,
// by the server's own end. It is bounded, and what is forgotten can be found again.
type dialled struct {
	mu  sync.Mutex
	all map[netip.AddrPort][]netip.AddrPort
}

const (
	maxServers = 1024
	maxDialled = 16 // of a server
)

func (d *dialled) of(server netip.AddrPort) []netip.AddrPort {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all[server])
}

// note remembers an entry of which both ends are translated.
func (d *dialled) note(entry conntrack.Flow) {
	t, f := translation(entry), seen(entry)
	if t.Client == f.Client || t.Server == f.Server {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil || len(d.all) >= maxServers && d.all[f.Server] == nil {
		d.all = make(map[netip.AddrPort][]netip.AddrPort)
	}
	at := d.all[f.Server]
	if slices.Contains(at, t.Server) {
		return
	}
	if len(at) == maxDialled {
		at = at[1:]
	}
	d.all[f.Server] = append(at, t.Server)
}

// known returns the entry of a control connection of which one end is not translated.
func (c *Conn) known(f alg.Flow) (conntrack.Flow, bool, error) {
	for _, d := range [][2]netip.AddrPort{{f.Client, f.Server}, {f.Server, f.Client}} {
		entry, ok, err := c.direction(d[0], d[1])
		if err != nil {
			return conntrack.Flow{}, false, err
		}
		// A tuple finds other entries too: one from the server's port to the client's,
		// or one that a destination NAT took from this server to another.
		if ok && seen(entry) == f {
			return entry, true, nil
		}
	}
	return conntrack.Flow{}, false, nil
}

// search returns the entry of a control connection, whatever is translated, and remembers
// where the client connects to. ok is false where there is none, or more than one: which
// of them is meant nobody can tell. The kernel goes through the whole table.
func (c *Conn) search(f alg.Flow) (found conntrack.Flow, ok bool, err error) {
	entries, err := c.list(f)
	if err != nil {
		return conntrack.Flow{}, false, err
	}
	for _, e := range entries {
		switch {
		// The kernel may have told others too: see list.
		case e.TupleOrig.Proto.Protocol != unix.IPPROTO_TCP || seen(e) != f:
		// An entry that moves while it is listed comes twice.
		case ok && (e.ID != found.ID || e.TupleOrig != found.TupleOrig || e.Zone != found.Zone):
			return conntrack.Flow{}, false, nil
		default:
			found, ok = e, true
		}
	}
	// What is in a zone is not found by its tuple alone.
	if found.Zone != 0 || found.TupleOrig.Zone != 0 || found.TupleReply.Zone != 0 {
		return conntrack.Flow{}, false, nil
	}
	if ok {
		c.dialled.note(found)
	}
	return found, ok, nil
}

// list lists the entries from the client's end whose replies come from the server's, and
// maybe others: the kernel picks them from Linux 5.8 on; before that it does not know
// CTA_FILTER, and lists the family's.
func (c *Conn) list(f alg.Flow) ([]conntrack.Flow, error) {
	fields := uint32(fieldProtocol | fieldSourcePort)
	// Of IPv6 addresses the kernel takes those that differ (ctnetlink_filter_match_tuple
	// has the sense of ipv6_addr_cmp the wrong way round).
	if f.Client.Addr().Is4() {
		fields |= fieldSource
	}
	entries, err := c.dump(f.Client.Addr(),
		tuple(ctaTupleOrig, f.Client, f.Client), tuple(ctaTupleReply, f.Server, f.Server), filter(fields))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return c.dump(f.Client.Addr())
	}
	return entries, err
}

func (c *Conn) dump(of netip.Addr, attrs ...netfilter.Attribute) ([]conntrack.Flow, error) {
	m, err := message(msgGet, netlink.Dump, of, attrs...)
	if err != nil {
		return nil, err
	}
	answers, err := c.raw.exchange(m)
	if err != nil {
		return nil, err
	}
	return answers[0].flows, answers[0].err
}

// seen returns the control connection of an entry as filter chains see it.
func seen(entry conntrack.Flow) alg.Flow {
	return alg.Flow{Client: source(entry.TupleOrig), Server: source(entry.TupleReply)}
}

func source(t conntrack.Tuple) netip.AddrPort {
	return netip.AddrPortFrom(t.IP.SourceAddress, t.Proto.SourcePort)
}

func destination(t conntrack.Tuple) netip.AddrPort {
	return netip.AddrPortFrom(t.IP.DestinationAddress, t.Proto.DestinationPort)
}
