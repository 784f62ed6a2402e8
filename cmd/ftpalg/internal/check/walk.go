package check

import "github.com/google/nftables/expr"

// outcome is a set of what may become of a packet.
type outcome uint8

const (
	accepted outcome = 1 << iota
	dropped
	taken   // another program gets it, and decides
	through // it goes on behind the chain
)

// stop is where a packet may be dropped.
type stop struct {
	chain *chain // the base chain
	rule  *rule  // in it, or in one that it jumps to; nil: by the chain's policy
}

func (s stop) String() string {
	if s.rule == nil {
		return "the policy of chain " + s.chain.String()
	}
	return s.rule.String()
}

// course is what becomes of a packet on its way through the base chains of a hook.
type course struct {
	outcome
	stops   []stop
	reached map[*rule]bool

	rules *ruleset
	base  *chain // that it is in
	steps int
}

// passes reports whether the packet may come through, for all that is known.
func (c *course) passes() bool { return c.outcome&accepted != 0 }

// maxSteps bounds the rules that one packet is tried on. Chains that jump to chains make a
// tree, and it is walked whole where conditions are not known.
const maxSteps = 200_000

// follow takes a packet through the chains of a hook. Where our own chains stand it gets
// and loses its mark: between the two priorities.
func (rs *ruleset) follow(hook string, p packet, before, after int) course {
	c := course{rules: rs, outcome: accepted, reached: make(map[*rule]bool)}
	const outside, between, behind = 0, 1, 2
	at := outside
	p.mark = rs.mark(hook, &p, false)
	for _, base := range rs.on(hook, p.family) {
		if at == outside && int(*base.Priority) > before {
			at, p.mark = between, rs.mark(hook, &p, true)
		}
		if at == between && int(*base.Priority) > after {
			at, p.mark = behind, rs.mark(hook, &p, false)
		}
		seen := p
		seen.tagged = p.tagged && at != outside // from then on the flow has the label
		c.base = base
		o := c.chain(base, &seen, 0)
		p.mark = seen.mark
		if o&through != 0 {
			o &^= through
			if base.drops() {
				o |= dropped
				c.stops = append(c.stops, stop{chain: base})
			} else {
				o |= accepted
			}
		}
		c.outcome |= o
		if o&accepted == 0 { // no further chain sees it
			c.outcome &^= accepted
			break
		}
	}
	return c
}

// mark is what is known of a packet's mark on a hook, between our chains or outside of them.
// Its other bits are not set where no rule and no local program sets any.
func (rs *ruleset) mark(hook string, p *packet, between bool) value {
	v := p.ownMark(between)
	if !rs.marks && hook != "output" {
		v.known = native(^uint32(0))
	}
	return v
}

// maxDepth is more than the kernel lets chains jump (NFT_JUMP_STACK_SIZE).
const maxDepth = 32

// chain takes a packet through one chain and those that it jumps to.
func (c *course) chain(ch *chain, p *packet, depth int) (o outcome) {
	if ch == nil || depth > maxDepth {
		return accepted | dropped | through
	}
	for _, r := range ch.rules {
		if c.steps++; c.steps > maxSteps {
			return o | accepted | dropped | through
		}
		c.reached[r] = true
		m := c.rules.match(r, p)
		if m.strange && m.holds != no {
			o |= accepted | dropped | through
		}
		for _, v := range m.verdicts {
			if v.holds == no {
				continue
			}
			ends := c.verdict(v, r, p, depth)
			if v.Kind == expr.VerdictJump && ends&through != 0 {
				o |= ends &^ through
				continue // with the next rule
			}
			if v.Kind == expr.VerdictContinue || v.Kind == expr.VerdictBreak {
				continue
			}
			o |= ends
			if v.holds == yes {
				return o
			}
		}
	}
	return o | through
}

// verdict is what a rule's verdict may come to.
func (c *course) verdict(v verdict, r *rule, p *packet, depth int) outcome {
	switch v.Kind {
	case expr.VerdictAccept, expr.VerdictStop:
		return accepted
	case expr.VerdictDrop:
		c.stops = append(c.stops, stop{c.base, r})
		return dropped
	case expr.VerdictJump, expr.VerdictGoto:
		was := p.mark
		o := c.chain(c.rules.find(title(r.chain.Table), v.Chain), p, depth+1)
		if v.holds != yes {
			p.mark = p.mark.or(was)
		}
		return o
	case expr.VerdictReturn:
		return through
	case expr.VerdictContinue, expr.VerdictBreak:
		return through
	}
	return taken
}
