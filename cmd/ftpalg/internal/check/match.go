package check

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// matching is a rule being tried on a packet.
type matching struct {
	sets      map[string]*set
	chain     *chain
	packet    *packet
	registers value // of nf_tables: 16 of 4 bytes each

	holds answer // whether what came so far lets the rule go on
	// verdicts are what the rule may end with. One that holds does end it; behind others
	// the rule may end without any.
	verdicts []verdict
	// strange is set behind what is not understood and may do anything.
	strange bool
}

type verdict struct {
	holds answer
	*expr.Verdict
}

// tagName is the name of the expression that stands for both conditions of the accept line.
const tagName = "ftpalg tag"

// match tries a rule. The packet's mark is changed as the rule changes it.
func (rs *ruleset) match(r *rule, p *packet) matching {
	m := matching{sets: rs.sets, chain: r.chain, packet: p, registers: unknown(64), holds: yes}
	for _, e := range r.exprs {
		m.step(e)
		if m.holds == no || slices.ContainsFunc(m.verdicts, func(v verdict) bool { return v.holds == yes }) {
			break
		}
	}
	return m
}

// place returns where a register begins: those from 8 on are of 4 bytes, the first of 16.
func place(register uint32) int {
	if register >= unix.NFT_REG32_00 {
		return int(register-unix.NFT_REG32_00) * 4
	}
	return int(register-unix.NFT_REG_1) * 16
}

// load puts a value into a register, which is filled up with zeros as the kernel does.
func (m *matching) load(register uint32, v value) {
	at := place(register)
	if at < 0 || at+len(v.bytes) > len(m.registers.bytes) {
		m.registers = unknown(len(m.registers.bytes))
		return
	}
	copy(m.registers.bytes[at:], v.bytes)
	copy(m.registers.known[at:], v.known)
	for i := at + len(v.bytes); i%4 != 0; i++ {
		m.registers.set(i, 0)
	}
}

func (m *matching) get(register uint32, n int) value {
	if at := place(register); at >= 0 {
		return m.registers.part(at, n)
	}
	return unknown(n)
}

func (m *matching) want(a answer) { m.holds = m.holds.and(a) }

// step follows one expression. What it does not know may be so or otherwise.
func (m *matching) step(e expression) {
	if e.name == tagName {
		v, _ := m.packet.ct(expr.CtKeyLABELS)
		label, mark := bit(len(v.bytes), int(m.packet.tag.Label), true), native(m.packet.tag.Mark)
		m.want(v.bitwise(label.known, make([]byte, len(v.bytes))).equals(label.bytes))
		m.want(m.packet.mark.bitwise(mark, native(0)).equals(mark))
		return
	}
	switch e := e.Any.(type) {
	case *expr.Meta:
		m.meta(e)
	case *expr.Ct:
		if !e.SourceRegister {
			v, known := m.packet.ct(e.Key)
			if tuple := e.Key == expr.CtKeyPROTOSRC || e.Key == expr.CtKeyPROTODST; tuple && (e.Direction != 0 || m.packet.forwards) {
				v, known = unknown(2), false
			}
			m.load(e.Register, v)
			if !known {
				m.want(maybe) // the kernel gives up where there is no such thing
			}
		}
	case *expr.Payload:
		m.payload(e)
	case *expr.Immediate:
		m.load(e.Register, exactly(e.Data))
	case *expr.Bitwise:
		v := unknown(int(e.Len))
		if n := int(e.Len); len(e.Mask) == n && len(e.Xor) == n {
			v = m.get(e.SourceRegister, n).bitwise(e.Mask, e.Xor)
		}
		m.load(e.DestRegister, v)
	case *expr.Cmp:
		m.want(compare(m.get(e.Register, len(e.Data)), e.Op, e.Data))
	case *expr.Range:
		v := m.get(e.Register, len(e.FromData))
		within := v.below(e.FromData).not().and(v.above(e.ToData).not())
		if e.Op == expr.CmpOpNeq {
			within = within.not()
		}
		m.want(within)
	case *expr.Lookup:
		m.lookup(e)
	case *expr.Limit: // the packet is one of few
		m.want(truth(!e.Over))
	case *expr.Quota:
		m.want(truth(!e.Over))
	case *expr.Connlimit:
		m.want(truth(e.Flags&expr.NFT_CONNLIMIT_F_INV == 0))
	case *expr.Dynset:
		if len(e.Exprs) > 0 {
			m.want(maybe)
		}
	case *expr.Exthdr:
		if e.SourceRegister == 0 {
			m.load(e.DestRegister, unknown(16))
			m.want(maybe)
		}
	case *expr.Fib:
		m.load(e.Register, unknown(16))
	case *expr.Match:
		m.want(m.xtMatch(e))
	case *expr.Target:
		m.xtTarget(e)
	case *expr.Verdict:
		m.end(e)
	case *expr.Reject:
		m.end(&expr.Verdict{Kind: expr.VerdictDrop})
	case *expr.Queue:
		m.end(&expr.Verdict{Kind: expr.VerdictQueue})
	case *expr.Counter, *expr.Log, *expr.Objref, *expr.FlowOffload:
	case *expr.Masq, *expr.NAT, *expr.Redir: // in chains of type nat alone
		m.end(&expr.Verdict{Kind: expr.VerdictAccept})
	default:
		m.mystery()
	}
}

