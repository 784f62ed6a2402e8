package nft

// newDivert returns the chains for packets to the control ports and from them. What
// follows the reading of a dialogue is diverted: the SYN that begins the connection, the
// SYN/ACK, every segment with a payload, what says that a byte is urgent, and what ends
// the connection. Pure ACKs stay in
// the kernel, but for those of connections that are watched, and so does what is said in connections that were released; their end is
// still diverted. A connection begins anew, and is released no longer, by a SYN that
// conntrack calls new: any other may be forged, and is never diverted.
//
// What conntrack calls invalid is diverted like the rest, by its ports alone: its
// receiver may think better of it. Fragments are whole here, as the `ct state` of the other
// chain turns on the reassembly that conntrack needs (nf_ct_netns_get).
func newDivert(cfg Config, caps Caps) (commands, replies chain) {
	divert := queue(cfg, caps)
	commands, replies = chain{name: chainCommands}, chain{name: chainReplies}
	for _, f := range families {
		// ct state new tcp flags & (fin|syn|rst|ack) == syn
		//   delete @released4 { ip saddr . tcp sport . ip daddr . tcp dport }
		commands.rules = append(commands.rules, rule{isNew, isSYN, f.ends().from(setReleased + f.suffix)})
	}
	// ct state new tcp flags & (fin|syn|rst|ack) == syn queue flags bypass to 21000-21003
	commands.rules = append(commands.rules, rule{isNew, isSYN, divert})
	if caps.Log {
		for _, f := range families {
			// ct state established update @servers4 { ip saddr }
			replies.rules = append(replies.rules, rule{isEstablished, f.source().refresh(setServers + f.suffix)})
		}
	}
	dialogue := func(c *chain, client func(family) key) {
		// tcp flags & (fin|syn|rst|ack) == syn accept
		c.rules = append(c.rules, rule{isSYN, accept})
		c.rules = append(c.rules, newLeft(cfg, caps)...)
		c.rules = append(c.rules,
			// tcp flags & (fin|rst|urg) != 0 queue flags bypass to 21000-21003
			rule{isEnd, divert})
		for _, f := range families {
			// ip saddr . tcp sport . ip daddr . tcp dport @released4
			//   update @released4 { ip saddr . tcp sport . ip daddr . tcp dport } accept
			k, released := client(f), setReleased+f.suffix
			c.rules = append(c.rules, rule{k.in(released), k.refresh(released), accept})
		}
		if !caps.InnerHeader {
			// queue flags bypass to 21000-21003
			c.rules = append(c.rules, rule{divert})
			return
		}
		// @ih,0,8 >= 0x0 queue flags bypass to 21000-21003
		c.rules = append(c.rules, rule{hasPayload, divert})
		for _, f := range families {
			// ip saddr . tcp sport . ip daddr . tcp dport @watched4 queue flags bypass to 21000-21003
			c.rules = append(c.rules, rule{client(f).in(setWatched + f.suffix), divert})
		}
	}
	dialogue(&commands, family.ends)
	dialogue(&replies, family.reply)
	if caps.InnerHeader {
		// tcp flags & (syn|ack) == (syn|ack) queue flags bypass to 21000-21003
		replies.rules = append(replies.rules, rule{isSYNACK, divert})
	}
	return commands, replies
}
