package nft

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/nftables"
)

// Text returns in nft syntax what Install puts in place, transaction and all, and the guard
// (see Table.Guard). It can
// be loaded with `nft -f`, which needs nftables 1.0 or newer; where the kernel lacks
// the queue statement, the text still has it in place of the xtables NFQUEUE target.
// The line of the operator's chains is not in it: see AnchorText.
func Text(cfg Config, caps Caps) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, rs := range rulesets(cfg, caps) {
		if rs.table == guardName {
			line("\n# while there are control connections that are translated:")
		}
		line("table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {", rs.table)
		if rs.flags != 0 {
			line("\tflags %s", flagNames(rs.flags))
		}
		line("\tset %s {\n\t\ttype inet_service\n\t\telements = { %s }\n\t}", setPorts, join(cfg.ports()))
		for _, s := range rs.sets {
			line("\n\t%s %s {\n\t\t%s\n\t\tsize %d\n\t\tflags %s", s.kind(), s.name, s.decl(), s.size(cfg), s.flags())
			if s.timeout != 0 {
				line("\t\ttimeout %s", span(s.timeout))
			}
			line("\t}")
		}
		for _, c := range rs.all() {
			line("\n\tchain %s {", c.name)
			if c.hook != "" {
				typ, around := c.typ()
				line("\t\ttype %s hook %s priority %s %s; policy accept;", typ, c.hook, around, offset(c.priority))
			}
			for _, r := range c.rules {
				line("\t\t%s", r.text())
			}
			line("\t}")
		}
		line("}")
	}
	return b.String()
}

// kind returns what nft calls it.
func (s set) kind() string {
	if s.data != nil {
		return "map"
	}
	return "set"
}

// decl declares the types in nft syntax.
func (s set) decl() string {
	if s.data != nil {
		return s.key.decl() + " : " + s.data.typ().Name
	}
	return s.key.decl()
}

// flags returns the set's flags.
func (s set) flags() string {
	if s.untimed {
		return "dynamic"
	}
	return "dynamic,timeout"
}

// span returns a whole number of hours, minutes or seconds as nft has it: "1h".
func span(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// tableFlags returns the table's flags. Control packets may pass unread only while
// there is no table, so one that must stop them outlives the program: it is not
// owned, or, where the kernel knows such, owned and persistent.
func tableFlags(cfg Config, caps Caps) nftables.TableFlags {
	switch {
	case caps.Owner && cfg.Bypass:
		return nftables.TableFlagOwner
	case caps.Owner && caps.Persist:
		return nftables.TableFlagOwner | nftables.TableFlagPersist
	}
	return 0
}

// offset returns the distance to a named priority: "- 10".
func offset(p int) string {
	if p < 0 {
		return fmt.Sprintf("- %d", -p)
	}
	return fmt.Sprintf("+ %d", p)
}

func flagNames(f nftables.TableFlags) string {
	if f&nftables.TableFlagPersist != 0 {
		return "owner,persist"
	}
	return "owner"
}

func join(ports []uint16) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ", "), "[]")
}

// AnchorText returns in nft syntax what Anchor.Ensure inserts into the chains of the
// operator's table, given as nft does: "inet filter".
func AnchorText(table string, chains []string, tag Tag) string {
	var b strings.Builder
	for _, c := range chains {
		fmt.Fprintf(&b, "insert rule %s %s %s comment %q\n", table, c, tag.Line(), anchorComment)
	}
	return b.String()
}
