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
		here, there := clientPort, uint16(dataPort)
		if m == alg.Active {
			all = append(all,
				t.segment(false, packet{sport: t.sourcePort(), dport: dataPort}),
				t.segment(true, packet{sport: dataPort, dport: t.sourcePort(), reply: true}))
			continue
		}
		all = append(all,
			t.segment(true, packet{sport: uint16(here), dport: there}),
			t.segment(false, packet{sport: there, dport: uint16(here), reply: true}))
	}
	return all
}

// traffic follows control and data connections through the ruleset.
func (f *firewall) traffic() {
	var control []stop
	served := false
	for _, r := range roles {
		if !slices.Contains(f.config.Table.Hooks, r.toServer) && !slices.Contains(f.config.Table.Hooks, r.toClient) {
			continue
		}
		for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
			for _, port := range f.config.Table.Ports {
				works, stops := f.controlled(r, family, port)
				if len(works) == 0 {
					if len(control) == 0 {
						control = stops
					}
					continue
				}
				served = true
				f.dataOf(works)
			}
		}
	}
	if !served {
		f.noControl(control)
	}
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
	for _, m := range f.config.Policy.Modes {
		var stopped, unsure course
		var sure, may bool
		for _, t := range works {
			switch c := t.data(m, true); {
			case !c.passes():
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
			f.refused(m, stopped)
			return // what follows of it would say the same
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
func (f *firewall) refused(m alg.Mode, c course) {
	s := last(c.stops)
	tag := f.config.Table.Tag
	mend := f.insert(s.chain, tag.Line(), fmt.Sprintf("-m connlabel --label %d -m mark --mark %#010x/%#010[2]x -j ACCEPT", tag.Label, tag.Mark))
	what := fmt.Sprintf("data connections (%s mode) that ftpalg admits are dropped by %s", m, s)
	lines := f.lines()
	for _, r := range lines {
		if r.chain == s.chain && s.rule != nil && r.number > s.rule.number {
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
			if f.accepts(r, true) && !f.accepts(r, false) {
				found = append(found, r)
			}
		}
	}
	return found
}

// accepts reports whether the rule may accept the first packet of a data connection, with
// the tag or without.
func (f *firewall) accepts(r *rule, tagged bool) bool {
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		p := &packet{family: family, in: anyLink, out: anyLink, sport: 20, dport: dataPort, syn: true, tag: f.config.Table.Tag, tagged: tagged}
		p.mark = p.ownMark(true)
		for _, v := range f.rules.match(r, p).verdicts {
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
