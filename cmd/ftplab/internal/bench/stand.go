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
	"syscall"
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

	more    []ends // addresses beside the hosts' own
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
	// The text is good: if nft refuses it, the kernel has.
	if err := l.Gateway.LoadRuleset(ctx, c.ruleset); err != nil {
		if c.refused != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", c.refused, err)
		}
		return s, err
	}
	// After the rules, which have the kernel track connections: before, it may not know the
	// settings for that.
	if err := s.prepare(); err != nil {
		return s, fmt.Errorf("preparing the hosts: %w", err)
	}
	if s.server, err = s.serve(ctx, l.Server.IPv4, l.Server.IPv6); err != nil {
		return s, err
	}
	return s, s.startGateway(ctx, "")
}

// ends are an address of the client's host and one of the server's.
type ends struct{ client, server netip.Addr }

// aliases is how many more addresses each of the two hosts has: many sessions need more
// ports, and more processes, than one has.
const aliases = 10

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
	for h, which := range map[*lab.Host]string{s.Client: "ends", s.Server: "ends", s.Gateway: "gateway"} {
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
	for i := range byte(aliases) {
		alias := func(h *lab.Host) netip.Addr {
			a := h.IPv4.As4()
			a[3] = 100 + i
			return netip.AddrFrom4(a)
		}
		s.more = append(s.more, ends{alias(s.Client), alias(s.Server)})
	}
	return errors.Join(
		s.Client.Do(func() error { return addAddresses(s.more, func(e ends) netip.Addr { return e.client }) }),
		s.Server.Do(func() error { return addAddresses(s.more, func(e ends) netip.Addr { return e.server }) }),
	)
}

// addAddresses gives the host of the calling thread more addresses.
func addAddresses(all []ends, which func(ends) netip.Addr) error {
	nl, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer nl.Close()
	link, err := nl.LinkByName("eth0")
	if err != nil {
		return err
	}
	for _, e := range all {
		addr, err := netlink.ParseAddr(which(e).String() + "/24")
		if err == nil {
			err = nl.AddrAdd(link, addr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// serve starts a server.
func (s *stand) serve(ctx context.Context, addrs ...netip.Addr) (*process, error) {
	var o order
	for _, a := range addrs {
		o.Listen = append(o.Listen, netip.AddrPortFrom(a, 21))
	}
	return s.part(ctx, s.Server, partServer, o)
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
		return errors.Join(d.Stop(ctx), os.Truncate(s.Path(d.LogFile), 0))
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
	if name == partFloor {
		// The runtime takes a thread that waits in the kernel for one that works, and would
		// wake it every 10 ms for others to have their turn (retake in its proc.go).
		c.Env = append(c.Env, "GODEBUG=asyncpreemptoff=1")
	}
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
	if p.in == nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	} else {
		_ = p.in.Close()
	}
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
		spec.Server = netip.AddrPortFrom(s.Server.IPv4, 21)
	}
	if spec.Locals == nil {
		spec.Locals = []netip.Addr{s.Client.IPv4}
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
