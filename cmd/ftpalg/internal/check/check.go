// Package check looks at a machine and says what would keep ftpalg from working on it, or
// make it less safe, and how that is mended. It changes nothing.
package check

import (
	"fmt"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/nft"
)

// Finding is one thing that was found.
type Finding struct {
	ID      string   `json:"id"`             // for programs: it stays as it is
	Problem bool     `json:"problem"`        // else it is good to know, and nothing need be done
	Text    string   `json:"text"`           // for people
	Mend    []string `json:"mend,omitempty"` // lines for a shell or a file, as Text says
}

// Configuration is the ID of what the configuration asks for and does not get.
const Configuration = "configuration"

// Report is all that was found.
type Report struct {
	File     string    `json:"configuration"` // the file that was read; empty: none, so the defaults
	Kernel   []Feature `json:"kernel"`
	Findings []Finding `json:"findings"`
	// Blind says why not everything could be looked at.
	Blind string `json:"blind,omitempty"`
}

// Problems returns how many findings are problems.
func (r *Report) Problems() (n int) {
	for _, f := range r.Findings {
		if f.Problem {
			n++
		}
	}
	return n
}

func (r *Report) problem(id, text string, mend ...string) {
	r.Findings = append(r.Findings, Finding{ID: id, Problem: true, Text: text, Mend: mend})
}

func (r *Report) note(id, text string, mend ...string) {
	r.Findings = append(r.Findings, Finding{ID: id, Text: text, Mend: mend})
}

// blind remembers that something could not be looked at. The first reason is mostly that of
// the others.
func (r *Report) blind(err error) {
	if r.Blind == "" {
		r.Blind = err.Error()
	}
}

// Daemon is what is known of a daemon in the network namespace.
type Daemon struct {
	Running bool
	Caps    *nft.Caps // what the kernel can do, if that was asked already
}

// Look looks at the network namespace that the calling thread is in, which takes some
// milliseconds, and more where a ruleset has many thousands of rules. It needs
// CAP_NET_ADMIN: Report.Blind says where that is missing.
func Look(c *config.Config, d Daemon) *Report {
	r := &Report{File: c.File, Kernel: []Feature{}, Findings: []Finding{}}
	for _, w := range c.Warnings {
		r.note(Configuration, w)
	}
	r.kernel(c, d.Caps)
	r.tracking()
	r.cluster(c)
	if rs, err := readRuleset(); err != nil {
		r.blind(err)
	} else {
		f := &firewall{Report: r, config: c, rules: rs}
		f.look(d.Running)
	}
	return r
}

// firewall is the operator's ruleset, being looked at.
type firewall struct {
	*Report
	config *config.Config
	rules  *ruleset

	before, after int // where our chains stand, or will
	pairs         [][2]link
}

func (f *firewall) look(running bool) {
	var err error
	if f.before, f.after, err = nft.Placement(f.config.Table.Hooks); err != nil {
		f.blind(err)
		return
	}
	if f.pairs, err = pairs(); err != nil {
		f.blind(err)
		return
	}
	f.helpers()
	f.offload()
	f.translation()
	f.tags()
	f.queues(running)
	if err := f.paths(); err != nil {
		f.blind(err)
	}
	if f.anchor() {
		f.traffic()
	}
}

// anchor looks at the table and the chains that the accept line belongs to, and reports
// whether they are there. A line that is to be inserted stands in the ruleset from then on.
func (f *firewall) anchor() bool {
	a := f.config.Anchor
	table := f.rules.table(a.Table)
	if table == nil {
		if !a.Insert {
			return true // how the operator accepts is his affair: see traffic
		}
		f.noTable()
		return false
	}
	if table.Flags&nftTableOwner != 0 && a.Insert {
		f.owned(table)
		return false
	}
	for _, name := range a.Chains {
		c := f.rules.find(a.Table, name)
		if c == nil {
			if a.Insert {
				f.noChain(name)
				return false
			}
			continue
		}
		if !f.standing(c) {
			return false
		}
		if a.Insert {
			c.rules = append([]*rule{acceptLine(c)}, c.rules...)
		}
	}
	return true
}

func quoted(names []string) string {
	return fmt.Sprintf("%q", names)
}
