package nft

import "github.com/google/nftables/expr"

// The chains that are gone to.
const (
	chainPinholes = "pinholes"
	chainAdmit    = "admit"
	chainCommands = "divert_commands"
	chainReplies  = "divert_replies"
)

// maxFTPS is how many connections of a client are admitted under TLS at a time.
const maxFTPS = 32

// The prefixes of what is logged.
const (
	LogMissed   = "missed"    // a server's SYN found no pinhole
	LogFTPS     = "ftps"      // a connection under TLS was admitted
	LogFTPSFull = "ftps-full" // a connection under TLS was not, as the client has enough
)

// newPinholes returns the chain that the first packet of every new connection visits.
// The element that matches is gone before the packet goes on: it admits one
// connection. The repetition of a lost SYN no longer finds it, but finds itself, in
// its sequence number too, among those that were admitted, while the transfer lives.
func newPinholes(cfg Config, caps Caps) chain {
	c := chain{name: chainPinholes}
	for _, s := range distinct(activeSets(cfg)) {
		for _, f := range families {
			k, name := s.keyOf(f), s.name+f.suffix
			hole := rule{k.in(name), k.from(name), gotoChain(chainAdmit)}
			if s.name != setActive {
				hole = append(tcpSport.within(s.ports), hole...)
			}
			// ip saddr . tcp sport . ip daddr . tcp dport @active4
			//   delete @active4 { ip saddr . tcp sport . ip daddr . tcp dport } goto admit
			c.rules = append(c.rules, hole)
		}
	}
	for _, f := range families {
		k, name := f.anyPort(), setPassive+f.suffix
		c.rules = append(c.rules, rule{k.in(name), k.from(name), gotoChain(chainAdmit)})
	}
	for _, f := range families {
		// ip saddr . tcp sport . ip daddr . tcp dport . tcp sequence @admitted4
		//   ip saddr . ip daddr . tcp dport @transfers4 ct label 126 meta mark set meta mark | 0x01000000 accept
		c.rules = append(c.rules, rule{
			f.segment().in(setAdmitted + f.suffix), f.anyPort().in(setTransfers + f.suffix), cfg.Tag.labelled(), cfg.Tag.mark(), accept,
		})
	}
	c.rules = append(c.rules, newFTPS(cfg, caps)...)
	if caps.Log {
		c.rules = append(c.rules, newMissed(cfg)...)
	}
	if cfg.Translates(caps) {
		c.rules = append(c.rules, newUnannounced()...)
	}
	return c
}

// newAdmit returns the chain for a packet that is admitted. That it may be repeated is
// remembered last: it is admitted also when the set is full.
func newAdmit(cfg Config) chain {
	c := chain{name: chainAdmit, rules: []rule{
		// ct label set 126 meta mark set meta mark | 0x01000000
		{cfg.Tag.label(), cfg.Tag.mark()},
	}}
	for _, f := range families {
		// add @admitted4 { ip saddr . tcp sport . ip daddr . tcp dport . tcp sequence }
		c.rules = append(c.rules, rule{f.segment().put(setAdmitted + f.suffix)})
	}
	return c
}

// newFTPS returns the rules for what is admitted by its addresses and ports, where the
// announcement cannot be read. The count must hold for a packet to be admitted, so what
// is beyond it, and what the set of clients has no room for, goes on as it came.
func newFTPS(cfg Config, caps Caps) []rule {
	var rules []rule
	for _, s := range ftpsSets(cfg) {
		for _, f := range families {
			counted := f.customer().put(setCounted+f.suffix, count(maxFTPS))
			found := append(tcpDport.within(s.ports), f.hosts().in(s.name+f.suffix))
			with := func(more ...statement) rule { return append(found[:len(found):len(found)], more...) }
			rules = append(rules,
				// tcp dport 50000-50100 ip saddr . ip daddr @ftps50000to50100_4
				//   ip saddr . tcp sport . ip daddr . tcp dport . tcp sequence @admitted4
				//   ct label 126 meta mark set meta mark | 0x01000000 accept
				with(f.segment().in(setAdmitted+f.suffix), cfg.Tag.labelled(), cfg.Tag.mark(), accept))
			if !caps.Log {
				rules = append(rules, with(counted, gotoChain(chainAdmit)))
				continue
			}
			rules = append(rules,
				// ... add @counted4 { ip saddr ct count 32 } log prefix "ftps" group 21000 goto admit
				with(counted, log(LogFTPS, cfg), gotoChain(chainAdmit)),
				// ... update @full4 { ip saddr limit rate 1/second burst 5 packets } log prefix "ftps-full" group 21000
				with(f.customer().refresh(setFull+f.suffix, limit(1, "second", expr.LimitTimeSecond, 5)), log(LogFTPSFull, cfg)))
		}
	}
	return rules
}

// newMissed returns the rules that tell of a server's SYN that found no pinhole. It goes
// on as it came.
func newMissed(cfg Config) []rule {
	var rules []rule
	for _, f := range families {
		// ip saddr @servers4 tcp dport > 1023
		//   update @missed4 { ip saddr limit rate 10/second burst 20 packets } log prefix "missed" group 21000
		rules = append(rules, rule{
			f.source().in(setServers + f.suffix), tcpDport.above(1023),
			f.source().refresh(setMissed+f.suffix, limit(10, "second", expr.LimitTimeSecond, 20)),
			log(LogMissed, cfg),
		})
	}
	return rules
}
