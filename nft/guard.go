package nft

// The chains of the guard.
const (
	chainGuard         = "guard_forward"
	chainGuardCommands = "guard_commands"
	chainGuardReplies  = "guard_replies"
)

// newGuard returns the second table, which sees to it that nothing is said unread in a
// control connection whose addresses are translated: its announcements are rewritten, and
// one that is not names an address that the other end cannot reach. So this table is not
// owned and outlives the program, and has queues of its own, which nothing bypasses.
//
// It has the connections that are followed since their SYN. They bear a label: there is
// no other way to tell, when the daemon is gone, which ones it has begun to rewrite. The
// SYN itself is the other table's: a source is not translated before it has left.
func newGuard(cfg Config, caps Caps) ruleset {
	// What the daemon has read here the other table knows by the mark. It takes it away.
	base := chain{name: chainGuard, hook: hookForward, priority: cfg.after() + 1}
	for _, f := range families {
		// tcp dport @ports ct direction original ct state new tcp flags & (fin|syn|rst|ack) == syn
		//   delete @released4 { ip saddr . tcp sport . ip daddr . tcp dport }
		base.rules = append(base.rules, rule{
			key{tcpDport}.in(setPorts), fromOpener, isNew, isSYN, f.ends().from(setReleased + f.suffix),
		})
	}
	base.rules = append(base.rules, guarded(cfg)...)
	return ruleset{table: guardName, sets: newReleased(), chains: newGuardChains(cfg, caps, cfg.Tag.mark()), placed: []chain{base}}
}

// newGuardAgain returns the chain with which the main table does the same right behind the
// guard, should that be missing: a table that is not owned goes with `flush ruleset`.
func newGuardAgain(cfg Config) chain {
	return chain{name: "guardagain_forward", hook: hookForward, priority: cfg.after() + 2, rules: append([]rule{
		// meta mark & 0x01000000 == 0x01000000 meta mark set meta mark & 0xfeffffff accept
		{cfg.Tag.marked(), cfg.Tag.clear(), accept},
	}, guarded(cfg)...)}
}

// guarded returns the rules that pick the connections.
func guarded(cfg Config) []rule {
	return []rule{
		// tcp dport @ports ct direction original ct label 125 ct status snat,dnat goto guard_commands
		append(rule{key{tcpDport}.in(setPorts), fromOpener}, append(followed(cfg), gotoChain(chainGuardCommands))...),
		// tcp sport @ports ct direction reply ct label 125 ct status snat,dnat goto guard_replies
		append(rule{key{tcpSport}.in(setPorts), toOpener}, append(followed(cfg), gotoChain(chainGuardReplies))...),
	}
}

// followed is true of packets of a connection that is the guard's.
func followed(cfg Config) rule { return rule{hasLabel(cfg.Tag.Followed()), isTranslated} }

// newGuardChains returns what is diverted of such a connection: what has a payload, and the
// SYN/ACK. Where the kernel cannot tell what has none, it is all but the SYN and resets.
// What is done before it is diverted is left out of the comments.
func newGuardChains(cfg Config, caps Caps, before ...statement) []chain {
	// queue to 21002-21003
	divert := append(before, queueFrom(cfg.GuardQueue(), cfg.Workers, false, caps))
	dialogue := func(name string, client func(family) key) chain {
		c := chain{name: name, rules: []rule{
			// tcp flags & (fin|syn|rst|ack) == syn accept
			{isSYN, accept},
		}}
		add := func(match ...statement) { c.rules = append(c.rules, append(rule(match), divert...)) }
		if caps.InnerHeader {
			// tcp flags & (fin|rst|urg) != 0 @ih,0,8 >= 0x0 queue to 21002-21003
			add(isEnd, hasPayload)
		} else {
			// tcp flags & rst != 0 accept
			c.rules = append(c.rules, rule{isReset, accept})
			// tcp flags & (fin|urg) != 0 queue to 21002-21003
			add(isLast)
		}
		for _, f := range families {
			// ip saddr . tcp sport . ip daddr . tcp dport @released4
			//   update @released4 { ip saddr . tcp sport . ip daddr . tcp dport } accept
			k, released := client(f), setReleased+f.suffix
			c.rules = append(c.rules, rule{k.in(released), k.refresh(released), accept})
		}
		if !caps.InnerHeader {
			add()
			return c
		}
		// @ih,0,8 >= 0x0 queue to 21002-21003
		add(hasPayload)
		return c
	}
	commands, replies := dialogue(chainGuardCommands, family.ends), dialogue(chainGuardReplies, family.reply)
	if caps.InnerHeader {
		// tcp flags & (syn|ack) == (syn|ack) queue to 21002-21003
		replies.rules = append(replies.rules, append(rule{isSYNACK}, divert...))
	}
	return []chain{commands, replies}
}

// newLeft returns the rules for what is left to the guard.
func newLeft(cfg Config, caps Caps) []rule {
	if !cfg.Translates(caps) {
		return nil
	}
	if !caps.InnerHeader {
		// ct label 125 ct status snat,dnat tcp flags & rst == 0 accept
		return []rule{append(followed(cfg), isNoReset, accept)}
	}
	return []rule{
		// ct label 125 ct status snat,dnat @ih,0,8 >= 0x0 accept
		append(followed(cfg), hasPayload, accept),
		// ct label 125 ct status snat,dnat tcp flags & (syn|ack) == (syn|ack) accept
		append(followed(cfg), isSYNACK, accept),
	}
}
