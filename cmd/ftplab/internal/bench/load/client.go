package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is what a client does again and again.
type Kind string

// The kinds.
const (
	Noop    Kind = "noop"    // NOOP and its reply
	Active  Kind = "active"  // PORT or EPRT, and RETR
	Passive Kind = "passive" // PASV or EPSV, and RETR
	Store   Kind = "store"   // PORT or EPRT, and STOR
	Login   Kind = "login"   // a new control connection up to 230, and QUIT
	Idle    Kind = "idle"    // nothing
)

// Spec is what Run is to do.
type Spec struct {
	Server   netip.AddrPort
	Locals   []netip.Addr // of the clients, in turn
	Kind     Kind
	Sessions int
	Duration time.Duration // 0: until each session has done it once
	Bytes    int64         // of each transfer
	Pipeline int           // of Noop: how many are sent at once; 0 is 1
	Timeout  time.Duration // after which something has failed; 0 is 10 s
}

// Tally is what came of it. What was begun in the time that Spec gives is waited for.
type Tally struct {
	Done     uint64         `json:"done"`    // in all
	Within   uint64         `json:"within"`  // of them, in Seconds
	Seconds  float64        `json:"seconds"` // Spec.Duration, or what it took
	Failed   uint64         `json:"failed"`
	Failures map[string]int `json:"failures,omitempty"` // why, and how often
	Latency  Histogram      `json:"latency"`            // of all that were done
	CPU      float64        `json:"cpu"`                // seconds of this process
	Elapsed  float64        `json:"elapsed"`            // seconds in which it spent that
}

// Bounds of a run.
const (
	opening       = 256 // control connections that are opened at the same time
	enough        = 200 // failures beyond the number of sessions, after which it is no use
	patience      = 10 * time.Second
	lookAround    = 100 * time.Millisecond
	firstData     = 10000 // ports on which clients listen
	lastData      = 32767 // the kernel gives others, from 32768 on, to control connections
	maxDataTrials = 100
)

// denied are the ports among them that ftpalg's default deny_ports have.
var denied = map[uint16]bool{11211: true, 27017: true}

// client is many sessions, each of which does the same.
type client struct {
	Spec
	poller   *poller
	tally    Tally
	sessions []*session
	sink     []byte
	next     uint16 // data port

	opened, ready int  // sessions that have begun to connect, and that have logged in
	begun         bool // the clock runs
	over          bool // nothing new is begun
	stopped       int  // sessions that have nothing more to do
	start, end    time.Time
}

// Run logs all sessions in, calls begun, and lets them do what the Spec says. Idle ends
// with ctx, and the rest is an error then.
func Run(ctx context.Context, spec Spec, begun func()) (*Tally, error) {
	if spec.Sessions < 1 || len(spec.Locals) == 0 {
		return nil, errors.New("playing FTP clients: no session or no address is named")
	}
	spec.Pipeline = max(spec.Pipeline, 1)
	if spec.Timeout == 0 {
		spec.Timeout = patience
	}
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	defer p.close()
	c := &client{Spec: spec, poller: p, sink: make([]byte, 256<<10)}
	c.tally.Failures = map[string]int{}
	c.next = firstData + uint16(rand.N(lastData-firstData))
	defer c.close()
	if err := c.run(ctx, begun); err != nil {
		return nil, fmt.Errorf("playing %d FTP clients: %w", spec.Sessions, err)
	}
	return &c.tally, nil
}

func (c *client) close() {
	for _, s := range c.sessions {
		s.close()
	}
}

func (c *client) run(ctx context.Context, begun func()) error {
	var spent time.Duration
	looked := time.Now()
	for c.stopped < c.Sessions || !c.begun {
		for c.opened < c.Sessions && c.opened-c.ready < opening {
			c.open()
		}
		if !c.begun && c.ready == c.Sessions {
			spent = ownCPU()
			begun()
			c.begin()
		}
		if err := c.poller.wait(int(lookAround.Milliseconds())); err != nil {
			return err
		}
		if c.begun && c.Duration > 0 && !c.over && !time.Now().Before(c.end) {
			c.over = true
		}
		if time.Since(looked) < lookAround {
			continue
		}
		looked = time.Now()
		if ctx.Err() != nil {
			if c.Kind == Idle && c.begun {
				return nil
			}
			return ctx.Err()
		}
		c.expire(looked)
		if c.tally.Failed > uint64(c.Sessions+enough) {
			return fmt.Errorf("giving up after %d failures: %v", c.tally.Failed, c.tally.Failures)
		}
	}
	elapsed := time.Since(c.start)
	c.tally.CPU, c.tally.Elapsed = (ownCPU() - spent).Seconds(), elapsed.Seconds()
	c.tally.Seconds = elapsed.Seconds()
	if c.Duration > 0 {
		c.tally.Seconds = c.Duration.Seconds()
	}
	return nil
}

func (c *client) open() {
	s := &session{client: c, local: c.Locals[c.opened%len(c.Locals)], control: control{fd: -1}, listener: -1, data: -1}
	c.sessions = append(c.sessions, s)
	c.opened++
	s.connect()
}

// begin starts the clock.
func (c *client) begin() {
	c.begun = true
	c.start = time.Now()
	c.end = c.start.Add(c.Duration)
	if c.Kind == Idle {
		return
	}
	for _, s := range c.sessions {
		if s.phase == resting { // one whose connection has just broken has another first
			s.another()
		}
	}
}

// expire ends what takes too long.
func (c *client) expire(now time.Time) {
	for _, s := range c.sessions {
		if s.phase != resting && s.phase != stopped && now.Sub(s.began) > c.Timeout {
			s.fail("timeout " + s.phase.String())
		}
	}
}

// count notes what a session has done.
func (c *client) count(began time.Time) {
	now := time.Now()
	c.tally.Done++
	c.tally.Latency.Add(now.Sub(began))
	if c.Duration == 0 || now.Before(c.end) {
		c.tally.Within++
	} else {
		c.over = true
	}
}

// listenForData listens on the next port that is free. Every transfer has another: the
// last connection from port 20 to the same may still be ending.
func (c *client) listenForData(local netip.Addr) (fd int, at netip.AddrPort, err error) {
	for range maxDataTrials {
		if c.next++; c.next > lastData {
			c.next = firstData
		}
		if denied[c.next] {
			continue
		}
		fd, at, err = listen(netip.AddrPortFrom(local, c.next), 1)
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	return fd, at, err
}

// ownCPU returns what this process has spent.
func ownCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
