package check

import (
	"errors"
	"fmt"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/conntrack"
	"github.com/ftpalg/ftpalg/nft"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// Feature is something that ftpalg asks of the kernel.
type Feature struct {
	Name    string `json:"name"`
	Since   string `json:"since"` // the first Linux that can have it
	Present bool   `json:"present"`
	Lost    string `json:"lost"`   // what is lost without it
	Module  string `json:"module"` // to load, where the kernel has it as one
	// Needed: nothing works without it.
	Needed bool `json:"needed"`
}

// probed is what the answers are taken from: each question is one transaction of
// nf_tables that is never committed (nft.Probe), or a socket.
type probed struct {
	nft.Caps
	tables bool // nf_tables, ct and limit
	config *config.Config
}

// features are all of them: how each is asked for, and what it is good for.
var features = []struct {
	Feature
	probe func(probed) bool
}{
	{Feature{
		Name: "nf_tables with ct and limit", Since: "4.18", Module: "nf_tables nft_ct nft_limit", Needed: true,
		Lost: "everything",
	}, func(p probed) bool { return p.tables }},
	{Feature{
		Name: "NFQUEUE", Since: "3.10", Module: "nfnetlink_queue", Needed: true,
		Lost: "everything: no packet reaches the daemon",
	}, func(probed) bool { return queue.Supported() == nil }},
	{Feature{
		Name: "connection tracking by netlink", Since: "3.10", Module: "nf_conntrack_netlink",
		Lost: "the traffic of data connections, and sessions across a restart; nothing is translated",
	}, func(p probed) bool {
		conn, err := conntrack.Open(p.config.Table.Tag.Label + 1)
		return err == nil && conn.Close() == nil
	}},
	{Feature{
		Name: "queue statement", Since: "3.14", Module: "nft_queue",
		Lost: "nothing: the xtables target NFQUEUE serves",
	}, func(p probed) bool { return p.Queue }},
	{Feature{
		Name: "table with an owner", Since: "5.12", Module: "nf_tables",
		Lost: "a crash leaves the table, and a reload of your ruleset takes it away for a moment",
	}, func(p probed) bool { return p.Owner }},
	{Feature{
		Name: "owned table that persists", Since: "6.9", Module: "nf_tables",
		Lost: `with on_absence = "drop" the table is not owned`,
	}, func(p probed) bool { return p.Persist }},
	{Feature{
		Name: "payload of a segment (@ih)", Since: "5.16", Module: "nf_tables",
		Lost: "time: pure ACKs go to the daemon too",
	}, func(p probed) bool { return p.InnerHeader }},
	{Feature{
		Name: "destroy", Since: "6.3", Module: "nf_tables",
		Lost: "time: taking a pinhole away is two messages",
	}, func(p probed) bool { return p.Destroy }},
	{Feature{
		Name: "packet log", Since: "3.14", Module: "nft_log nfnetlink_log",
		Lost: "the event pinhole.missed, which names the setting that would have helped",
	}, func(p probed) bool { return p.Log && queue.LogSupported() == nil }},
	{Feature{
		Name: "translation in family inet", Since: "5.2", Module: "nft_chain_nat nft_nat",
		Lost: "help for connections whose addresses are translated",
	}, func(p probed) bool { return p.NAT }},
	{Feature{
		Name: "ct count", Since: "4.18", Module: "nft_connlimit",
		Lost: "ftps_ports",
	}, func(p probed) bool { return p.Count }},
}

// kernel asks for each feature.
func (r *Report) kernel(c *config.Config, caps *nft.Caps) {
	p := probed{tables: true, config: c}
	var err error
	if caps != nil {
		p.Caps = *caps
	} else if p.Caps, err = nft.Probe(); err != nil {
		p.tables = errors.Is(err, nft.ErrNoQueue)
	}
	if errors.Is(err, nft.ErrPermission) {
		r.blind(err)
		return
	}
	for _, f := range features {
		f.Present = f.probe(p)
		r.Kernel = append(r.Kernel, f.Feature)
		if f.Present {
			continue
		}
		r.lacks(f.Feature, c, err)
	}
	if errors.Is(err, nft.ErrNoQueue) {
		r.problem("kernel", err.Error(), "modprobe -a nft_queue # or: nft_compat xt_NFQUEUE")
	}
}

// lacks tells of what the kernel has not, and of what is lost only where the configuration
// asks for it.
func (r *Report) lacks(f Feature, c *config.Config, err error) {
	text := fmt.Sprintf("the kernel lacks %s (Linux %s): without it is lost %s", f.Name, f.Since, f.Lost)
	mend := "modprobe -a " + f.Module
	switch {
	case f.Needed && err != nil:
		r.problem("kernel", fmt.Sprintf("%s (%v)", text, err), mend)
	case f.Needed, f.Name == "ct count" && len(c.Table.FTPS) > 0:
		r.problem("kernel", text, mend)
	case f.Name == "ct count", f.Name == "queue statement", f.Name == "owned table that persists" && c.Table.Bypass:
		// Nothing is lost here.
	default:
		r.note("kernel", text, mend)
	}
}
