package check

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"

	"github.com/ftpalg/ftpalg/nft/queue"
)

// lastQueue is the last number of the queues that the daemon reads.
func (f *firewall) lastQueue() int {
	t := f.config.Table
	if slices.Contains(t.Hooks, "forward") {
		return int(t.GuardQueue()) + t.Workers - 1
	}
	return int(t.Queue) + t.Workers - 1
}

// queues looks for others that read our queues, or give packets to them. A daemon that runs
// is the one that reads them: the kernel lets nobody else.
func (f *firewall) queues(running bool) {
	first, last := int(f.config.Table.Queue), f.lastQueue()
	mend := []string{"[control]", fmt.Sprintf("queue = %d", f.freeQueue())}
	for n := first; n <= last && !running; n++ {
		if program, ok := queue.Listener(uint16(n)); ok {
			f.problem("queue", fmt.Sprintf("NFQUEUE %d is read by another program (%s), and ftpalg needs %d to %d. Give it others:", n, program, first, last), mend...)
			break
		}
	}
	for _, c := range f.rules.chains {
		for _, r := range c.rules {
			if from, to, ok := queued(r); ok && from <= last && first <= to {
				f.problem("queue", fmt.Sprintf("%s gives packets to NFQUEUE %d, and ftpalg reads %d to %d. Give it others:", r, max(from, first), first, last), mend...)
			}
		}
	}
}

// queued returns the numbers of the queues that a rule gives packets to.
func queued(r *rule) (from, to int, ok bool) {
	for _, e := range r.exprs {
		switch e := e.Any.(type) {
		case *expr.Queue:
			return int(e.Num), int(e.Num) + max(int(e.Total), 1) - 1, true
		case *expr.Target:
			// struct xt_NFQ_info_v1 to v3: number and count; before, the number alone
			if info, is := e.Info.(*xt.Unknown); is && e.Name == "NFQUEUE" && len(*info) >= 4 {
				from = int(binary.NativeEndian.Uint16(*info))
				if e.Rev == 0 {
					return from, from, true
				}
				return from, from + max(int(binary.NativeEndian.Uint16((*info)[2:])), 1) - 1, true
			}
		}
	}
	return 0, 0, false
}

// freeQueue returns the first number, in steps of a hundred, from which on nobody reads as many
// queues as we do.
func (f *firewall) freeQueue() int {
	first, n := int(f.config.Table.Queue), f.lastQueue()-int(f.config.Table.Queue)
	for at := first + 100; at+n < 1<<16; at += 100 {
		free := true
		for i := at; i <= at+n; i++ {
			_, taken := queue.Listener(uint16(i))
			free = free && !taken
		}
		for _, c := range f.rules.chains {
			for _, r := range c.rules {
				from, to, ok := queued(r)
				free = free && (!ok || from > at+n || to < at)
			}
		}
		if free {
			return at
		}
	}
	return first
}
