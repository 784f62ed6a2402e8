package nft

import (
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The names of our tables, in family inet.
const (
	tableName = "ftpalg"
	guardName = "ftpalg_translated" // see newGuard
)

// hooks are the places in the kernel where control connections are diverted.
var hooks = map[string]*nftables.ChainHook{
	hookForward: nftables.ChainHookForward,
	"input":     nftables.ChainHookInput,
	"output":    nftables.ChainHookOutput,
}

const hookForward = "forward"

// places are all where our chains can stand.
var places = map[string]*nftables.ChainHook{
	hookForward:   nftables.ChainHookForward,
	"input":       nftables.ChainHookInput,
	"output":      nftables.ChainHookOutput,
	"prerouting":  nftables.ChainHookPrerouting,
	"postrouting": nftables.ChainHookPostrouting,
}

// family is what IPv4 and IPv6 differ in.
type family struct {
	suffix       string // of the names of sets
	saddr, daddr field
	host         field // saddr, or of it what one customer has
}

// An IPv6 customer has a /64 (RFC 6177), so that is one client.
var families = []family{
	newFamily("4", "ip", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 12, 16, "", nil),
	newFamily("6", "ip6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 8, 24, "ffff:ffff:ffff:ffff::",
		[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}),
}

func newFamily(suffix, name string, number byte, typ nftables.SetDatatype, saddr, daddr uint32, prefix string, mask []byte) family {
	f := field{proto: protocol{expr.MetaKeyNFPROTO, number}, base: expr.PayloadBaseNetworkHeader, typ: typ}
	src, dst := f, f
	src.text, src.offset = name+" saddr", saddr
	dst.text, dst.offset = name+" daddr", daddr
	host := src
	if mask != nil {
		host.text, host.mask = src.text+" & "+prefix, mask
	}
	return family{suffix: suffix, saddr: src, daddr: dst, host: host}
}

// name returns what nft calls the family.
func (f family) name() string { return strings.Fields(f.saddr.text)[0] }

// number returns what the kernel does.
func (f family) number() byte { return f.saddr.proto.number }

// ends names both ends of a connection, from those of the packet at hand.
func (f family) ends() key { return key{f.saddr, tcpSport, f.daddr, tcpDport} }

// reply is the same for a packet of the other direction.
func (f family) reply() key { return key{f.daddr, tcpDport, f.saddr, tcpSport} }

// anyPort is ends without the source port.
func (f family) anyPort() key { return key{f.saddr, f.daddr, tcpDport} }

// segment is ends with what tells a SYN from another of the same connection.
func (f family) segment() key { return append(f.ends(), tcpSeq) }

// hosts is the two addresses.
func (f family) hosts() key { return key{f.saddr, f.daddr} }

// source is who sent the packet.
func (f family) source() key { return key{f.saddr} }

// dest is where the packet goes to, and the port there.
func (f family) dest() key { return key{f.daddr, tcpDport} }

// customer is source, or the network that it has.
func (f family) customer() key { return key{f.host} }

// chain is a chain with its rules.
type chain struct {
	name     string
	hook     string // of a base chain; empty otherwise
	priority int    // beside what nft calls filter, or nat
	rules    []rule
	nat      string // of a base chain that translates: "dstnat" or "srcnat"
}

// typ returns what nft calls the chain's type, and the priority that its own is around.
func (c chain) typ() (typ, around string) {
	if c.nat == "" {
		return "filter", "filter"
	}
	return "nat", c.nat
}

// place returns the same as the kernel has it.
func (c chain) place() (nftables.ChainType, *nftables.ChainPriority) {
	typ, around := nftables.ChainTypeFilter, nftables.ChainPriorityFilter
	switch c.nat {
	case "dstnat":
		typ, around = nftables.ChainTypeNAT, nftables.ChainPriorityNATDest
	case "srcnat":
		typ, around = nftables.ChainTypeNAT, nftables.ChainPriorityNATSource
	}
	return typ, nftables.ChainPriorityRef(*around + nftables.ChainPriority(c.priority))
}

// ruleset is what a table of ours holds, in the order in which the kernel lists it.
type ruleset struct {
	table  string
	flags  nftables.TableFlags
	sets   []set // beside that of the ports
	chains []chain
	placed []chain // those that stand beside the operator's, and move as his do
}

// all returns all chains.
func (r ruleset) all() []chain { return slices.Concat(r.chains, r.placed) }

// rulesets returns all that is ours.
func rulesets(cfg Config, caps Caps) []ruleset {
	all := []ruleset{newRuleset(cfg, caps)}
	if cfg.Translates(caps) {
		all = append(all, newGuard(cfg, caps))
	}
	return all
}

// newRuleset returns the contents of the main table.
func newRuleset(cfg Config, caps Caps) ruleset {
	commands, replies := newDivert(cfg, caps)
	chains := []chain{newPinholes(cfg, caps), newAdmit(cfg), commands, replies}
	if cfg.Translates(caps) {
		chains = append(chains, newGuardChains(cfg, caps)...)
		chains = append(chains, newTranslation()...)
	}
	return ruleset{
		table: tableName, flags: tableFlags(cfg, caps),
		sets: newSets(cfg, caps), chains: chains, placed: baseChains(cfg, caps),
	}
}

// baseChains returns the chains that packets enter. The operator's filter chain stands
// between the two of a hook: a packet that a pinhole admits bears its tag when that chain sees
// it, and what that chain does not accept is never diverted.
//
// Others set marks too, so our bit is taken away from every packet before anything else, and
// again when the operator's chain has seen it.
func baseChains(cfg Config, caps Caps) []chain {
	var chains []chain
	// meta mark & 0x01000000 != 0x0 meta mark set meta mark & 0xfeffffff
	clean := rule{cfg.Tag.stained(), cfg.Tag.clear()}
	translates := cfg.Translates(caps)
	for _, hook := range cfg.hooks() {
		first := []rule{
			clean,
			// ct state new tcp flags & (fin|syn|rst|ack) == syn goto pinholes
			{isNew, isSYN, gotoChain(chainPinholes)},
			// After a reset from its receiver a flow is `established` for a SYN from the
			// other end (nf_conntrack_tcp_packet, TCP_CONNTRACK_CLOSE), and the
			// operator's chain accepts what is.
			//
			// ct state established tcp flags & (fin|syn|rst|ack) == syn ct label 126 drop
			{isEstablished, isSYN, cfg.Tag.labelled(), drop},
		}
		last := []rule{clean}
		if hook == hookForward && translates {
			first = append(first, newUnannounced()...)
			// tcp dport @ports ct direction original ct state new tcp flags & (fin|syn|rst|ack) == syn ct label set 125
			last = append(last, rule{key{tcpDport}.in(setPorts), fromOpener, isNew, isSYN, setLabel(cfg.Tag.Followed())})
		}
		last = append(last,
			// tcp dport @ports ct direction original goto divert_commands
			rule{key{tcpDport}.in(setPorts), fromOpener, gotoChain(chainCommands)},
			// tcp sport @ports ct direction reply goto divert_replies
			rule{key{tcpSport}.in(setPorts), toOpener, gotoChain(chainReplies)},
			// ct state invalid,untracked tcp dport @ports goto divert_commands
			rule{noFlow, key{tcpDport}.in(setPorts), gotoChain(chainCommands)},
			// ct state invalid,untracked tcp sport @ports goto divert_replies
			rule{noFlow, key{tcpSport}.in(setPorts), gotoChain(chainReplies)})
		chains = append(chains,
			chain{name: "pinholes_" + hook, hook: hook, priority: cfg.before(), rules: first},
			chain{name: "divert_" + hook, hook: hook, priority: cfg.after(), rules: last})
	}
	if translates {
		chains = append(chains, newGuardAgain(cfg))
	}
	return chains
}
