package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What can be wrong with the machine, for errors.Is.
var (
	// ErrPermission: the kernel refuses every question about its rules.
	ErrPermission = errors.New("the capability CAP_NET_ADMIN is missing: run as root, or grant it")
	// ErrNoTables: nothing can be done with this kernel.
	ErrNoTables = errors.New("this kernel has no nf_tables")
	// ErrNoQueue: control connections cannot be diverted.
	ErrNoQueue = errors.New("this kernel has neither the nft queue statement (CONFIG_NFT_QUEUE) nor the xtables target NFQUEUE")
	// ErrNoCount: what is admitted under TLS could not be bounded.
	ErrNoCount = errors.New("this kernel cannot count the connections of a client (CONFIG_NFT_CONNLIMIT), which ftps_ports needs")
	// ErrInUse: the table belongs to a living process.
	ErrInUse = errors.New("another ftpalg runs here: the nft table inet ftpalg has an owner")
)

// Caps is what the kernel at hand can do beyond what is always needed.
type Caps struct {
	Owner       bool // a table that lives and dies with its socket (Linux 5.12)
	Persist     bool // an owned table that outlives its socket (6.9)
	Queue       bool // the queue statement; otherwise the xtables target serves
	InnerHeader bool // @ih, the payload of a segment (5.16); otherwise pure ACKs are diverted too
	Destroy     bool // taking away what is not there is no error (6.3)
	Log         bool // the log statement with a group; otherwise near misses are not heard
	NAT         bool // translation in family inet (5.2); otherwise no translated connection is helped
	Count       bool // the ct count statement; otherwise Config.FTPS is refused
}

// Probe asks the kernel what it can do. It leaves everything as it is: each question is a
// transaction that cannot be committed, and takes about 10 ms for that. The
// error is ErrPermission, ErrNoTables or ErrNoQueue, or names what the kernel lacks.
func Probe() (Caps, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return Caps{}, fmt.Errorf("%w: %w", ErrNoTables, err)
	}
	defer conn.CloseLasting()

	cfg := Config{Queue: 1, Workers: 1}
	if caps, ok := probeAll(conn, cfg); ok {
		return caps, caps.checkQueue(conn, cfg)
	}
	for _, must := range []struct {
		name  string
		rules []rule
	}{
		{"nf_tables", nil},
		{"connection tracking in nf_tables (CONFIG_NFT_CT)", []rule{{isNew}}},
		{"the limit statement (CONFIG_NFT_LIMIT)", []rule{{oneSYN}}},
	} {
		switch err := try(conn, 0, must.rules...); {
		case err == nil:
		case errors.Is(err, unix.EPERM):
			return Caps{}, ErrPermission
		case must.rules == nil:
			return Caps{}, fmt.Errorf("%w: %w", ErrNoTables, err)
		default:
			return Caps{}, fmt.Errorf("this kernel lacks %s: %w", must.name, err)
		}
	}

	caps := probeEach(conn, cfg)
	return caps, caps.checkQueue(conn, cfg)
}

// question is what the kernel is asked about one of the Caps.
type question struct {
	about func(*Caps) *bool
	flags nftables.TableFlags
	rule  rule // nil: about the flags alone
}

// questions are all but those about Queue and Destroy.
func questions(cfg Config) []question {
	return []question{
		{func(c *Caps) *bool { return &c.Owner }, nftables.TableFlagOwner, nil},
		{func(c *Caps) *bool { return &c.Persist }, nftables.TableFlagOwner | nftables.TableFlagPersist, nil},
		{func(c *Caps) *bool { return &c.InnerHeader }, 0, rule{hasPayload}},
		{func(c *Caps) *bool { return &c.Log }, 0, rule{log("probe", cfg)}},
		{func(c *Caps) *bool { return &c.NAT }, 0, rule{{exprs: []expr.Any{
			&expr.Immediate{Register: 1, Data: native(0)},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
		}}}},
		{func(c *Caps) *bool { return &c.Count }, 0, rule{count(maxFTPS)}},
	}
}

// destroyProbe begins a transaction with what old kernels do not know.
func destroyProbe(conn *nftables.Conn) {
	conn.DestroyTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: probeName})
}

func canQueue(conn *nftables.Conn, cfg Config) bool {
	return try(conn, 0, rule{queue(cfg, Caps{Queue: true})}) == nil
}

// probeAll asks in one transaction whether the kernel can do everything, and in one more
// about the queue statement, which new kernels may lack too. ok is false where it cannot.
func probeAll(conn *nftables.Conn, cfg Config) (caps Caps, ok bool) {
	flags, rules := nftables.TableFlags(0), []rule{{isNew}, {oneSYN}}
	for _, q := range questions(cfg) {
		*q.about(&caps) = true
		flags |= q.flags
		if q.rule != nil {
			rules = append(rules, q.rule)
		}
	}
	destroyProbe(conn)
	if try(conn, flags, rules...) != nil {
		return Caps{}, false
	}
	caps.Destroy, caps.Queue = true, canQueue(conn, cfg)
	return caps, true
}

// probeEach asks about one thing after the other.
func probeEach(conn *nftables.Conn, cfg Config) (caps Caps) {
	for _, q := range questions(cfg) {
		var rules []rule
		if q.rule != nil {
			rules = []rule{q.rule}
		}
		*q.about(&caps) = try(conn, q.flags, rules...) == nil
	}
	destroyProbe(conn)
	caps.Destroy = try(conn, 0) == nil
	caps.Queue = canQueue(conn, cfg)
	return caps
}

// checkQueue asks whether the xtables target is there where the queue statement is not.
func (c Caps) checkQueue(conn *nftables.Conn, cfg Config) error {
	if !c.Queue && try(conn, 0, rule{queue(cfg, c)}) != nil {
		return ErrNoQueue
	}
	return nil
}

// probeName is the table of transactions that are never committed.
const probeName = "ftpalg-probe"

// try reports why the kernel refuses a table with these flags and rules. The last
// message of the transaction makes the same table anew, which always fails: EEXIST
// says that all before it was understood.
func try(conn *nftables.Conn, flags nftables.TableFlags, rules ...rule) error {
	t := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: probeName, Flags: flags})
	if len(rules) > 0 {
		c := conn.AddChain(&nftables.Chain{Table: t, Name: "probe"})
		for _, r := range rules {
			conn.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: r.exprs()})
		}
	}
	conn.CreateTable(t)
	if err := conn.Flush(); !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("probing nf_tables: %w", err)
	}
	return nil
}

// oneSYN is true once a day: see element.
var oneSYN = limit(1, "day", expr.LimitTimeDay, 1)
