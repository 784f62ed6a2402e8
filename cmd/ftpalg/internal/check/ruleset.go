package check

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The ruleset is read from the kernel, not from `nft -j list ruleset`: a gateway may lack the
// nft program, and its JSON does not say what a match or target of iptables (ufw, Docker)
// asks for. google/nftables does, but leaves out of a rule what it does not know, so that
// the rule would seem to match more than it does. So rules are taken from one dump of all
// tables here, each expression with its name, and only decoded by that library.

// ruleset is what stands in nf_tables, but for our own tables.
type ruleset struct {
	tables []*nftables.Table
	chains []*chain // in the kernel's order
	sets   map[string]*set
	// helpers has the name of the helper ("ftp") that a named object (ct helper) attaches,
	// by table and name.
	helpers map[string]string
	// marks: some rule sets marks of packets.
	marks bool
}

type chain struct {
	*nftables.Chain
	rules []*rule
}

type rule struct {
	handle uint64
	chain  *chain
	number int // from 1; 0: the line that the daemon inserts
	exprs  []expression
}

// expression is one part of a rule. It is nil inside where its name is not known here.
type expression struct {
	name string
	expr.Any
}

type set struct {
	*nftables.Set
	elements []nftables.SetElement
	next     [][]byte // of a set of intervals: the least key above that of each element; nil: none
}

// newSet prepares a set for being looked up in. Lists of networks have many thousands of
// intervals, and nobody may have to look for the end of each.
func newSet(s *nftables.Set, elements []nftables.SetElement) *set {
	all := &set{Set: s, elements: elements}
	if !s.Interval {
		return all
	}
	order := make([]int, len(elements))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(elements[a].Key, elements[b].Key) })
	all.next = make([][]byte, len(elements))
	var key, above []byte
	for _, i := range slices.Backward(order) {
		if k := elements[i].Key; key == nil || !bytes.Equal(k, key) {
			key, above = k, key
		}
		all.next[i] = above
	}
	return all
}

// Numbers of linux/netfilter/nf_tables.h.
const (
	objectCtHelper = 3 // NFT_OBJECT_CT_HELPER
	listElem       = 1 // NFTA_LIST_ELEM
)

// key names what a table has.
func key(t *nftables.Table, name string) string {
	return fmt.Sprintf("%d %s %s", t.Family, t.Name, name)
}

// families are those that IP packets meet, as nft names them.
var families = map[nftables.TableFamily]string{
	nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
}

// title names a table as nft does.
func title(t *nftables.Table) string { return families[t.Family] + " " + t.Name }

func (c *chain) String() string { return title(c.Table) + " " + c.Name }

// String names the rule for people.
func (r *rule) String() string {
	if r.number == 0 {
		return fmt.Sprintf("the one that ftpalg inserts into chain %s", r.chain)
	}
	return fmt.Sprintf("rule %d of chain %s", r.number, r.chain)
}

// again is how often a dump is asked for that other programs' changes interrupt.
const again = 10

// readRuleset reads the ruleset of the network namespace that the thread is in. The error
// wraps EPERM without CAP_NET_ADMIN.
func readRuleset() (rs *ruleset, err error) {
	for range again {
		if rs, err = dump(); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ruleset: %w", err)
	}
	return rs, nil
}

func dump() (*ruleset, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseLasting() }()
	rs := &ruleset{sets: make(map[string]*set), helpers: make(map[string]string)}
	tables, err := conn.ListTables()
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if ours(t) || families[t.Family] == "" {
			continue
		}
		rs.tables = append(rs.tables, t)
		if err := rs.readSets(conn, t); err != nil {
			return nil, err
		}
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, err
	}
	for _, c := range chains {
		if !ours(c.Table) && families[c.Table.Family] != "" {
			rs.chains = append(rs.chains, &chain{Chain: c})
		}
	}
	return rs, rs.readRules()
}

// ours reports whether the table is the daemon's.
func ours(t *nftables.Table) bool {
	return t.Family == nftables.TableFamilyINet && (t.Name == "ftpalg" || t.Name == "ftpalg_translated")
}

func (rs *ruleset) readSets(conn *nftables.Conn, t *nftables.Table) error {
	sets, err := conn.GetSets(t)
	if err != nil {
		return err
	}
	for _, s := range sets {
		s.Table = t
		elements, err := conn.GetSetElements(s)
		if err != nil && !errors.Is(err, unix.ENOENT) { // gone meanwhile
			return err
		}
		rs.sets[key(t, s.Name)] = newSet(s, elements)
	}
	objects, err := conn.GetNamedObjects(t)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if named, ok := o.(*nftables.NamedObj); ok {
			if h, ok := named.Obj.(*expr.CtHelper); ok {
				rs.helpers[key(t, named.Name)] = h.Name
			}
		}
	}
	return nil
}

// readRules asks for the rules of all tables at once.
func (rs *ruleset) readRules() error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE,
			Flags: netlink.Request | netlink.Dump,
		},
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}, // struct nfgenmsg
	})
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := rs.addRule(m.Data); err != nil {
			return err
		}
	}
	return nil
}

