package nft

import (
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName is the name of our table, in family inet.
const tableName = "ftpalg"

// releasedFor is how long a silent control connection stays released.
const releasedFor = time.Hour

// The operator's filter chain, at priority filter (0), stands between ours: a data
// flow bears its tag when that chain sees it, and what it does not accept is never
// diverted.
const (
	beforeFilter = -10
	afterFilter  = 10
)

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
}

var families = []family{
	newFamily("4", "ip", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 12, 16),
	newFamily("6", "ip6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 8, 24),
}

func newFamily(suffix, name string, number byte, typ nftables.SetDatatype, saddr, daddr uint32) family {
	p := protocol{expr.MetaKeyNFPROTO, number}
	return family{
		suffix: suffix,
		saddr:  field{name + " saddr", p, expr.PayloadBaseNetworkHeader, saddr, typ},
		daddr:  field{name + " daddr", p, expr.PayloadBaseNetworkHeader, daddr, typ},
	}
}

// ends names both ends of a connection, from those of the packet at hand.
func (f family) ends() key { return key{f.saddr, tcpSport, f.daddr, tcpDport} }

// reply is the same for a packet of the other direction.
func (f family) reply() key { return key{f.daddr, tcpDport, f.saddr, tcpSport} }

// anyPort is ends without the source port.
func (f family) anyPort() key { return key{f.saddr, f.daddr, tcpDport} }

// The sets; all but the first with the suffix of a family.
const (
	setPorts     = "ports"
	setActive    = "active"    // server . its port . client . port
	setActiveAny = "activeany" // server . client . port, where any source port may come
	setPassive   = "passive"   // client . server . port
	setReleased  = "released"  // client . its port . server . port
)

// activeSet returns the set of active pinholes, which differs in whether the source
// port is known.
func activeSet(cfg Config) string {
	if cfg.SourcePort == 0 {
		return setActiveAny
	}
	return setActive
}

// set is a set of timed elements.
type set struct {
	name    string
	key     key
	timeout time.Duration // of elements that bring none
}

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
	rs := ruleset{sets: append(pinholeSets(cfg), releasedSets()...)}
	pinholes := newPinholes(cfg)
	commands, replies := newDivert(cfg, caps)
	rs.chains = append(rs.chains, pinholes, commands, replies)
	for _, hook := range cfg.hooks() {
		rs.chains = append(rs.chains,
			chain{"pinholes_" + hook, hook, beforeFilter, []rule{
				// ct state new tcp flags & (fin|syn|rst|ack) == syn goto pinholes
				{isNew, isSYN, gotoChain(pinholes.name)},
			}},
			chain{"divert_" + hook, hook, afterFilter, []rule{
				// tcp dport @ports ct direction original goto divert_commands
				{key{tcpDport}.in(setPorts), fromOpener, gotoChain(commands.name)},
				// tcp sport @ports ct direction reply goto divert_replies
				{key{tcpSport}.in(setPorts), toOpener, gotoChain(replies.name)},
				// ct state invalid,untracked tcp dport @ports goto divert_commands
				{noFlow, key{tcpDport}.in(setPorts), gotoChain(commands.name)},
				// ct state invalid,untracked tcp sport @ports goto divert_replies
				{noFlow, key{tcpSport}.in(setPorts), gotoChain(replies.name)},
			}})
	}
	return rs
}

// pinholeSets returns the sets of pinholes.
func pinholeSets(cfg Config) []set {
	active := family.ends
	if cfg.SourcePort == 0 {
		active = family.anyPort
	}
	var sets []set
	for _, f := range families {
		sets = append(sets, set{name: activeSet(cfg) + f.suffix, key: active(f)})
	}
	for _, f := range families {
		sets = append(sets, set{name: setPassive + f.suffix, key: f.anyPort()})
	}
	return sets
}

// releasedSets returns the sets of released control connections.
func releasedSets() []set {
	var sets []set
	for _, f := range families {
		sets = append(sets, set{name: setReleased + f.suffix, key: f.ends(), timeout: releasedFor})
	}
	return sets
}

// newPinholes returns the chain that the first packet of every new connection visits.
// The element that matches is gone before the packet goes on: it admits one
// connection. What follows of the connection bears the tag; that includes the
// repetition of a lost SYN, which no longer finds the element.
func newPinholes(cfg Config) chain {
	c := chain{name: "pinholes"}
	for _, s := range pinholeSets(cfg) {
		// ip saddr . tcp sport . ip daddr . tcp dport @active4
		//   delete @active4 { ip saddr . tcp sport . ip daddr . tcp dport } ct label set 126 accept
		c.rules = append(c.rules, rule{s.key.in(s.name), s.key.from(s.name), cfg.Tag.set(), accept})
	}
	return c
}

// newDivert returns the chains for packets to the control ports and from them. What
// follows the reading of a dialogue is diverted: every segment with a payload, the
// SYN/ACK, which has both initial sequence numbers, and what ends the connection.
// Pure ACKs stay in the kernel, and so do connections that were released; but a SYN
// begins a new connection, whatever was released between its ends before.
//
// What conntrack calls invalid is diverted like the rest, by its ports alone: its
// receiver may think better of it. Fragments are whole here, as the `ct state` of the other chain turns on the
// reassembly that conntrack needs (nf_ct_netns_get).
func newDivert(cfg Config, caps Caps) (commands, replies chain) {
	divert := queue(cfg, caps)
	direction := func(name string, client func(family) key, also ...rule) chain {
		c := chain{name: name}
		for _, f := range families {
			k, released := client(f), setReleased+f.suffix
			c.rules = append(c.rules,
				// tcp flags & syn != 0 delete @released4 { ip saddr . tcp sport . ip daddr . tcp dport }
				rule{hasSYN, k.from(released)},
				// ip saddr . tcp sport . ip daddr . tcp dport @released4
				//   update @released4 { ip saddr . tcp sport . ip daddr . tcp dport } accept
				rule{k.in(released), k.refresh(released), accept})
		}
		if !caps.InnerHeader {
			// queue flags bypass to 21000-21003
			c.rules = append(c.rules, rule{divert})
			return c
		}
		c.rules = append(c.rules,
			// @ih,0,8 >= 0x0 queue flags bypass to 21000-21003
			rule{hasPayload, divert},
			// tcp flags & (fin|rst) != 0 queue flags bypass to 21000-21003
			rule{isEnd, divert})
		c.rules = append(c.rules, also...)
		return c
	}
	return direction("divert_commands", family.ends),
		// tcp flags & (syn|ack) == (syn|ack) queue flags bypass to 21000-21003
		direction("divert_replies", family.reply, rule{isSYNACK, divert})
}
