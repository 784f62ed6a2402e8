package nft

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

var errClosed = fmt.Errorf("nft table inet %s: %w", tableName, net.ErrClosed)

// Table is the installed table, and the guard beside it where there is one: see Guard. It is
// safe for concurrent use: all calls share the one socket that owns the table, one at a time.
type Table struct {
	caps         Caps
	active, ftps []rangeSet // where elements go, by ports
	translates   bool

	mu      sync.Mutex
	cfg     Config
	guarded bool           // there is to be a guard
	conn    *nftables.Conn // nil: closed
	fd      int            // of conn
	seq     uint32
	out     messages
	in      []byte
}

// Install puts the table in place, in one transaction that also takes away what an
// earlier process left. The error is ErrInUse if the table has another living owner,
// ErrPermission without CAP_NET_ADMIN, ErrNoCount where Config.FTPS asks for more than the
// kernel can, and otherwise wraps the kernel's errno.
//
// The network namespace is that of the calling thread.
func Install(cfg Config, caps Caps) (*Table, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("nft table inet %s: %w", tableName, err)
	}
	if len(cfg.FTPS) > 0 && !caps.Count {
		return nil, fmt.Errorf("nft table inet %s: %w", tableName, ErrNoCount)
	}
	t := &Table{
		caps: caps, active: activeSets(cfg), ftps: ftpsSets(cfg), translates: cfg.Translates(caps),
		cfg: cfg, in: make([]byte, maxReply), seq: 1,
	}
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(t.socket))
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	t.conn = conn
	t.guarded = t.translates && t.there(guardName) // an earlier process had connections to guard
	if err := t.install(); err != nil {
		return nil, errors.Join(err, conn.CloseLasting())
	}
	return t, nil
}

// socket takes the socket's descriptor, for messages of our own. It is good for as
// long as conn is open, and does not block.
func (t *Table) socket(c *netlink.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if controlErr := raw.Control(func(fd uintptr) {
		t.fd = int(fd)
		err = unpolled(t.fd)
	}); err == nil {
		err = controlErr
	}
	if err != nil {
		return err
	}
	// A transaction is one message to the socket, so the buffer bounds it.
	if err := c.SetWriteBuffer(1 << 20); err != nil {
		return err
	}
	// An answer need not bear the whole question.
	return c.SetOption(netlink.CapAcknowledge, true)
}

// unpolled puts a new socket in the place of a netlink socket, with the same address. The
// runtime's poller knows nothing of it: of the old one it would hear of every
// acknowledgement, and wake a thread for it that finds nothing to do, which takes longer than
// the transaction. Nobody waits for this socket: what the kernel has to say is there when
// the question was sent (nfnetlink_rcv).
func unpolled(fd int) error {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("reading the address of a netlink socket: %w", err)
	}
	// Package mdlayher/socket counts on one that does not block.
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("opening a netfilter netlink socket: %w", err)
	}
	defer func() { _ = unix.Close(s) }()
	if err := unix.Dup3(s, fd, unix.O_CLOEXEC); err != nil { // closes the old one
		return fmt.Errorf("replacing a netlink socket: %w", err)
	}
	err = unix.Bind(fd, name)
	for tries := 0; errors.Is(err, unix.EADDRINUSE) && tries < 1000; tries++ {
		// The poller may be looking at the old one, which lives as long (epi_fget).
		time.Sleep(time.Millisecond)
		err = unix.Bind(fd, name)
	}
	if err != nil {
		return fmt.Errorf("binding a netlink socket: %w", err)
	}
	return nil
}

// install replaces the table. It is called with mu held, or before t is shared.
func (t *Table) install() error {
	for _, rs := range t.rulesets(t.cfg) {
		if err := t.replace(rs); err != nil {
			return err
		}
	}
	switch err := t.conn.Flush(); {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM) && owned(t.conn, inet(tableName)):
		return ErrInUse
	case errors.Is(err, unix.EPERM):
		return ErrPermission
	default:
		return fmt.Errorf("installing nft table inet %s: %w", tableName, err)
	}
}

// replace puts a new table in place of what there may be, when the transaction is sent.
func (t *Table) replace(rs ruleset) error {
	t.destroy(rs.table)
	table := inet(rs.table)
	table.Flags = rs.flags
	t.conn.AddTable(table)
	if err := t.addSets(table, rs.sets); err != nil {
		return fmt.Errorf("designing nft table inet %s: %w", rs.table, err)
	}
	t.addChains(table, rs.all())
	return nil
}

// rulesets returns what is there, or is to be.
func (t *Table) rulesets(cfg Config) []ruleset {
	all := rulesets(cfg, t.caps)
	if !t.guarded {
		return all[:1]
	}
	return all
}

// there reports whether there is such a table.
func (t *Table) there(name string) bool {
	_, err := t.conn.ListTableOfFamily(name, nftables.TableFamilyINet)
	return err == nil
}