// addRule takes a message about a rule to the rule's chain.
func (rs *ruleset) addRule(message []byte) error {
	if len(message) < 4 {
		return errors.New("a message without a header")
	}
	family := message[0]
	attributes, err := netlink.NewAttributeDecoder(message[4:])
	if err != nil {
		return err
	}
	attributes.ByteOrder = binary.BigEndian
	var table, name string
	r := &rule{}
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_RULE_TABLE:
			table = attributes.String()
		case unix.NFTA_RULE_CHAIN:
			name = attributes.String()
		case unix.NFTA_RULE_HANDLE:
			r.handle = attributes.Uint64()
		case unix.NFTA_RULE_EXPRESSIONS:
			attributes.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					if list.Type() == listElem {
						list.Nested(func(one *netlink.AttributeDecoder) error {
							e, err := decode(family, one)
							r.exprs = append(r.exprs, e)
							return err
						})
					}
				}
				return nil
			})
		}
	}
	if err := attributes.Err(); err != nil {
		return err
	}
	for _, c := range rs.chains {
		if c.Name == name && c.Table.Name == table && byte(c.Table.Family) == family {
			r.chain, r.number = c, len(c.rules)+1
			rs.marks = rs.marks || slices.ContainsFunc(r.exprs, setsMark)
			c.rules = append(c.rules, r)
		}
	}
	return nil
}

// decode reads an expression.
func decode(family byte, attributes *netlink.AttributeDecoder) (e expression, err error) {
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_EXPR_NAME:
			e.name = attributes.String()
		case unix.NFTA_EXPR_DATA:
			fresh := kinds[e.name]
			if fresh == nil {
				continue
			}
			data := attributes.Bytes()
			e.Any = fresh()
			if err := expr.Unmarshal(family, data, e.Any); err != nil {
				e.Any = nil // of a form that is not known here
				continue
			}
			if i, ok := e.Any.(*expr.Immediate); ok && i.Register == unix.NFT_REG_VERDICT {
				e.Any = &expr.Verdict{}
				if err := expr.Unmarshal(family, data, e.Any); err != nil {
					return e, err
				}
			}
		}
	}
	return e, attributes.Err()
}

// setsMark reports whether the expression sets, or may set, the packet's mark.
func setsMark(e expression) bool {
	switch e := e.Any.(type) {
	case *expr.Meta:
		return e.SourceRegister && e.Key == expr.MetaKeyMARK
	case *expr.Target:
		return strings.HasSuffix(e.Name, "MARK") || e.Name == "TPROXY"
	}
	return e.Any == nil
}

// kinds are the expressions that are understood here.
var kinds = map[string]func() expr.Any{
	"bitwise":      func() expr.Any { return &expr.Bitwise{} },
	"cmp":          func() expr.Any { return &expr.Cmp{} },
	"connlimit":    func() expr.Any { return &expr.Connlimit{} },
	"counter":      func() expr.Any { return &expr.Counter{} },
	"ct":           func() expr.Any { return &expr.Ct{} },
	"dynset":       func() expr.Any { return &expr.Dynset{} },
	"exthdr":       func() expr.Any { return &expr.Exthdr{} },
	"fib":          func() expr.Any { return &expr.Fib{} },
	"flow_offload": func() expr.Any { return &expr.FlowOffload{} },
	"immediate":    func() expr.Any { return &expr.Immediate{} },
	"limit":        func() expr.Any { return &expr.Limit{} },
	"log":          func() expr.Any { return &expr.Log{} },
	"lookup":       func() expr.Any { return &expr.Lookup{} },
	"masq":         func() expr.Any { return &expr.Masq{} },
	"match":        func() expr.Any { return &expr.Match{} },
	"meta":         func() expr.Any { return &expr.Meta{} },
	"nat":          func() expr.Any { return &expr.NAT{} },
	"objref":       func() expr.Any { return &expr.Objref{} },
	"payload":      func() expr.Any { return &expr.Payload{} },
	"queue":        func() expr.Any { return &expr.Queue{} },
	"quota":        func() expr.Any { return &expr.Quota{} },
	"range":        func() expr.Any { return &expr.Range{} },
	"redir":        func() expr.Any { return &expr.Redir{} },
	"reject":       func() expr.Any { return &expr.Reject{} },
	"target":       func() expr.Any { return &expr.Target{} },
}

// find returns a chain by table, as nft names it, and name.
func (rs *ruleset) find(table, name string) *chain {
	for _, c := range rs.chains {
		if c.Name == name && title(c.Table) == table {
			return c
		}
	}
	return nil
}

func (rs *ruleset) table(name string) *nftables.Table {
	for _, t := range rs.tables {
		if title(t) == name {
			return t
		}
	}
	return nil
}

// hookNumbers are those of linux/netfilter.h.
var hookNumbers = map[string]uint32{
	"prerouting": unix.NF_INET_PRE_ROUTING, "input": unix.NF_INET_LOCAL_IN, "forward": unix.NF_INET_FORWARD,
	"output": unix.NF_INET_LOCAL_OUT, "postrouting": unix.NF_INET_POST_ROUTING,
}

// hook returns the name of the hook of a base chain, and of others "".
func (c *chain) hook() string {
	if c.Hooknum != nil {
		for name, number := range hookNumbers {
			if number == uint32(*c.Hooknum) {
				return name
			}
		}
	}
	return ""
}

// on returns the base chains that a packet of the family meets on the hook, but those that
// translate, in the order in which it meets them.
func (rs *ruleset) on(hook string, family byte) []*chain {
	var found []*chain
	for _, c := range rs.chains {
		met := c.Table.Family == nftables.TableFamilyINet || byte(c.Table.Family) == family
		if met && c.hook() == hook && c.Type != nftables.ChainTypeNAT {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *chain) int { return int(*a.Priority) - int(*b.Priority) })
	return found
}

// drops reports whether a base chain drops what comes to its end.
func (c *chain) drops() bool {
	return c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop
}

// iptables reports whether iptables-nft manages the chain's table.
func (rs *ruleset) iptables(t *nftables.Table) bool {
	if t.Family == nftables.TableFamilyINet {
		return false
	}
	return slices.ContainsFunc(rs.chains, func(c *chain) bool {
		return c.Table.Name == t.Name && c.Table.Family == t.Family && c.hook() != "" && c.Name == strings.ToUpper(c.Name)
	})
}
