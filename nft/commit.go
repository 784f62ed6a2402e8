package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

var _ alg.Pinholes = (*Table)(nil)

// Commit makes all changes in one transaction, in order, and returns after the kernel
// has acknowledged it. After an error none of them is in force. The error wraps the
// kernel's errno: ENFILE, a set is full; ENOENT, another process took the table away
// (see Restore).
//
// It takes one system call to send and two to receive, and nothing from the heap.
func (t *Table) Commit(ops []alg.Op) error {
	if len(ops) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return errClosed
	}
	failed, err := t.commit(ops)
	if errors.Is(err, unix.ENOBUFS) {
		// Whether it happened is not known, but every change may be made twice.
		failed, err = t.commit(ops)
	}
	switch {
	case err == nil:
		return nil
	case failed < uint32(len(ops)):
		return fmt.Errorf("%s in nft table inet %s: %w", describe(ops[failed]), tableName, err)
	}
	return fmt.Errorf("committing %d changes to nft table inet %s: %w", len(ops), tableName, err)
}

// commit returns the index of the operation that failed.
func (t *Table) commit(ops []alg.Op) (failed uint32, err error) {
	first, end := t.seq, t.seq+uint32(len(ops))
	t.seq = end + 1
	t.out.buf = t.out.buf[:0]
	t.out.batch(unix.NFNL_MSG_BATCH_BEGIN, end)
	for i := range ops {
		if err := t.change(&ops[i], first+uint32(i), i == len(ops)-1); err != nil {
			return uint32(i), err
		}
	}
	t.out.batch(unix.NFNL_MSG_BATCH_END, end)
	seq, err := exchange(t.fd, &t.out, t.in, first, end-1)
	return seq - first, err
}

// change writes the messages of one operation. Its last message is acknowledged if
// the operation is the last one.
func (t *Table) change(op *alg.Op, seq uint32, last bool) error {
	var e element
	switch op.Kind {
	case alg.OpOpen, alg.OpClose:
		if err := e.pinhole(op.Pinhole, t.cfg); err != nil {
			return err
		}
	case alg.OpRelease, alg.OpDivert:
		if err := e.flow(op.Flow); err != nil {
			return err
		}
	default:
		return fmt.Errorf("operation %d: %w", op.Kind, unix.EINVAL)
	}
	var ack uint16
	if last {
		ack = unix.NLM_F_ACK
	}
	switch op.Kind {
	case alg.OpOpen:
		// A time-out of 0 would be none at all.
		if op.Timeout < time.Millisecond {
			return fmt.Errorf("time-out %v: %w", op.Timeout, unix.EINVAL)
		}
		// Only from Linux 6.12 on does adding refresh the time-out of an element that is there.
		t.remove(&e, seq, 0)
		e.timeout = op.Timeout
		t.add(&e, seq, ack)
	case alg.OpRelease:
		t.add(&e, seq, ack)
	default:
		t.remove(&e, seq, ack)
	}
	return nil
}

