package nft

import (
	"fmt"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

// The sets; all but the first with the suffix of a family, and active and ftps ones with
// a range of ports in their name.
const (
	setPorts     = "ports"
	setActive    = "active"    // server . its port . client . port
	setPassive   = "passive"   // client . server . port
	setTransfers = "transfers" // source . destination . port, of a pinhole that is open or whose transfer lives
	setAdmitted  = "admitted"  // source . its port . destination . port . sequence number of the SYN
	setReleased  = "released"  // client . its port . server . port
	setWatched   = "watched"   // client . its port . server . port, of which acknowledgements are diverted too
	setServers   = "servers"   // servers with a control connection
	setMissed    = "missed"    // servers whose near misses were told, with how often
	setFTPS      = "ftps"      // client . server, after AUTH
	setCounted   = "counted"   // clients, with their connections that were admitted so
	setFull      = "full"      // clients that were told to have too many, with how often

	// Of pinholes that are addressed to another address, or come from another.
	mapDNAT       = "dnat"       // source . destination . port, as announced : those of the end that listens
	mapSNAT       = "snat"       // source . destination . port, of the ends : the address that it comes from
	setOutside    = "outside"    // source . destination . port, as announced
	setTranslated = "translated" // source . destination . port, of the ends; longer than the map has it
)

// How long elements stay that bring no time-out of their own.
const (
	releasedFor = time.Hour        // without a packet of the control connection
	serverFor   = time.Hour        // without a reply of the server
	admittedFor = 30 * time.Second // the kernel repeats a SYN after 1, 3, 7 and 15 s
	toldFor     = time.Minute      // without anything to tell
	lingersFor  = 2 * time.Second  // what a packet may need from prerouting to our chain
)

// set is a set of elements, most of them timed.
type set struct {
	name    string
	key     key
	value   func(family) key // of a map: the fields that it has
	data    key              // the same, of one family
	timeout time.Duration    // of elements that bring none
	untimed bool             // an element is there while its connections are
	admits  bool             // an element lets packets in
	both    bool             // it is for active and for passive mode, which have sets of their own else
}

// size returns the most elements of the set.
func (s set) size(cfg Config) uint32 {
	if s.both {
		return 2 * cfg.setSize()
	}
	return cfg.setSize()
}

// rangeSet is a set for the source or destination ports of one range.
type rangeSet struct {
	ports alg.Ports
	name  string
}

// newRangeSets returns the sets for the ranges: active, active1to1023_ and activeany.
// With exact one set serves all ranges of a single port, as its key has the port.
func newRangeSets(name string, ranges []alg.Ports, exact bool) []rangeSet {
	var sets []rangeSet
	ranges = slices.Clone(ranges)
	// Single ports, ranges, every port: a connection uses up what fits it best.
	slices.SortFunc(ranges, func(a, b alg.Ports) int {
		if d := width(a) - width(b); d != 0 {
			return d
		}
		return int(a.First) - int(b.First)
	})
	for _, r := range slices.Compact(ranges) {
		s := rangeSet{ports: r}
		switch _, single := r.Single(); {
		case single && exact:
			s.name = name
		case r.Any():
			s.name = name + "any"
		case single:
			s.name = fmt.Sprintf("%s%d_", name, r.First)
		default:
			s.name = fmt.Sprintf("%s%dto%d_", name, r.First, r.Last)
		}
		sets = append(sets, s)
	}
	return sets
}

// width is the number of ports in a range.
func width(r alg.Ports) int {
	if r.Any() {
		return 1 << 16
	}
	return int(r.Last) - int(r.First) + 1
}

// activeSets returns the sets of active pinholes, by source ports.
func activeSets(cfg Config) []rangeSet { return newRangeSets(setActive, cfg.SourcePorts, true) }

// ftpsSets returns the sets of what is admitted under TLS, by the server's ports.
func ftpsSets(cfg Config) []rangeSet { return newRangeSets(setFTPS, cfg.FTPS, false) }

// distinct returns each set once.
func distinct(sets []rangeSet) []rangeSet {
	return slices.CompactFunc(sets, func(a, b rangeSet) bool { return a.name == b.name })
}

// keyOf returns the key of an active pinhole's set: only where the port is known it is
// part of it.
func (s rangeSet) keyOf(f family) key {
	if s.name == setActive {
		return f.ends()
	}
	return f.anyPort()
}

// ofFamilies returns the set, or map, of each family.
func (s set) ofFamilies(k func(family) key) []set {
	var sets []set
	for _, f := range families {
		of := s
		of.name, of.key = s.name+f.suffix, k(f)
		if s.value != nil {
			of.data = s.value(f)
		}
		sets = append(sets, of)
	}
	return sets
}

// newReleased returns the sets of released connections, which both tables have.
func newReleased() []set { return set{name: setReleased, timeout: releasedFor}.ofFamilies(family.ends) }

// newSets returns the sets that the configuration needs.
func newSets(cfg Config, caps Caps) []set {
	var sets []set
	add := func(s set, k func(family) key) { sets = append(sets, s.ofFamilies(k)...) }
	for _, s := range distinct(activeSets(cfg)) {
		add(set{name: s.name, admits: true}, s.keyOf)
	}
	add(set{name: setPassive, admits: true}, family.anyPort)
	add(set{name: setTransfers, admits: true, both: true}, family.anyPort)
	add(set{name: setAdmitted, timeout: admittedFor, admits: true}, family.segment)
	for _, s := range ftpsSets(cfg) {
		add(set{name: s.name, admits: true}, family.hosts)
	}
	if len(cfg.FTPS) > 0 {
		// The kernel counts connections only in elements that no time ends
		// (nft_set_elem_expr_alloc); it takes away what has none.
		add(set{name: setCounted, untimed: true}, family.customer)
		if caps.Log {
			add(set{name: setFull, timeout: toldFor}, family.customer)
		}
	}
	sets = append(sets, newReleased()...)
	if cfg.Translates(caps) {
		add(set{name: mapDNAT, admits: true, both: true, value: family.dest}, family.anyPort)
		add(set{name: mapSNAT, admits: true, both: true, value: family.source}, family.anyPort)
		add(set{name: setOutside, admits: true, both: true}, family.anyPort)
		add(set{name: setTranslated, both: true}, family.anyPort)
	}
	if caps.InnerHeader { // otherwise all acknowledgements are diverted
		add(set{name: setWatched}, family.ends)
	}
	if caps.Log {
		add(set{name: setServers, timeout: serverFor}, family.source)
		add(set{name: setMissed, timeout: toldFor}, family.source)
	}
	return sets
}
