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

// probeEach asks for one after the other.
func probeEach(conn *nftables.Conn, cfg Config) Caps {
	can := func(flags nftables.TableFlags, r ...statement) bool { return try(conn, flags, r) == nil }
	caps := Caps{
		Owner:       can(nftables.TableFlagOwner),
		Persist:     can(nftables.TableFlagOwner | nftables.TableFlagPersist),
		Queue:       can(0, queue(cfg, Caps{Queue: true})),
		InnerHeader: can(0, hasPayload),
		Log:         can(0, log("probe", cfg)),
		NAT:         can(0, translateIPv4),
		Count:       can(0, count(maxFTPS)),
	}
	conn.DestroyTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: probeName})
	caps.Destroy = try(conn, 0) == nil
	return caps
}

// probeAll asks in one transaction whether the kernel can do all but the queue statement,
// which can be left out of a new kernel too, and in one more for that. ok is false where it
// cannot.
func probeAll(conn *nftables.Conn, cfg Config) (caps Caps, ok bool) {
	conn.DestroyTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: probeName})
	if try(conn, nftables.TableFlagOwner|nftables.TableFlagPersist,
		rule{isNew}, rule{oneSYN}, rule{hasPayload}, rule{log("probe", cfg)}, rule{translateIPv4}, rule{count(maxFTPS)}) != nil {
		return Caps{}, false
	}
	all := Caps{Owner: true, Persist: true, InnerHeader: true, Destroy: true, Log: true, NAT: true, Count: true}
	all.Queue = try(conn, 0, rule{queue(cfg, Caps{Queue: true})}) == nil
	return all, true
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

// translateIPv4 is understood where family inet can translate.
var translateIPv4 = statement{exprs: []expr.Any{
	&expr.Immediate{Register: 1, Data: native(0)},
	&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
}}

// oneSYN is true once a day: see element.
var oneSYN = limit(1, "day", expr.LimitTimeDay, 1)
