package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// Where our chains that translate stand: right before the operator's. What ours translate
// his do not see (nf_nat_inet_fn), and where ours find nothing, his run as ever.
const (
	beforeDNAT = -1
	beforeSNAT = -1
)

// newTranslation returns the chains that translate a data connection as its control
// connection is, and the one that keeps the gateway's own ports apart from those that
// stand for a client's or a server's.
//
// Where a connection comes from keeps its port if that is free, as active mode's 20 is
// most of the time. Two servers that connect from it to one port of a client cannot both
// have it at one address, so the map has none.
func newTranslation() []chain {
	in := chain{name: "translate_prerouting", hook: "prerouting", priority: beforeDNAT, nat: "dstnat"}
	out := chain{name: "translate_postrouting", hook: "postrouting", priority: beforeSNAT, nat: "srcnat"}
	own := chain{name: "outside_input", hook: "input", priority: beforeFilter}
	for _, f := range families {
		// dnat ip to ip saddr . ip daddr . tcp dport map @dnat4
		in.rules = append(in.rules, rule{f.anyPort().dnat(f, mapDNAT+f.suffix)})
		// snat ip to ip saddr . ip daddr . tcp dport map @snat4
		out.rules = append(out.rules, rule{f.anyPort().snat(f, mapSNAT+f.suffix)})
		// A SYN that was not translated, as its flow stood before the element or was killed.
		//
		// tcp flags & (fin|syn|rst|ack) == syn ip saddr . ip daddr . tcp dport @outside4 drop
		own.rules = append(own.rules, rule{isSYN, f.anyPort().in(setOutside + f.suffix), drop})
	}
	return []chain{in, out, own}
}

// newUnannounced returns the rules that drop what our map has translated and no pinhole
// admits, a SYN or not. The operator may accept whatever is translated: firewalld does.
//
// Between prerouting and here an element may go. So the set has it longer than the map.
func newUnannounced() []rule {
	var rules []rule
	for _, f := range families {
		// ct state new ct status dnat ip saddr . ip daddr . tcp dport @translated4 drop
		rules = append(rules, rule{isNew, isForwarded, f.anyPort().in(setTranslated + f.suffix), drop})
	}
	return rules
}

// translation is the elements of a pinhole that is addressed to another address, or whose
// end that listens sees another. Those that are not needed have no set.
type translation struct{ dnat, snat, outside, translated element }

// name names them. The error is EINVAL where they make no sense.
func (t *translation) name(p alg.Pinhole) error {
	if p.At.IsValid() {
		if p.At.Port() == 0 || p.At.Addr().Is4() != p.Dest.Addr().Is4() {
			return fmt.Errorf("address %v in place of %v: %w", p.At, p.Dest, unix.EINVAL)
		}
		if err := errors.Join(
			t.dnat.name(mapDNAT, p.Source, 0, p.At),
			t.outside.name(setOutside, p.Source, 0, p.At),
			t.translated.name(setTranslated, p.Source, 0, p.Dest),
		); err != nil {
			return err
		}
		t.dnat.holds(p.Dest)
	}
	if p.As.IsValid() {
		if p.As.Is4() != p.Source.Is4() || p.As.Is4In6() {
			return fmt.Errorf("address %v in place of %v: %w", p.As, p.Source, unix.EINVAL)
		}
		if err := t.snat.name(mapSNAT, p.Source, 0, p.Dest); err != nil {
			return err
		}
		t.snat.holds(netip.AddrPortFrom(p.As, 0))
	}
	return nil
}

// changeTranslation is changePinhole for what a pinhole is translated by. It lives as long as
// the transfer: the use is taken by the pinhole, and the repetition of a SYN that was lost
// before it left the gateway is translated again.
func (t *Table) changeTranslation(op *alg.Op, seq uint32) error {
	var tr translation
	if !t.translates {
		return fmt.Errorf("the table was made without translation: %w", unix.EINVAL)
	}
	if err := tr.name(op.Pinhole); err != nil {
		return err
	}
	if op.Kind == alg.OpClose {
		for _, e := range []*element{&tr.dnat, &tr.snat, &tr.outside} {
			if e.set != "" {
				t.remove(e, seq, 0)
			}
		}
		if tr.translated.set == "" {
			return nil
		}
		return t.put(&tr.translated, lingersFor, seq, 0)
	}
	for _, e := range []*element{&tr.dnat, &tr.snat} {
		if e.set != "" {
			if err := t.claim(e, 2*op.Timeout, seq); err != nil {
				return err
			}
		}
	}
	if tr.outside.set == "" {
		return nil
	}
	if err := t.put(&tr.outside, 2*op.Timeout, seq, 0); err != nil {
		return err
	}
	return t.put(&tr.translated, 2*op.Timeout+lingersFor, seq, 0)
}

// claim is put for an element of a map. The kernel refuses to add one that is there with
// another value, whereas put would take it away from whom it belongs to. So what is there
// is not destroyed: it is added, and then taken away to get a fresh time-out.
func (t *Table) claim(e *element, timeout time.Duration, seq uint32) error {
	if timeout < time.Millisecond {
		return fmt.Errorf("time-out %v: %w", timeout, unix.EINVAL)
	}
	e.timeout = timeout
	t.add(e, seq, 0)
	e.write(&t.out, unix.NFT_MSG_DELSETELEM, 0, seq)
	t.add(e, seq, 0)
	return nil
}