// mystery is an expression that is not understood: it may hold or not, and load anything.
func (m *matching) mystery() {
	m.registers = unknown(len(m.registers.bytes))
	m.want(maybe)
}

func (m *matching) end(v *expr.Verdict) {
	m.verdicts = append(m.verdicts, verdict{m.holds, v})
}

func (m *matching) meta(e *expr.Meta) {
	if !e.SourceRegister {
		v, known := m.packet.meta(e.Key)
		m.load(e.Register, v)
		if !known {
			m.want(maybe)
		}
		return
	}
	if e.Key == expr.MetaKeyMARK {
		m.setMark(m.get(e.Register, 4))
	}
}

// setMark changes the packet's mark, if the rule comes so far.
func (m *matching) setMark(v value) {
	if m.holds != yes {
		v = v.or(m.packet.mark)
	}
	m.packet.mark = v
}

func (m *matching) payload(e *expr.Payload) {
	if e.OperationType == expr.PayloadWrite {
		return
	}
	v := unknown(int(e.Len))
	switch e.Base {
	case expr.PayloadBaseNetworkHeader:
		v = m.packet.network().part(int(e.Offset), int(e.Len))
	case expr.PayloadBaseTransportHeader:
		v = m.packet.transport().part(int(e.Offset), int(e.Len))
	default: // there may be none
		m.want(maybe)
	}
	m.load(e.DestRegister, v)
}

func compare(v value, op expr.CmpOp, data []byte) answer {
	switch op {
	case expr.CmpOpEq:
		return v.equals(data)
	case expr.CmpOpNeq:
		return v.equals(data).not()
	case expr.CmpOpLt:
		return v.below(data)
	case expr.CmpOpLte:
		return v.above(data).not()
	case expr.CmpOpGt:
		return v.above(data)
	case expr.CmpOpGte:
		return v.below(data).not()
	}
	return maybe
}

// lookup follows a set, a map or a verdict map.
func (m *matching) lookup(e *expr.Lookup) {
	s := m.sets[key(m.chain.Table, e.SetName)]
	if s == nil {
		m.mystery()
		return
	}
	found := make([]answer, len(s.elements))
	any := no
	if n := s.keyLen(); n > 0 {
		v := m.get(e.SourceRegister, n)
		for i := range s.elements {
			found[i] = s.holds(i, v)
			any = max(any, found[i])
		}
	}
	if s.changes() { // what is in it now may be gone, and others may come
		any = maybe
		for i := range found {
			found[i] = min(found[i], maybe)
		}
	}
	switch {
	case !s.IsMap && e.Invert:
		m.want(any.not())
	case !s.IsMap:
		m.want(any)
	case e.IsDestRegSet && e.DestRegister != unix.NFT_REG_VERDICT:
		m.want(any)
		m.load(e.DestRegister, unknown(16))
	default:
		m.want(any)
		for i, el := range s.elements {
			if found[i] != no {
				m.verdicts = append(m.verdicts, verdict{m.holds.and(found[i]), verdictOf(el.Val)})
			}
		}
		if s.changes() {
			m.strange = true
		}
	}
}

// changes reports whether packets, or time, change what is in the set.
func (s *set) changes() bool { return s.Dynamic || s.HasTimeout }

// keyLen returns the size of a key, 0 if there is none.
func (s *set) keyLen() (n int) {
	for _, el := range s.elements {
		n = max(n, len(el.Key))
	}
	return n
}

// verdictOf reads the data of an element of a verdict map: the attributes of
// NFTA_DATA_VERDICT, which the library leaves as they are.
func verdictOf(data []byte) *expr.Verdict {
	v := &expr.Verdict{Kind: expr.VerdictQueue} // one that is not understood decides anything
	attributes, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return v
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_VERDICT_CODE:
			v.Kind = expr.VerdictKind(int32(attributes.Uint32()))
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = attributes.String()
		}
	}
	return v
}

// holds reports whether the value is in an element of the set.
func (s *set) holds(i int, v value) answer {
	el := s.elements[i]
	switch {
	case len(el.Key) != len(v.bytes):
		return maybe
	case len(el.KeyEnd) > 0: // ranges of several fields together
		if bytes.Equal(el.Key, el.KeyEnd) {
			return v.equals(el.Key)
		}
		return maybe
	case !s.Interval:
		return v.equals(el.Key)
	case el.IntervalEnd:
		return no
	}
	// An interval goes on until the next element, which is its end or the next one's begin.
	within := v.below(el.Key).not()
	if next := s.next[i]; next != nil {
		within = within.and(v.below(next))
	}
	return within
}
