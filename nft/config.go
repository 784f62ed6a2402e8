// Package nft owns what the ALG has in nf_tables: one table with the pinholes and
// the rules that divert control connections, and the line in the operator's own
// chains that accepts what came through a pinhole.
package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ftpalg/ftpalg/alg"
)

// defaultSetSize bounds a set whose Config names no size.
const defaultSetSize = 65536

// Where our chains stand, beside the operator's at priority filter (0), unless a Config
// says otherwise.
const (
	beforeFilter = -10
	afterFilter  = 10
)

// Config says what the table does.
type Config struct {
	Ports   []uint16 // of FTP servers
	Hooks   []string // "forward" on a gateway, "input" and "output" on a single host
	Queue   uint16   // first NFQUEUE number
	Workers int      // number of queues: Queue, Queue+1, ... Queue+Workers-1; on a gateway as many again: GuardQueue
	Bypass  bool     // control packets pass while no one listens on the queue; otherwise they are dropped
	Tag     Tag      // what an admitted packet bears

	SourcePorts []alg.Ports // of active data connections: every range that a pinhole may name
	FTPS        []alg.Ports // every range that alg.OpAdmit may name

	Group   uint16 // of the packet log; 0 = Queue
	Before  int    // priority of the chains before the operator's; 0 = -10
	After   int    // priority of those after it, of up to three in a row; 0 = +10
	SetSize uint32 // the most elements of each set; 0 = 65536
}

// check refuses what would not do what it says.
func (c Config) check() error {
	switch {
	case len(c.Ports) == 0 || slices.Contains(c.Ports, 0):
		return fmt.Errorf("control ports %v: at least one, none of them 0", c.Ports)
	case len(c.Hooks) == 0:
		return errors.New("no hook is named")
	case c.Workers < 1 || int(c.Queue)+c.queues() > 1<<16:
		return fmt.Errorf("%d queues from number %d on: there must be at least one, and the last is 65535", c.queues(), c.Queue)
	case c.before() >= c.after():
		return fmt.Errorf("priority %d of the first chains is not below %d of the last", c.before(), c.after())
	}
	for _, h := range c.Hooks {
		if _, ok := hooks[h]; !ok {
			return fmt.Errorf("hook %q is none of forward, input and output", h)
		}
	}
	for _, r := range slices.Concat(c.SourcePorts, c.FTPS) {
		if !r.Any() && (r.First == 0 || r.First > r.Last) {
			return fmt.Errorf("ports %d-%d are no range", r.First, r.Last)
		}
	}
	return c.Tag.check()
}

// GuardQueue returns the first number of the queues for what must not pass unread of
// control connections whose addresses are translated: Workers queues, right behind the
// others. They are there where Translates says so.
func (c Config) GuardQueue() uint16 { return c.Queue + uint16(c.Workers) }

// Translates reports whether the table serves connections whose addresses are translated:
// on a gateway, where the kernel can.
func (c Config) Translates(caps Caps) bool { return c.gateway() && caps.NAT }

func (c Config) gateway() bool { return slices.Contains(c.Hooks, hookForward) }

// queues returns the number of all queues.
func (c Config) queues() int {
	if c.gateway() {
		return 2 * c.Workers
	}
	return c.Workers
}

// setSize returns the bound of every set.
func (c Config) setSize() uint32 {
	if c.SetSize == 0 {
		return defaultSetSize
	}
	return c.SetSize
}

func (c Config) group() uint16 {
	if c.Group == 0 {
		return c.Queue
	}
	return c.Group
}

func (c Config) before() int {
	if c.Before == 0 {
		return beforeFilter
	}
	return c.Before
}

func (c Config) after() int {
	if c.After == 0 {
		return afterFilter
	}
	return c.After
}

// ports returns the control ports as nft lists them.
func (c Config) ports() []uint16 {
	ports := slices.Clone(c.Ports)
	slices.Sort(ports)
	return slices.Compact(ports)
}

// hooks returns the named hooks, each once.
func (c Config) hooks() []string {
	var once []string
	for _, h := range c.Hooks {
		if !slices.Contains(once, h) {
			once = append(once, h)
		}
	}
	return once
}
