package nft

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// element is an element of one of our sets.
type element struct {
	table   string // empty: the main one
	set     string
	family  string   // its suffix
	key     [40]byte // two addresses and two padded ports at most
	keyLen  int
	data    [20]byte // of a map: an address and a padded port at most
	dataLen int
	once    bool // it matches one packet
	timeout time.Duration
}

// write writes a message about the element.
func (e *element) write(m *messages, typ, flags uint16, seq uint32) {
	message := m.begin(typ, flags, seq)
	m.str(unix.NFTA_SET_ELEM_LIST_TABLE, cmp.Or(e.table, tableName))
	m.str(unix.NFTA_SET_ELEM_LIST_SET, e.set, e.family)
	list := m.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	elem := m.nest(unix.NFTA_LIST_ELEM)
	k := m.nest(unix.NFTA_SET_ELEM_KEY)
	m.bytes(unix.NFTA_DATA_VALUE, e.key[:e.keyLen])
	m.close(k)
	if typ == unix.NFT_MSG_NEWSETELEM {
		if e.dataLen > 0 {
			d := m.nest(unix.NFTA_SET_ELEM_DATA)
			m.bytes(unix.NFTA_DATA_VALUE, e.data[:e.dataLen])
			m.close(d)
		}
		if e.timeout != 0 {
			m.uint64(unix.NFTA_SET_ELEM_TIMEOUT, uint64(e.timeout.Milliseconds()))
		}
		if e.once {
			x := m.nest(unix.NFTA_SET_ELEM_EXPR)
			m.buf = append(m.buf, onePacket...)
			m.close(x)
		}
	}
	m.close(elem)
	m.close(list)
	m.end(message)
}

// onePacket is the marshalled limit statement of a pinhole's element.
//
// The rule that finds an element also deletes it, but `delete` does not say whether it
// was the one to do so (nft_dynset_eval): of two SYNs that look at the same moment, on
// two CPUs, both would pass. A limit is evaluated under a lock, so one of them does.
var onePacket = mustMarshal(oneSYN.exprs[0])

func mustMarshal(e expr.Any) []byte {
	b, err := expr.Marshal(unix.NFPROTO_INET, e)
	if err != nil {
		panic(err)
	}
	return b
}

// pinhole names the pinhole's element. The error is EINVAL where there is no set for it.
func (e *element) pinhole(p alg.Pinhole, active []rangeSet) error {
	e.once = true
	if p.Mode == alg.Passive {
		if !p.SourcePorts.Any() {
			return fmt.Errorf("source port %v in passive mode: %w", p.SourcePorts, unix.EINVAL)
		}
		return e.name(setPassive, p.Source, 0, p.Dest)
	}
	for _, s := range active {
		if s.ports == p.SourcePorts {
			port := uint16(0)
			if s.name == setActive {
				port = p.SourcePorts.First
			}
			return e.name(s.name, p.Source, port, p.Dest)
		}
	}
	return fmt.Errorf("source port %v is none that the table was made for: %w", p.SourcePorts, unix.EINVAL)
}

// transfer names the element that says that the pinhole's transfer lives.
func (e *element) transfer(p alg.Pinhole) error { return e.name(setTransfers, p.Source, 0, p.Dest) }

// admitted names the element of what is admitted under TLS.
func (e *element) admitted(r alg.Range, ftps []rangeSet) error {
	for _, s := range ftps {
		if s.ports == r.Ports {
			return e.name(s.name, r.Client, 0, netip.AddrPortFrom(r.Server, 0))
		}
	}
	return fmt.Errorf("port %v is none that the table was made for: %w", r.Ports, unix.EINVAL)
}

// flow names the element of a control connection.
func (e *element) flow(set string, f alg.Flow) error {
	return e.name(set, f.Client.Addr(), f.Client.Port(), f.Server)
}

// name sets the key: source and destination, each with its port unless that is 0.
func (e *element) name(set string, src netip.Addr, sport uint16, dst netip.AddrPort) error {
	e.set, e.family = set, "4"
	switch {
	case src.Is4() && dst.Addr().Is4():
	case src.Is6() && dst.Addr().Is6() && !src.Is4In6() && !dst.Addr().Is4In6():
		e.family = "6"
	default:
		return fmt.Errorf("addresses %v and %v are not of one family: %w", src, dst.Addr(), unix.EINVAL)
	}
	e.keyLen = putAddr(e.key[:], src)
	if sport != 0 {
		e.keyLen += putPort(e.key[e.keyLen:], sport)
	}
	e.keyLen += putAddr(e.key[e.keyLen:], dst.Addr())
	if dst.Port() != 0 {
		e.keyLen += putPort(e.key[e.keyLen:], dst.Port())
	}
	return nil
}

// holds sets what a map has: an address, with a port unless that is 0.
func (e *element) holds(a netip.AddrPort) {
	e.dataLen = putAddr(e.data[:], a.Addr())
	if a.Port() != 0 {
		e.dataLen += putPort(e.data[e.dataLen:], a.Port())
	}
}

func putAddr(b []byte, a netip.Addr) int {
	if a.Is4() {
		v4 := a.As4()
		return copy(b, v4[:])
	}
	v6 := a.As16()
	return copy(b, v6[:])
}

// putPort takes 32 bits, as every field of a concatenation.
func putPort(b []byte, p uint16) int {
	binary.BigEndian.PutUint16(b, p)
	return 4
}
