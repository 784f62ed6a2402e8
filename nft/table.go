package nft

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

var errClosed = fmt.Errorf("nft table inet %s: %w", tableName, net.ErrClosed)

// Table is the installed table. It is safe for concurrent use: all calls share the one
// socket that owns the table, one at a time.
type Table struct {
	caps         Caps
	active, ftps []rangeSet // where elements go, by ports

	mu   sync.Mutex
	cfg  Config
	conn *nftables.Conn // nil: closed
	fd   int            // of conn
	seq  uint32
	out  messages
	in   []byte
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
		caps: caps, active: activeSets(cfg), ftps: ftpsSets(cfg),
		cfg: cfg, in: make([]byte, maxReply), seq: 1,
	}
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(t.socket))
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	t.conn = conn
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
	if err := unix.Dup3(s, fd, unix.O_CLOEXEC); err != nil { // closes the old one, which sets its address free
		return fmt.Errorf("replacing a netlink socket: %w", err)
	}
	if err := unix.Bind(fd, name); err != nil {
		return fmt.Errorf("binding a netlink socket: %w", err)
	}
	return nil
}

// install replaces the table. It is called with mu held, or before t is shared.
func (t *Table) install() error {
	rs := newRuleset(t.cfg, t.caps)
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
	if t.caps.Destroy {
		t.conn.DestroyTable(table)
	} else {
		t.conn.AddTable(table)
		t.conn.DelTable(table)
	}
	table.Flags = tableFlags(t.cfg, t.caps)
	t.conn.AddTable(table)
	if err := t.addSets(table, rs.sets); err != nil {
		return fmt.Errorf("designing nft table inet %s: %w", tableName, err)
	}
	t.addChains(table, rs.chains)
	switch err := t.conn.Flush(); {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM) && t.owned():
		return ErrInUse
	case errors.Is(err, unix.EPERM):
		return ErrPermission
	default:
		return fmt.Errorf("installing nft table inet %s: %w", tableName, err)
	}
}

// addChains adds all chains first, as rules name them.
func (t *Table) addChains(table *nftables.Table, all []chain) {
	chains := make([]*nftables.Chain, len(all))
	for i, c := range all {
		chains[i] = &nftables.Chain{Name: c.name, Table: table}
		if c.hook != "" {
			chains[i].Type = nftables.ChainTypeFilter
			chains[i].Hooknum = hooks[c.hook]
			chains[i].Priority = nftables.ChainPriorityRef(nftables.ChainPriority(c.priority))
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
		if err := t.conn.AddSet(&nftables.Set{
			Table: table, Name: s.name, KeyType: s.key.typ(), Concatenation: len(s.key) > 1,
			Dynamic: true, HasTimeout: !s.untimed, Timeout: s.timeout, Size: s.size(t.cfg),
		}, nil); err != nil {
			return err
		}
	}
	return nil
}

// owned reports whether another socket owns the table.
func (t *Table) owned() bool {
	table, err := t.conn.ListTableOfFamily(tableName, nftables.TableFamilyINet)
	return err == nil && table.Flags&nftables.TableFlagOwner != 0
}

// Restore puts the table back if another process took it away, without the pinholes
// it had, and reports whether it did. That can happen to a table that is not owned,
// as the reload of a firewall often begins with `flush ruleset`.
func (t *Table) Restore() (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return false, errClosed
	}
	_, err := t.conn.ListTableOfFamily(tableName, nftables.TableFamilyINet)
	switch {
	case err == nil:
		return false, nil
	case !errors.Is(err, unix.ENOENT):
		return false, fmt.Errorf("looking for nft table inet %s: %w", tableName, err)
	}
	err = t.install()
	return err == nil, err
}

// Close takes the table away. With Config.Bypass false the table stays, so that
// control packets are dropped while no one listens, but for connections that were
// released; its pinholes are closed. To be rid of it: `nft delete table inet ftpalg`.
// A second Close does nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
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
	if err := errors.Join(err, t.conn.CloseLasting()); err != nil {
		return fmt.Errorf("leaving nft table inet %s: %w", tableName, err)
	}
	t.conn = nil
	return nil
}
