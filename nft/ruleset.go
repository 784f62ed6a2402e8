package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName is the name of our table, in family inet.
const tableName = "ftpalg"

// hooks are the places in the kernel where our chains can stand.
var hooks = map[string]*nftables.ChainHook{
	"forward": nftables.ChainHookForward,
	"input":   nftables.ChainHookInput,
	"output":  nftables.ChainHookOutput,
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

// customer is source, or the network that it has.
func (f family) customer() key { return key{f.host} }

// chain is a chain with its rules.
type chain struct {
	name     string
	hook     string // of a base chain; empty otherwise
	priority int
	rules    []rule
}

// ruleset is what our table holds, in the order in which the kernel lists it.
type ruleset struct {
	sets   []set
	chains []chain
}

// newRuleset returns the table's contents.
func newRuleset(cfg Config, caps Caps) ruleset {
	commands, replies := newDivert(cfg, caps)
	pinholes, admit := newPinholes(cfg, caps), newAdmit(cfg)
	return ruleset{
		sets:   newSets(cfg, caps),
		chains: append([]chain{pinholes, admit, commands, replies}, baseChains(cfg)...),
	}
}

// baseChains returns the chains that packets enter. The operator's filter chain stands
// between the two of a hook: a packet that a pinhole admits bears its tag when that chain sees
// it, and what that chain does not accept is never diverted.
//
// Others set marks too, so our bit is taken away from every packet before anything else, and
// again when the operator's chain has seen it.
func baseChains(cfg Config) []chain {
	var chains []chain
	// meta mark & 0x01000000 != 0x0 meta mark set meta mark & 0xfeffffff
	clean := rule{cfg.Tag.stained(), cfg.Tag.clear()}
	for _, hook := range cfg.hooks() {
		chains = append(chains,
			chain{"pinholes_" + hook, hook, cfg.before(), []rule{
				clean,
				// ct state new tcp flags & (fin|syn|rst|ack) == syn goto pinholes
				{isNew, isSYN, gotoChain(chainPinholes)},
				// After a reset from its receiver a flow is `established` for a SYN from the
				// other end (nf_conntrack_tcp_packet, TCP_CONNTRACK_CLOSE), and the
				// operator's chain accepts what is.
				//
				// ct state established tcp flags & (fin|syn|rst|ack) == syn ct label 126 drop
				{isEstablished, isSYN, cfg.Tag.labelled(), drop},
			}},
			chain{"divert_" + hook, hook, cfg.after(), []rule{
				clean,
				// tcp dport @ports ct direction original goto divert_commands
				{key{tcpDport}.in(setPorts), fromOpener, gotoChain(chainCommands)},
				// tcp sport @ports ct direction reply goto divert_replies
				{key{tcpSport}.in(setPorts), toOpener, gotoChain(chainReplies)},
				// ct state invalid,untracked tcp dport @ports goto divert_commands
				{noFlow, key{tcpDport}.in(setPorts), gotoChain(chainCommands)},
				// ct state invalid,untracked tcp sport @ports goto divert_replies
				{noFlow, key{tcpSport}.in(setPorts), gotoChain(chainReplies)},
			}})
	}
	return chains
}
