package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// stand is a lab with one column's gateway, and the server.
type stand struct {
	*lab.Lab
	column
	ftpalg string // its path

	locals  []netip.Addr // of the clients
	server  *process
	gateway *process    // nil: the kernel does it all
	daemon  *lab.Daemon // nil: the column has none
}

// process is a part that runs, or the gateway's program.
type process struct {
	pid   int
	cmd   *lab.Cmd       // nil: package lab keeps it
	in    io.WriteCloser // its end is the end of the part
	lines *bufio.Reader
	log   *tail
}

// tail keeps the end of what a part says of its troubles.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(len(t.b)-4096, 0):]
	return len(p), nil
}

// newStand builds the lab of a column and starts what it needs.
func newStand(ctx context.Context, c column, ftpalg string) (s *stand, err error) {
	l, err := lab.New(ctx, lab.Options{})
	if err != nil {
		return nil, err
	}
	s = &stand{Lab: l, column: c, ftpalg: ftpalg}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.prepare(); err != nil {
		return s, fmt.Errorf("preparing the hosts: %w", err)
	}
	if err := l.Gateway.LoadRuleset(ctx, c.ruleset); err != nil {
		if c.refused != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", c.refused, err)
		}
		return s, err
	}
	addrs := []netip.AddrPort{netip.AddrPortFrom(l.Server.IPv4, 21), netip.AddrPortFrom(l.Server.IPv6, 21)}
	if s.server, err = s.part(ctx, l.Server, partServer, order{Listen: addrs}); err != nil {
		return s, err
	}
	return s, s.startGateway(ctx, "")
}

// clients is how many addresses the clients have: a hundred thousand connections to one
// port need more source ports than one has.
const clients = 12

// forgotten are the settings that let a short benchmark use an address and port as often
// as a long day would: what has ended is forgotten at once.
var forgotten = map[string]map[string]string{
	"ends": {"net/ipv4/tcp_max_tw_buckets": "0", "net/core/somaxconn": "65535"},
	"gateway": {
		"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "1", "net/netfilter/nf_conntrack_tcp_timeout_close": "1",
		"net/netfilter/nf_conntrack_tcp_timeout_last_ack": "1",
	},
}

func (s *stand) prepare() error {
	for h, which := range map[*lab.Host]string{s.Client: "ends", s.Lab.Server: "ends", s.Gateway: "gateway"} {
		if err := h.Do(func() error {
			for key, value := range forgotten[which] {
				if err := os.WriteFile("/proc/sys/"+key, []byte(value), 0); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	s.locals = []netip.Addr{s.Client.IPv4}
	first := s.Client.IPv4.As4()
	for i := range clients - 1 {
		s.locals = append(s.locals, netip.AddrFrom4([4]byte{first[0], first[1], first[2], byte(100 + i)}))
	}
	return s.Client.Do(func() error {
		nl, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer nl.Close()
		link, err := nl.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, a := range s.locals[1:] {
			addr, err := netlink.ParseAddr(a.String() + "/24")
			if err == nil {
				err = nl.AddrAdd(link, addr)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// startGateway starts the program of the column, if it has one.
func (s *stand) startGateway(ctx context.Context, config string) (err error) {
	switch {
	case s.start != nil:
		s.gateway, err = s.start(ctx, s)
	case s.runs == programFTPALG:
		if s.daemon, err = s.StartDaemon(ctx, lab.DaemonOptions{Binary: s.ftpalg, Config: s.config + config}); err == nil {
			s.gateway = &process{pid: s.daemon.PID()}
		}
	case s.runs == programFloor:
		s.gateway, err = s.part(ctx, s.Gateway, partFloor, order{Workers: min(runtime.NumCPU(), 4)})
	}
	return err
}

// stopGateway ends it.
func (s *stand) stopGateway(ctx context.Context) error {
	g, d := s.gateway, s.daemon
	s.gateway, s.daemon = nil, nil
	switch {
	case d != nil:
		return d.Stop(ctx)
	case g != nil:
		return g.end()
	}
	return nil
}

// part starts a part on a host and waits until it is ready.
func (s *stand) part(ctx context.Context, h *lab.Host, name string, o order) (*process, error) {
	command, err := self()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	c := h.Command(ctx, command[0], append(command[1:], name, string(text))...)
	p := &process{cmd: c, log: &tail{}}
	c.Stderr = p.log
	if p.in, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s of the benchmark: %w", name, err)
	}
	p.pid = c.Process.Pid
	if line, err := p.lines.ReadString('\n'); err != nil || line != readyLine+"\n" {
		return nil, p.failed(name, errors.Join(err, p.end()))
	}
	return p, nil
}

func (p *process) failed(name string, err error) error {
	return fmt.Errorf("running the %s of the benchmark: %w: %s", name, err, p.log.b)
}

// end ends a part.
func (p *process) end() error {
	_ = p.in.Close()
	return p.cmd.Wait()
}

// played is what a run of the clients came to, and what it cost.
type played struct {
	load.Tally
	gateway time.Duration // CPU time
	server  time.Duration
}

// play has clients do something.
func (s *stand) play(ctx context.Context, spec load.Spec) (*played, error) {
	if !spec.Server.IsValid() {
		spec.Server = netip.AddrPortFrom(s.Lab.Server.IPv4, 21)
	}
	if spec.Locals == nil {
		spec.Locals = s.locals[:1]
	}
	p, err := s.part(ctx, s.Client, partClient, order{Spec: &spec})
	if err != nil {
		return nil, err
	}
	var x played
	before, err := s.clocks()
	if err == nil {
		err = json.NewDecoder(p.lines).Decode(&x.Tally)
	}
	after, clockErr := s.clocks()
	if err = errors.Join(err, clockErr); err != nil {
		return nil, p.failed(partClient, errors.Join(err, p.end()))
	}
	x.gateway, x.server = after[0]-before[0], after[1]-before[1]
	return &x, p.end()
}

// clocks returns what the gateway's program, and the server, have spent.
func (s *stand) clocks() (c [2]time.Duration, err error) {
	if s.gateway != nil {
		if c[0], err = spent(s.gateway.pid); err != nil {
			return c, err
		}
	}
	c[1], err = spent(s.server.pid)
	return c, err
}

// settled is how long a program has to come to rest before it is looked at.
const settled = time.Second

// hold has so many sessions logged in while f runs.
func (s *stand) hold(ctx context.Context, sessions int, f func() error) error {
	spec := load.Spec{
		Server: netip.AddrPortFrom(s.Lab.Server.IPv4, 21), Locals: s.locals, Kind: load.Idle, Sessions: sessions, Timeout: time.Minute,
	}
	p, err := s.part(ctx, s.Client, partClient, order{Spec: &spec})
	if err != nil {
		return err
	}
	err = sleep(ctx, settled)
	if err == nil {
		err = f()
	}
	_ = p.in.Close()
	var t load.Tally
	if err := errors.Join(err, json.NewDecoder(p.lines).Decode(&t)); err != nil {
		return p.failed(partClient, errors.Join(err, p.end()))
	}
	if t.Failed > 0 {
		err = fmt.Errorf("%d sessions ended: %v", t.Failed, t.Failures)
	}
	return errors.Join(err, p.end())
}
