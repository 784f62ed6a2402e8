// Package attack measures what each firewall of the lab lets through: the services that
// should work, and what an attacker outside can reach.
package attack

// Matrix is what was measured. Nothing in it is written down beforehand.
type Matrix struct {
	Firewalls []Firewall `json:"firewalls"` // the columns
	Rows      []Row      `json:"rows"`
	Notes     []string   `json:"notes,omitempty"` // why a firewall was left out
}

// Firewall is one column.
type Firewall struct {
	Name  string `json:"name"`  // "open", "stateless", "stateful", "ftpalg", "helper"
	Title string `json:"title"` // for people
	About string `json:"about"`
	// What the scans and the holes left open come to: for a third host outside, and for
	// the server that the client talks to, which announcements admit.
	Exposure Exposure `json:"exposure"`
	ToServer Exposure `json:"exposure_to_server"`
}

// Exposure is how much of the client somebody outside can reach, and for how long.
type Exposure struct {
	Ports       int     `json:"ports"`        // TCP ports of the client that his probe from port 20 gets through to
	Seconds     float64 `json:"seconds"`      // for which they stay reachable in an hour with one transfer, and one PORT that the server refuses
	PortSeconds float64 `json:"port_seconds"` // the product
}

// Row is one service or one attack.
type Row struct {
	Name   string `json:"name"`
	Attack bool   `json:"attack"` // else a service
	About  string `json:"about"`
	Cells  []Cell `json:"cells"` // one per firewall, in their order
}

// Cell is one measurement.
type Cell struct {
	Result Result `json:"result"`
	Detail string `json:"detail"` // what was tried and what came of it, in a few words
}

// Result is the outcome of a measurement.
type Result string

// The outcomes: a service works or is blocked, an attacker is blocked or has reached what
// he was after.
const (
	Works   Result = "works"
	Blocked Result = "blocked"
	Reached Result = "reached"
)

// Good reports whether the outcome is the one to wish for.
func (r Row) Good(c Cell) bool {
	if r.Attack {
		return c.Result == Blocked
	}
	return c.Result == Works
}
