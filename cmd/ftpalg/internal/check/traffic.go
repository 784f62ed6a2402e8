package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// Ports of the model: a client's of its own, and one that is announced. No firewall is
// likely to speak of just these.
const (
	clientPort = 41217
	dataPort   = 55555
)

// role is a place between client and server: the hooks that packets to the server and to
// the client go through here.
type role struct {
	toServer, toClient string
	who                string
}

var roles = []role{
	{"forward", "forward", "clients behind or before this gateway"},
	{"input", "output", "clients of a server on this host"},
	{"output", "input", "clients on this host"},
}

// trial is one kind of connection, tried on the ruleset.
type trial struct {
	*firewall
	role
	family byte
	pair   [2]link
	// forwards: the destination is translated.
	forwards bool
	port     uint16 // of the control connection
}

// segment makes a packet of the model and follows it.
func (t trial) segment(toServer bool, p packet) course {
	hook := t.toClient
	p.in, p.out = t.pair[1], t.pair[0]
	if toServer {
		hook = t.toServer
		p.in, p.out = t.pair[0], t.pair[1]
	}
	switch hook {
	case "input":
		p.in, p.out = t.pair[0], link{}
	case "output":
		p.in, p.out = link{}, t.pair[0]
	}
	p.family, p.forwards, p.tag = t.family, t.forwards, t.config.Table.Tag
	if !slices.Contains(t.config.Table.Hooks, hook) {
		p.tagged = false // ours do not stand there
	}
	return t.rules.follow(hook, p, t.before, t.after)
}

func (t trial) control() course {
	return t.segment(true, packet{sport: clientPort, dport: t.port, syn: true})
}

// data is the first packet of a data connection.
func (t trial) data(m alg.Mode, tagged bool) course {
	if m == alg.Active {
		return t.segment(false, packet{sport: t.sourcePort(), dport: dataPort, syn: true, tagged: tagged})
	}
	return t.segment(true, packet{sport: clientPort, dport: dataPort, syn: true, tagged: tagged})
}

// sourcePort is the port that servers connect from.
func (t trial) sourcePort() uint16 {
	if p := t.config.Policy.SourcePort; !p.Any() {
		return p.First
	}
	return 20
}

// answered are segments of the control connection, and of a data connection, once they were
// answered.
func (t trial) answered(modes []alg.Mode) []course {
	all := []course{
		t.segment(true, packet{sport: clientPort, dport: t.port}),
		t.segment(false, packet{sport: t.port, dport: clientPort, reply: true}),
	}
	for _, m := range modes {
		from, to := uint16(clientPort), uint16(dataPort)
		if m == alg.Active {
			from = t.sourcePort()
		}
		all = append(all,
			t.segment(m != alg.Active, packet{sport: from, dport: to, labelled: true}),
			t.segment(m == alg.Active, packet{sport: to, dport: from, labelled: true, reply: true}))
	}
	return all
}

// traffic follows control and data connections through the ruleset. A family that nothing
// filters says little about an operator who filters the other.
func (f *firewall) traffic() {
	var refused []stop
	served := false
	for _, family := range f.filtered() {
		for _, r := range roles {
			if !slices.Contains(f.config.Table.Hooks, r.toServer) && !slices.Contains(f.config.Table.Hooks, r.toClient) {
				continue
			}
			for _, port := range f.config.Table.Ports {
				works, stops := f.controlled(r, family, port)
				if len(works) > 0 {
					served = true
					f.dataOf(works)
				} else if refused == nil {
					refused = stops
				}
			}
		}
	}
	if !served && len(refused) > 0 {
		f.noControl(refused)
	}
}

// filtered returns the families that some chain of our hooks is for.
func (f *firewall) filtered() (found []byte) {
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		if slices.ContainsFunc(f.config.Table.Hooks, func(hook string) bool { return len(f.rules.on(hook, family)) > 0 }) {
			found = append(found, family)
		}
	}
	return found
}

// controlled tries control connections by each pair of interfaces, and returns those that may
// come through, as they are and, where none does, as they are where their destination is
// translated.
func (f *firewall) controlled(r role, family byte, port uint16) (works []trial, stops []stop) {
	for _, forwards := range []bool{false, true} {
		for _, pair := range f.pairs {
			t := trial{f, r, family, pair, forwards, port}
			c := t.control()
			if c.passes() {
				works = append(works, t)
			} else if stops == nil {
				stops = c.stops
			}
		}
		if len(works) > 0 {
			break
		}
	}
	return works, stops
}

