package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Changes hears of what others do to the ruleset. It is for one goroutine at a time.
type Changes struct {
	conn *netlink.Conn
}

// Changes returns what hears of everything that is changed in the ruleset from now on, but by
// the table itself: pinholes come and go by the thousand. Close it.
//
// The network namespace is that of the calling thread.
func (t *Table) Changes() (*Changes, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil, errClosed
	}
	name, err := unix.Getsockname(t.fd)
	if err != nil {
		return nil, fmt.Errorf("reading the address of a netlink socket: %w", err)
	}
	own, ok := name.(*unix.SockaddrNetlink)
	if !ok {
		return nil, fmt.Errorf("reading the address of a netlink socket: it is a %T", name)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter socket: %w", err)
	}
	err = conn.SetBPF(exceptBy(own.Pid))
	if err == nil {
		err = conn.JoinGroup(unix.NFNLGRP_NFTABLES)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for changes to the nft ruleset: %w", err), conn.Close())
	}
	return &Changes{conn}, nil
}

// exceptBy is a filter that leaves out what a socket did: the notifications of a transaction
// bear its address (struct nlmsghdr, nlmsg_pid).
func exceptBy(socket uint32) []bpf.RawInstruction {
	const at = 12
	native := binary.NativeEndian.AppendUint32(nil, socket)
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: at, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(native), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		panic(err) // it is always the same
	}
	return filter
}

// settles is for how long nothing more may come of a change that was heard of: a ruleset is
// loaded in many messages, and often in several transactions.
const settles = 20 * time.Millisecond

// Wait returns once the ruleset was changed since the last call, with true, or after so long
// at most, with false; 0 is for ever. It returns the error of a context that ends. Of a
// ruleset that goes on changing it tells after a second.
func (c *Changes) Wait(ctx context.Context, atMost time.Duration) (changed bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(0, 1)) })
	defer stop()
	var deadline time.Time
	if atMost > 0 {
		deadline = time.Now().Add(atMost)
	}
	var until time.Time
	for {
		if err := c.conn.SetReadDeadline(deadline); err != nil {
			return changed, fmt.Errorf("listening for changes to the nft ruleset: %w", err)
		}
		if ctx.Err() != nil {
			return changed, ctx.Err()
		}
		_, err := c.conn.Receive()
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return changed, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return changed, nil
		case err != nil && !errors.Is(err, unix.ENOBUFS): // of a change so large that not all of it was heard
			return changed, fmt.Errorf("listening for changes to the nft ruleset: %w", err)
		case !changed:
			changed, until = true, now.Add(time.Second)
		case now.After(until):
			return true, nil
		}
		deadline = now.Add(settles)
	}
}

// Close gives the socket back.
func (c *Changes) Close() error { return c.conn.Close() }
