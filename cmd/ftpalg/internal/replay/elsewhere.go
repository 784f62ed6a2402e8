package replay

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// elsewhere finds FTP on ports that are not among the configured ones: a connection in
// which one end greets with 220 and the other logs in, each with the first that is
// heard of it. SMTP has the same greeting, but begins with another command.
type elsewhere struct {
	half  map[ends]half
	ports map[uint16]int // connections by the port of their server
}

// half is a connection in which one end has spoken like FTP.
type half struct {
	by      netip.AddrPort
	greeted bool // as a server does; else it was a client's command
	found   bool // the other end has too
}

func newElsewhere() *elsewhere {
	return &elsewhere{half: make(map[ends]half), ports: make(map[uint16]int)}
}

// segment hears a segment of a connection that is not followed.
func (e *elsewhere) segment(s *segment) {
	key := endsOf(s.src, s.dst)
	if s.has(syn | fin | rst) {
		delete(e.half, key)
		return
	}
	if len(s.text) == 0 {
		return
	}
	greets, logsIn := isGreeting(s.text), isLogin(s.text)
	h, known := e.half[key]
	switch {
	case !known && (greets || logsIn):
		e.half[key] = half{by: s.src, greeted: greets}
	case !known || h.found || h.by == s.src:
	case h.greeted && logsIn:
		e.found(key, h, h.by)
	case !h.greeted && greets:
		e.found(key, h, s.src)
	default:
		delete(e.half, key)
	}
}

func (e *elsewhere) found(key ends, h half, server netip.AddrPort) {
	e.ports[server.Port()]++
	h.found = true
	e.half[key] = h
}

// isGreeting reports whether a server may begin a dialogue like this.
func isGreeting(text []byte) bool {
	return bytes.HasPrefix(text, []byte("220 ")) || bytes.HasPrefix(text, []byte("220-"))
}

// isLogin reports whether a client may begin a dialogue like this.
func isLogin(text []byte) bool {
	if len(text) < 5 || !bytes.ContainsRune([]byte(" \r\n"), rune(text[4])) {
		return false
	}
	switch string(bytes.ToUpper(text[:4])) {
	case "USER", "PASS", "AUTH", "FEAT":
		return true
	}
	return false
}

// mostPorts bounds what is said of ports.
const mostPorts = 8

// warnings says which ports to configure, the busiest first.
func (e *elsewhere) warnings() []string {
	type port struct {
		number uint16
		n      int
	}
	var all []port
	for number, n := range e.ports {
		all = append(all, port{number, n})
	}
	slices.SortFunc(all, func(a, b port) int { return cmp.Or(b.n-a.n, cmp.Compare(a.number, b.number)) })
	var said []string
	for _, p := range all[:min(len(all), mostPorts)] {
		said = append(said, fmt.Sprintf("FTP on port %d, which was not read: %s; add the port to [control] ports", p.number, counted(p.n, "connection")))
	}
	if more := len(all) - mostPorts; more > 0 {
		said = append(said, fmt.Sprintf("FTP on further ports, which was not read: %d", more))
	}
	return said
}

// counted is "1 connection" or "2 connections".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