// dataOf tries the data connections of control connections that come through.
func (f *firewall) dataOf(works []trial) {
	lines := f.lines()
	for _, m := range f.config.Policy.Modes {
		var stopped, unsure course
		var sure, may bool
		for _, t := range works {
			c := t.data(m, true)
			switch {
			case !c.passes() && !slices.ContainsFunc(lines, func(r *rule) bool { return c.reached[r] }):
				f.refused(m, c, lines)
				return // what follows of it would say the same
			case !c.passes(): // there is a line, for other interfaces
				stopped = c
			case c.outcome == accepted:
				sure = true
			default:
				may, unsure = true, c
			}
		}
		switch {
		case sure:
		case may:
			f.unsure(m, unsure)
		default:
			f.refused(m, stopped, lines)
			return
		}
	}
	var stopped course
	for _, t := range works {
		all := t.answered(f.config.Policy.Modes)
		i := slices.IndexFunc(all, func(c course) bool { return !c.passes() })
		if i < 0 {
			return
		}
		stopped = all[i]
	}
	s := last(stopped.stops)
	f.once("established", fmt.Sprintf("packets of control or data connections that were accepted when they began are dropped by %s: transfers get stuck", s),
		f.insert(s.chain, "ct state established,related accept", "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"))
}

func last(stops []stop) stop { return stops[len(stops)-1] }

// once tells of a problem, if none that the same mends was told.
func (f *firewall) once(id, text string, mend ...string) {
	if !slices.ContainsFunc(f.Findings, func(o Finding) bool { return o.ID == id && slices.Equal(o.Mend, mend) }) {
		f.problem(id, text, mend...)
	}
}

// insert returns the command that puts a rule at the top of a chain.
func (f *firewall) insert(c *chain, rule, iptables string) string {
	c = f.usersOwn(c)
	if program, ok := f.iptablesOf(c); ok {
		return fmt.Sprintf("%s -I %s %s", program, c.Name, iptables)
	}
	return fmt.Sprintf("nft 'insert rule %s %s'", c, rule)
}

// iptablesOf returns the program of iptables that manages the chain's table.
func (f *firewall) iptablesOf(c *chain) (string, bool) {
	if !f.rules.iptables(c.Table) {
		return "", false
	}
	program := "iptables"
	if c.Table.Family == unix.NFPROTO_IPV6 {
		program = "ip6tables"
	}
	if c.Table.Name != "filter" {
		program += " -t " + c.Table.Name
	}
	return program, true
}

func (f *firewall) noControl(stops []stop) {
	ports := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(f.config.Table.Ports)), ", "), "[]")
	s := last(stops)
	for _, port := range f.config.Table.Ports[:1] {
		f.problem("control-port", fmt.Sprintf("no control connection to port %s is accepted: %s drops it", ports, s),
			f.insert(s.chain, fmt.Sprintf("tcp dport %d accept", port), fmt.Sprintf("-p tcp --dport %d -j ACCEPT", port)))
	}
}

// refused tells why data connections that ftpalg admits are dropped all the same.
func (f *firewall) refused(m alg.Mode, c course, lines []*rule) {
	s := last(c.stops)
	tag := f.config.Table.Tag
	mend := f.insert(s.chain, tag.Line(), tag.Iptables())
	what := fmt.Sprintf("data connections (%s mode) that ftpalg admits are dropped by %s", m, s)
	for _, r := range lines {
		if s.rule != nil && r.chain == s.rule.chain && r.number > s.rule.number {
			f.once("accept-line", fmt.Sprintf("%s: the accept line stands behind it, as %s", what, r), mend)
			return
		}
	}
	for _, r := range lines {
		if !c.reached[r] {
			f.once("accept-line", fmt.Sprintf("%s: the accept line, %s, is never reached", what, r), mend)
			return
		}
	}
	f.once("accept-line", what+", before which no accept line for them stands", mend)
}

// unsure tells of a line that may not be met.
func (f *firewall) unsure(m alg.Mode, c course) {
	text := fmt.Sprintf("whether data connections (%s mode) are accepted cannot be told: another program decides about them", m)
	if len(c.stops) > 0 {
		text = fmt.Sprintf("whether data connections (%s mode) are accepted cannot be told: %s may drop them, by what only real packets have", m, c.stops[0])
	}
	if !slices.ContainsFunc(f.Findings, func(o Finding) bool { return o.ID == "accept-line" }) {
		f.note("accept-line", text)
	}
}

// lines returns the rules that accept what bears the tag, and nothing else.
func (f *firewall) lines() (found []*rule) {
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			if f.accepts(r, &packet{tagged: true}) && !f.accepts(r, &packet{}) {
				found = append(found, r)
			}
		}
	}
	return found
}

// accepts reports whether the rule may accept the first packet of a data connection, which
// bears the tag or the label as p does.
func (f *firewall) accepts(r *rule, p *packet) bool {
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		p := *p
		p.family, p.in, p.out, p.sport, p.dport, p.syn, p.tag = family, anyLink, anyLink, 20, dataPort, true, f.config.Table.Tag
		p.mark = p.ownMark(true)
		for _, v := range f.rules.match(r, &p).verdicts {
			if v.holds != no && v.Kind == expr.VerdictAccept {
				return true
			}
		}
	}
	return false
}

// acceptLine stands for the line that the daemon will insert.
func acceptLine(c *chain) *rule {
	return &rule{chain: c, exprs: []expression{{name: tagName}, {Any: &expr.Verdict{Kind: expr.VerdictAccept}}}}
}
