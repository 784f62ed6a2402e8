package nft

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

var _ alg.Pinholes = (*Table)(nil)

// Commit makes all changes in one transaction, in order, and returns after the kernel
// has acknowledged it. After an error none of them is in force. The error wraps the
// kernel's errno: EINVAL, a value that makes no sense; EEXIST, what Pinhole.At or As asks
// for stands for another connection already; ENFILE, a set is full; ENOENT, another process
// took a table away (see Restore); ENOBUFS, twice the kernel had no memory for an answer, and
// what is in force is not known.
//
// It takes one system call to send and one to receive, and nothing from the heap.
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
	seq, err := exchange(t.fd, &t.out, t.in, first, end-1, false)
	return seq - first, err
}

// change writes the messages of one operation. Its last message is acknowledged if
// the operation is the last one.
func (t *Table) change(op *alg.Op, seq uint32, last bool) error {
	var ack uint16
	if last {
		ack = unix.NLM_F_ACK
	}
	var e element
	switch op.Kind {
	case alg.OpOpen, alg.OpClose:
		return t.changePinhole(op, seq, ack)
	case alg.OpRelease:
		if err := e.flow(setReleased, op.Flow); err != nil {
			return err
		}
		if t.guarded {
			t.add(&e, seq, 0)
			e.table = guardName
		}
		t.add(&e, seq, ack)
		return nil
	case alg.OpWatch:
		if err := e.flow(setWatched, op.Flow); err != nil || !t.caps.InnerHeader {
			return err
		}
		return t.put(&e, op.Timeout, seq, ack)
	case alg.OpAdmit, alg.OpRevoke:
		if err := e.admitted(op.Range, t.ftps); err != nil {
			return err
		}
		if op.Kind == alg.OpAdmit {
			return t.put(&e, op.Timeout, seq, ack)
		}
		t.remove(&e, seq, ack)
		return nil
	}
	return fmt.Errorf("operation %d: %w", op.Kind, unix.EINVAL)
}

// changePinhole opens or closes a pinhole. Its transfer is given twice the time, as it may
// begin in the last moment of the pinhole's, and its SYN be repeated after that.
func (t *Table) changePinhole(op *alg.Op, seq uint32, ack uint16) error {
	var e, transfer element
	if err := e.pinhole(op.Pinhole, t.active); err != nil {
		return err
	}
	if err := transfer.transfer(op.Pinhole); err != nil {
		return err
	}
	if op.Pinhole.At.IsValid() || op.Pinhole.As.IsValid() {
		if err := t.changeTranslation(op, seq); err != nil {
			return err
		}
	}
	if op.Kind == alg.OpClose {
		t.remove(&e, seq, 0)
		t.remove(&transfer, seq, ack)
		return nil
	}
	if err := t.put(&e, op.Timeout, seq, 0); err != nil {
		return err
	}
	return t.put(&transfer, 2*op.Timeout, seq, ack)
}

// put adds the element with a fresh time-out, whether it is there or not: adding alone
// does that only from Linux 6.12 on.
func (t *Table) put(e *element, timeout time.Duration, seq uint32, ack uint16) error {
	// A time-out of 0 would be none at all.
	if timeout < time.Millisecond {
		return fmt.Errorf("time-out %v: %w", timeout, unix.EINVAL)
	}
	t.remove(e, seq, 0)
	e.timeout = timeout
	t.add(e, seq, ack)
	return nil
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
	err := e.pinhole(p, t.active)
	if err == nil {
		seq := t.seq
		t.seq++
		t.out.buf = t.out.buf[:0]
		e.write(&t.out, unix.NFT_MSG_GETSETELEM, 0, seq) // the answer is the element, or an error
		_, err = exchange(t.fd, &t.out, t.in, seq, seq, true)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOENT):
		return false, nil
	}
	return false, fmt.Errorf("looking up %s in nft table inet %s: %w", describePinhole(p), tableName, err)
}

// describe says what an operation was to do.
func describe(op alg.Op) string {
	switch op.Kind {
	case alg.OpOpen:
		return "opening " + describePinhole(op.Pinhole)
	case alg.OpClose:
		return "closing " + describePinhole(op.Pinhole)
	case alg.OpAdmit:
		return fmt.Sprintf("admitting %v to %v ports %v", op.Range.Client, op.Range.Server, op.Range.Ports)
	case alg.OpRevoke:
		return fmt.Sprintf("revoking %v to %v ports %v", op.Range.Client, op.Range.Server, op.Range.Ports)
	}
	return fmt.Sprintf("releasing control connection %v to %v", op.Flow.Client, op.Flow.Server)
}

func describePinhole(p alg.Pinhole) string {
	text := fmt.Sprintf("pinhole %v port %v to %v", p.Source, p.SourcePorts, p.Dest)
	if p.At.IsValid() {
		text += fmt.Sprintf(" at %v", p.At)
	}
	if p.As.IsValid() {
		text += fmt.Sprintf(" as %v", p.As)
	}
	return text
}