// write writes a message about the element.
func (e *element) write(m *messages, typ, flags uint16, seq uint32) {
	message := m.begin(typ, flags, seq)
	m.str(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
	m.str(unix.NFTA_SET_ELEM_LIST_SET, e.set, e.family)
	list := m.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	elem := m.nest(unix.NFTA_LIST_ELEM)
	k := m.nest(unix.NFTA_SET_ELEM_KEY)
	m.bytes(unix.NFTA_DATA_VALUE, e.key[:e.keyLen])
	m.close(k)
	if typ == unix.NFT_MSG_NEWSETELEM {
		if e.timeout != 0 {
			m.uint64(unix.NFTA_SET_ELEM_TIMEOUT, uint64(e.timeout.Milliseconds()))
		}
		if e.once {
			x := m.nest(unix.NFTA_SET_ELEM_EXPR)
			m.buf = append(m.buf, onePacket...)
			m.close(x)
		}
	}
	m.close(elem)
	m.close(list)
	m.end(message)
}

// add writes `add element inet ftpalg SET { KEY ... }`.
func (t *Table) add(e *element, seq uint32, flags uint16) {
	e.write(&t.out, unix.NFT_MSG_NEWSETELEM, flags|unix.NLM_F_CREATE, seq)
}

// remove writes `destroy element inet ftpalg SET { KEY }`, or, where the kernel cannot,
// the same as add and delete: the transaction fails when an element to delete is absent.
func (t *Table) remove(e *element, seq uint32, flags uint16) {
	if t.caps.Destroy {
		e.write(&t.out, msgDestroySetElem, flags, seq)
		return
	}
	t.add(e, seq, 0)
	e.write(&t.out, unix.NFT_MSG_DELSETELEM, flags, seq)
}

// Unused reports whether the pinhole is still in place: committed, not yet used by a
// connection, and not expired. It asks the kernel.
func (t *Table) Unused(p alg.Pinhole) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return false, errClosed
	}
	var e element
	err := e.pinhole(p, t.cfg)
	if err == nil {
		seq := t.seq
		t.seq++
		t.out.buf = t.out.buf[:0]
		e.write(&t.out, unix.NFT_MSG_GETSETELEM, unix.NLM_F_ACK, seq)
		_, err = exchange(t.fd, &t.out, t.in, seq, seq)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOENT):
		return false, nil
	}
	return false, fmt.Errorf("looking up %s in nft table inet %s: %w", describePinhole(p), tableName, err)
}

// element is an element of one of our sets.
type element struct {
	set     string
	family  string   // its suffix
	key     [40]byte // two addresses and two padded ports at most
	keyLen  int
	once    bool // it matches one packet
	timeout time.Duration
}

// onePacket is the marshalled limit statement of a pinhole's element.
//
// The rule that finds an element also deletes it, but `delete` does not say whether it
// was the one to do so (nft_dynset_eval): of two SYNs that look at the same moment, on
// two CPUs, both would pass. A limit is evaluated under a lock, so one of them does.
var onePacket = mustMarshal(oneSYN.exprs[0])

func mustMarshal(e expr.Any) []byte {
	b, err := expr.Marshal(unix.NFPROTO_INET, e)
	if err != nil {
		panic(err)
	}
	return b
}

// pinhole names the pinhole's element.
func (e *element) pinhole(p alg.Pinhole, cfg Config) error {
	name := setPassive
	if p.Mode == alg.Active {
		name = activeSet(cfg)
	}
	if exact := name == setActive; exact != (p.SourcePort != 0) {
		return fmt.Errorf("source port %d is not what the table was made for: %w", p.SourcePort, unix.EINVAL)
	}
	e.once = true
	return e.name(name, p.Source, p.SourcePort, p.Dest)
}

// flow names the element of a released control connection.
func (e *element) flow(f alg.Flow) error {
	return e.name(setReleased, f.Client.Addr(), f.Client.Port(), f.Server)
}

// name sets the key: source, source port if there is one, destination, its port.
func (e *element) name(set string, src netip.Addr, sport uint16, dst netip.AddrPort) error {
	e.set, e.family = set, "4"
	switch {
	case src.Is4() && dst.Addr().Is4():
	case src.Is6() && dst.Addr().Is6() && !src.Is4In6() && !dst.Addr().Is4In6():
		e.family = "6"
	default:
		return fmt.Errorf("addresses %v and %v are not of one family: %w", src, dst.Addr(), unix.EINVAL)
	}
	e.addr(src)
	if sport != 0 {
		e.port(sport)
	}
	e.addr(dst.Addr())
	e.port(dst.Port())
	return nil
}

func (e *element) addr(a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		e.keyLen += copy(e.key[e.keyLen:], b[:])
		return
	}
	b := a.As16()
	e.keyLen += copy(e.key[e.keyLen:], b[:])
}

// port takes 32 bits, as every field of a concatenation.
func (e *element) port(p uint16) {
	binary.BigEndian.PutUint16(e.key[e.keyLen:], p)
	e.keyLen += 4
}
