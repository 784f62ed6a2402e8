package nft

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/nftables"
)

// Text returns in nft syntax what Install puts in place, transaction and all. It can
// be loaded with `nft -f`, which needs nftables 1.0 or newer; where the kernel lacks
// the queue statement, the text still has it in place of the xtables NFQUEUE target.
func Text(cfg Config, caps Caps) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {", tableName)
	if flags := tableFlags(cfg, caps); flags != 0 {
		line("\tflags %s", flagNames(flags))
	}
	line("\tset %s {\n\t\ttype inet_service\n\t\telements = { %s }\n\t}", setPorts, join(cfg.ports()))
	rs := newRuleset(cfg, caps)
	for _, s := range rs.sets {
		line("\n\tset %s {\n\t\ttype %s\n\t\tsize %d\n\t\tflags dynamic,timeout", s.name, s.key.typ().Name, cfg.setSize())
		if s.timeout != 0 {
			line("\t\ttimeout %dh", s.timeout/time.Hour)
		}
		line("\t}")
	}
	for _, c := range rs.chains {
		line("\n\tchain %s {", c.name)
		if c.hook != "" {
			line("\t\ttype filter hook %s priority filter %s; policy accept;", c.hook, offset(c.priority))
		}
		for _, r := range c.rules {
			line("\t\t%s", r.text())
		}
		line("\t}")
	}
	line("}")
	return b.String()
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
