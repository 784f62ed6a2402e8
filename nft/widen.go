package nft

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// Widen has the table know more ranges of ports: of active data connections, as
// Config.SourcePorts has them, and of Config.FTPS. Those that it knows stay, and so does what
// its sets have; it is one transaction. A table that another process took away knows them when
// Restore has put it back. The error is ErrNoCount as in Install, and otherwise wraps the
// kernel's errno; then nothing has changed.
func (t *Table) Widen(source, ftps []alg.Ports) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return errClosed
	}
	cfg := t.cfg
	cfg.SourcePorts, cfg.FTPS = united(cfg.SourcePorts, source), united(cfg.FTPS, ftps)
	if len(cfg.SourcePorts) == len(t.cfg.SourcePorts) && len(cfg.FTPS) == len(t.cfg.FTPS) {
		return nil
	}
	err := cfg.check()
	if err == nil && len(cfg.FTPS) > 0 && !t.caps.Count {
		err = ErrNoCount
	}
	if err == nil {
		err = t.widen(cfg)
	}
	if errors.Is(err, unix.ENOENT) && !t.there(tableName) {
		err = nil // Restore will have it know them
	}
	if err != nil {
		return fmt.Errorf("adding ranges of ports to nft table inet %s: %w", tableName, err)
	}
	t.cfg, t.active, t.ftps = cfg, activeSets(cfg), ftpsSets(cfg)
	return nil
}

// widen adds the sets that are new, and has the chains anew.
func (t *Table) widen(cfg Config) error {
	old, rs := newRuleset(t.cfg, t.caps), newRuleset(cfg, t.caps)
	table := inet(rs.table)
	for _, s := range rs.sets {
		if !slices.ContainsFunc(old.sets, func(o set) bool { return o.name == s.name }) {
			if err := t.addSet(table, s); err != nil {
				return err
			}
		}
	}
	for _, c := range old.all() {
		t.conn.FlushChain(&nftables.Chain{Name: c.name, Table: table})
	}
	t.addChains(table, rs.all())
	return t.conn.Flush()
}

// united returns the ranges of both, each once.
func united(a, b []alg.Ports) []alg.Ports {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b alg.Ports) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	})
	return slices.Compact(all)
}
