package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// settled is how long a program has to come to rest before it is looked at.
const settled = time.Second

// hold has so many sessions logged in while f runs. One process cannot have them all where
// the bound on its files is low: they are shared out over several clients and servers.
func (s *stand) hold(ctx context.Context, sessions int, f func() error) (err error) {
	each := perProcess()
	if sessions > each*len(s.more) {
		return fmt.Errorf("%d processes of %d descriptors do not do", len(s.more), each)
	}
	var started []*process // servers and clients, of which each comes after its server
	defer func() {
		for i := range started {
			err = errors.Join(err, started[len(started)-1-i].end())
		}
	}()
	var clients []*process
	var group errgroup.Group
	for i := 0; sessions > 0; i++ {
		n := min(sessions, each)
		sessions -= n
		server, err := s.serve(ctx, s.more[i].server)
		if err != nil {
			return err
		}
		started = append(started, server)
		clients = append(clients, nil)
		group.Go(func() (err error) {
			clients[i], err = s.part(ctx, s.Client, partClient, order{Spec: &load.Spec{
				Server: netip.AddrPortFrom(s.more[i].server, 21), Locals: []netip.Addr{s.more[i].client},
				Kind: load.Idle, Sessions: n, Timeout: time.Minute,
			}})
			return err
		})
	}
	err = group.Wait()
	if err == nil {
		err = sleep(ctx, settled)
	}
	if err == nil {
		err = f()
	}
	for _, c := range clients {
		if c == nil {
			continue
		}
		started = append(started, c)
		_ = c.in.Close()
		var t load.Tally
		if wrong := json.NewDecoder(c.lines).Decode(&t); wrong != nil {
			err = errors.Join(err, c.failed(partClient, errors.Join(wrong, c.end())))
		} else if t.Failed > 0 {
			err = errors.Join(err, fmt.Errorf("%d sessions ended: %v", t.Failed, t.Failures))
		}
	}
	return err
}

// mostOfOne is what one address has source ports for: ip_local_port_range has 28232.
const mostOfOne = 25_000

// perProcess returns how many control connections one process can have.
func perProcess() int {
	allowDescriptors()
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 500
	}
	return int(min(l.Cur-min(l.Cur, 64), mostOfOne))
}
