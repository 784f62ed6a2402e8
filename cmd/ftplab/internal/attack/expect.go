package attack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// expectations follows what the helpers of a host's kernel expect: the data connections
// that they have read announcements of. Its methods are safe for concurrent use.
type expectations struct {
	ask, listen *conntrack.Conn
	events      chan conntrack.Event
	heard       chan struct{} // closed after the last event

	mu    sync.Mutex
	spans map[uint16]span // by destination port
	deaf  error
}

// span is the life of an expectation.
type span struct {
	from, to time.Time // to is zero while it lives
}

// expect begins to follow.
func expect(h *lab.Host) (*expectations, error) {
	x := &expectations{events: make(chan conntrack.Event, 64), heard: make(chan struct{}), spans: map[uint16]span{}}
	if err := h.Do(x.connect); err != nil {
		return nil, fmt.Errorf("listening to conntrack on %s: %w", h.Name, err)
	}
	return x, nil
}

func (x *expectations) connect() (err error) {
	if x.ask, err = conntrack.Dial(nil); err != nil {
		return err
	}
	if x.listen, err = conntrack.Dial(nil); err != nil {
		return errors.Join(err, x.ask.Close())
	}
	errs, err := x.listen.Listen(x.events, 1, netfilter.GroupsCTExp)
	if err != nil {
		return errors.Join(err, x.ask.Close(), x.listen.Close())
	}
	go x.hear(errs)
	return nil
}

// close ends it, and returns what went wrong meanwhile.
func (x *expectations) close() error {
	err := errors.Join(x.ask.Close(), x.listen.Close())
	close(x.events)
	<-x.heard
	return errors.Join(err, x.deaf)
}

// hear notes the events until the channel is closed.
func (x *expectations) hear(errs <-chan error) {
	defer close(x.heard)
	for {
		select {
		case e, ok := <-x.events:
			if !ok {
				return
			}
			x.note(e, time.Now())
		case err := <-errs:
			x.deaf = fmt.Errorf("listening to conntrack: %w", err)
		}
	}
}

func (x *expectations) note(e conntrack.Event, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch e.Type {
	case conntrack.EventExpNew:
		x.spans[e.Expect.Tuple.Proto.DestinationPort] = span{from: now}
	case conntrack.EventExpDestroy:
		port := e.Expect.Tuple.Proto.DestinationPort
		x.spans[port] = span{x.spans[port].from, now}
	}
}

// newsWithin is how long after the fact it may be told, on a busy machine.
const newsWithin = 5 * time.Second

// stood returns for how long a connection to the port was expected until it came. It did
// come: it is waited for the news of it.
func (x *expectations) stood(ctx context.Context, port uint16) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, newsWithin)
	defer cancel()
	for {
		x.mu.Lock()
		s := x.spans[port]
		x.mu.Unlock()
		if !s.to.IsZero() {
			return s.to.Sub(s.from), nil
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return 0, fmt.Errorf("waiting until conntrack tells that it expected a connection to port %d: %w", port, err)
		}
	}
}

// stands returns for how long a connection to the port has been expected, and for how
// much longer it will be if it does not come, which the kernel tells in whole seconds.
// Both are 0 where it is not expected.
func (x *expectations) stands(port uint16) (since, left time.Duration, err error) {
	all, err := x.ask.DumpExpect()
	if err != nil {
		return 0, 0, fmt.Errorf("asking for what conntrack expects: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range all {
		if e.Tuple.Proto.DestinationPort != port {
			continue
		}
		if s := x.spans[port]; !s.from.IsZero() {
			since = time.Since(s.from)
		}
		return since, time.Duration(e.Timeout) * time.Second, nil
	}
	return 0, 0, nil
}