// Guard puts the guard in place, or takes it away. It is for as long as there are control
// connections that are translated: what they say must not pass unread, not even when this
// process is killed. Meanwhile the table alone does that. Where the table translates
// nothing, there is none.
func (t *Table) Guard(on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return errClosed
	}
	if on == t.guarded || !t.translates {
		return nil
	}
	var err error
	if on {
		err = t.replace(rulesets(t.cfg, t.caps)[1])
	} else {
		t.destroy(guardName)
	}
	if err == nil {
		err = t.conn.Flush()
	}
	if err != nil {
		return fmt.Errorf("guarding connections in nft table inet %s: %w", guardName, err)
	}
	t.guarded = on
	return nil
}

// destroy takes a table away that may not be there.
func (t *Table) destroy(name string) {
	if t.caps.Destroy {
		t.conn.DestroyTable(inet(name))
		return
	}
	t.conn.AddTable(inet(name))
	t.conn.DelTable(inet(name))
}

func inet(name string) *nftables.Table {
	return &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
}

// addChains adds all chains first, as rules name them.
func (t *Table) addChains(table *nftables.Table, all []chain) {
	chains := make([]*nftables.Chain, len(all))
	for i, c := range all {
		chains[i] = &nftables.Chain{Name: c.name, Table: table}
		if c.hook != "" {
			chains[i].Type, chains[i].Priority = c.place()
			chains[i].Hooknum = places[c.hook]
			policy := nftables.ChainPolicyAccept
			chains[i].Policy = &policy
		}
		t.conn.AddChain(chains[i])
	}
	for i, c := range all {
		for _, r := range c.rules {
			t.conn.AddRule(&nftables.Rule{Table: table, Chain: chains[i], Exprs: r.exprs()})
		}
	}
}

func (t *Table) addSets(table *nftables.Table, sets []set) error {
	var elements []nftables.SetElement
	for _, p := range t.cfg.ports() {
		elements = append(elements, nftables.SetElement{Key: []byte{byte(p >> 8), byte(p)}})
	}
	ports := &nftables.Set{Table: table, Name: setPorts, KeyType: nftables.TypeInetService}
	if err := t.conn.AddSet(ports, elements); err != nil {
		return err
	}
	for _, s := range sets {
		if err := t.addSet(table, s); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) addSet(table *nftables.Table, s set) error {
	add := &nftables.Set{
		Table: table, Name: s.name, KeyType: s.key.typ(), Concatenation: len(s.key) > 1,
		Dynamic: true, HasTimeout: !s.untimed, Timeout: s.timeout, Size: s.size(t.cfg),
	}
	if s.data != nil {
		add.IsMap, add.DataType = true, s.data.typ()
	}
	return t.conn.AddSet(add, nil)
}

// owned reports whether the table belongs to a socket.
func owned(conn *nftables.Conn, t *nftables.Table) bool {
	table, err := conn.ListTableOfFamily(t.Name, t.Family)
	return err == nil && table.Flags&nftables.TableFlagOwner != 0
}

// Restore puts back what another process took away, the table without the pinholes it had,
// and reports whether it did. That can happen to a table that is not owned, which the guard
// never is, as the reload of a firewall often begins with `flush ruleset`.
func (t *Table) Restore() (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return false, errClosed
	}
	for i, rs := range t.rulesets(t.cfg) {
		_, err := t.conn.ListTableOfFamily(rs.table, nftables.TableFamilyINet)
		switch {
		case err == nil:
			continue
		case !errors.Is(err, unix.ENOENT):
			return false, fmt.Errorf("looking for nft table inet %s: %w", rs.table, err)
		case i == 0:
			err = t.install()
			return err == nil, err
		}
		if err = t.replace(rs); err == nil {
			err = t.conn.Flush()
		}
		if err != nil {
			return false, fmt.Errorf("restoring nft table inet %s: %w", rs.table, err)
		}
		return true, nil
	}
	return false, nil
}

// Close takes the table away, and the guard. With Config.Bypass false the table stays, so
// that control packets are dropped while no one listens, but for connections that were
// released; its pinholes are closed. To be rid of it: `nft delete table inet ftpalg`.
// A second Close does nothing.
func (t *Table) Close() error { return t.close(false) }

// CloseGuarded is Close, but the guard stays: what control connections that are followed
// through a translation say is dropped while no one listens. It is for when there are such.
func (t *Table) CloseGuarded() error { return t.close(true) }

func (t *Table) close(guarded bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	var errs []error
	if !guarded && t.guarded {
		t.destroy(guardName)
		errs = append(errs, t.conn.Flush())
	}
	table := inet(tableName)
	if t.cfg.Bypass {
		t.conn.DelTable(table)
	} else {
		for _, s := range newSets(t.cfg, t.caps) {
			if s.admits {
				t.conn.FlushSet(&nftables.Set{Table: table, Name: s.name})
			}
		}
	}
	err := t.conn.Flush()
	if errors.Is(err, unix.ENOENT) {
		err = nil // someone else did it
	}
	if err := errors.Join(append(errs, err, t.conn.CloseLasting())...); err != nil {
		return fmt.Errorf("leaving nft table inet %s: %w", tableName, err)
	}
	t.conn = nil
	return nil
}
