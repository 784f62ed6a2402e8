package nft

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// anchorComment marks the lines that are ours to take away.
const anchorComment = "inserted by ftpalg"

// Anchor is the accept line (see Tag.Line) in chains of the operator's: without it what
// a pinhole admits is dropped there. It is safe for concurrent use.
type Anchor struct {
	table  *nftables.Table
	chains []string
	tag    Tag

	mu      sync.Mutex
	conn    *nftables.Conn
	handles map[string]uint64 // of our line, by chain
}

// OpenAnchor names the operator's table, as nft does ("inet filter"; of family inet, ip
// or ip6), and the chains in it. Neither need exist yet. The network namespace is that
// of the calling thread.
func OpenAnchor(table string, chains []string, tag Tag) (*Anchor, error) {
	family, name, _ := strings.Cut(table, " ")
	families := map[string]nftables.TableFamily{
		"inet": nftables.TableFamilyINet, "ip": nftables.TableFamilyIPv4, "ip6": nftables.TableFamilyIPv6,
	}
	f, ok := families[family]
	if !ok || name == "" || strings.Contains(name, " ") {
		return nil, fmt.Errorf("nft table %q is not of the form \"inet NAME\", \"ip NAME\" or \"ip6 NAME\"", table)
	}
	if len(chains) == 0 {
		return nil, fmt.Errorf("no chain of nft table %s is named", table)
	}
	if err := tag.check(); err != nil {
		return nil, err
	}
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	return &Anchor{
		table:   &nftables.Table{Family: f, Name: name},
		chains:  slices.Clone(chains),
		tag:     tag,
		conn:    conn,
		handles: make(map[string]uint64),
	}, nil
}

// Ensure inserts the line at the top of every chain that lacks it, and reports whether
// one did. Lines of an earlier process serve if they ask for the whole of the same tag, and
// are taken away otherwise. The error names what is missing and wraps ENOENT, or the errno of
// what the kernel refused.
func (a *Anchor) Ensure() (inserted bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn == nil {
		return false, a.errClosed()
	}
	if a.stands() {
		return false, nil
	}
	line, err := a.line()
	if err != nil {
		return false, err
	}
	there := make([][]*nftables.Rule, len(a.chains)) // all of them, before anything waits to be sent
	for i, name := range a.chains {
		if there[i], err = a.rules(name); err != nil {
			return false, err
		}
	}
	var added []*nftables.Rule
	for i, name := range a.chains {
		chain := &nftables.Chain{Table: a.table, Name: name}
		delete(a.handles, name)
		for _, r := range there[i] {
			switch {
			case !isOurs(r):
			case a.handles[name] == 0 && a.tag.isLine(r.Exprs):
				a.handles[name] = r.Handle
			default:
				if err := a.conn.DelRule(r); err != nil {
					return false, err
				}
			}
		}
		if a.handles[name] == 0 {
			added = append(added, a.conn.InsertRule(&nftables.Rule{
				Table: a.table, Chain: chain, Exprs: line.exprs(),
				UserData: anchorData,
			}))
		}
	}
	if err := a.conn.Flush(); err != nil {
		if owned(a.conn, a.table) {
			err = fmt.Errorf("%s belongs to another process, and nobody else can change it: %w", a, err)
		}
		return false, fmt.Errorf("inserting %q into nft table %s: %w", line.text(), a, err)
	}
	for _, r := range added {
		a.handles[r.Chain.Name] = r.Handle
	}
	return len(added) > 0, nil
}

// stands reports whether every line is where it was. It asks for single rules: the
// operator's chains may be long. A handle alone says little, as a new table counts
// them from 1 again.
func (a *Anchor) stands() bool {
	for _, name := range a.chains {
		handle := a.handles[name]
		if handle == 0 {
			return false
		}
		r, err := a.conn.GetRuleByHandle(a.table, &nftables.Chain{Table: a.table, Name: name}, handle)
		if err != nil || !isOurs(r) || !a.tag.isLine(r.Exprs) {
			return false
		}
	}
	return true
}

// Remove takes away the lines that Ensure put into the chains, and nothing else. Where
// the table or a chain is gone there is nothing to do.
func (a *Anchor) Remove() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn == nil {
		return a.errClosed()
	}
	clear(a.handles)
	for _, name := range a.chains {
		rules, err := a.rules(name)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		for _, r := range rules {
			if isOurs(r) {
				if err := a.conn.DelRule(r); err != nil {
					return err
				}
			}
		}
	}
	if err := a.conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("removing the accept line from nft table %s: %w", a, err)
	}
	return nil
}

// Close gives the socket back. The lines stay: see Remove.
func (a *Anchor) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn == nil {
		return nil
	}
	err := a.conn.CloseLasting()
	a.conn = nil
	return err
}

// String returns the table's name as nft has it.
func (a *Anchor) String() string { return nameOf(a.table) }

// nameOf returns a table's name as nft has it: "inet filter".
func nameOf(t *nftables.Table) string {
	family := map[nftables.TableFamily]string{
		nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
	}[t.Family]
	return family + " " + t.Name
}

func (a *Anchor) errClosed() error { return fmt.Errorf("anchor in nft table %s: %w", a, net.ErrClosed) }

// anchorData is the comment as nft stores it. Other programs store there what they
// like, so it is compared as a whole and never parsed.
var anchorData = userdata.AppendString(nil, userdata.TypeComment, anchorComment)

// isOurs reports whether the rule bears our comment.
func isOurs(r *nftables.Rule) bool { return bytes.Equal(r.UserData, anchorData) }
