package attack

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// hostile is a dialogue that is meant to open a port, and the connection that the
// attacker then tries.
type hostile struct {
	name, about string
	script      string
	from, to    string // the hosts that the attacker connects; empty: server, client

	// The port that he is after. Each dialogue has one of its own: what one of them
	// leaves open must not serve another.
	port uint16

	// act is what happens, where that is more than the script and an attempt after it.
	act func(context.Context, *scene) (Cell, error)
}

// scene is a hostile dialogue while it is played.
type scene struct {
	*column
	*dialogue
	hostile
	attacker *lab.Host
	target   netip.AddrPort
}

// dialogues returns the rows of the hostile dialogues.
func dialogues() []row {
	var rows []row
	for _, h := range hostiles {
		rows = append(rows, row{h.name, h.about, true, h.measure})
	}
	return rows
}

// measure plays the dialogue, with a listener where the attacker wants to go.
func (h hostile) measure(ctx context.Context, c *column) (cell Cell, err error) {
	s := &scene{column: c, hostile: h, attacker: c.Host(cmp.Or(h.from, "server"))}
	victim := c.Host(cmp.Or(h.to, "client"))
	s.target = netip.AddrPortFrom(victim.IPv4, h.port)
	ln, err := victim.Listen(ctx, "tcp", s.target.String())
	if err != nil {
		return cell, err
	}
	defer ln.Close()
	if s.dialogue, err = c.dial(ctx); err != nil {
		return cell, err
	}
	defer s.close()
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	act := h.act
	if act == nil {
		act = playAndTry
	}
	if cell, err = act(ctx, s); err != nil {
		return cell, err
	}
	if reason := c.reason(s.client.LocalAddr()); reason != "" && cell.Result == Blocked {
		cell.Detail += "; ftpalg: " + reason
	}
	return cell, nil
}

// try is the attacker's attempt, from port 20 if he is outside.
func (s *scene) try(ctx context.Context) (Cell, error) {
	var from netip.AddrPort
	if s.attacker != s.Client {
		from = netip.AddrPortFrom(s.attacker.IPv4, 20)
	}
	return s.attempt(ctx, s.attacker, from, s.target)
}

// playAndTry is the plain case.
func playAndTry(ctx context.Context, s *scene) (Cell, error) {
	if err := s.play(s.script); err != nil {
		return Cell{}, err
	}
	return s.try(ctx)
}

// tryAfterRefusal lets some time pass, and notes how long the port was and would be open.
func tryAfterRefusal(ctx context.Context, s *scene) (cell Cell, err error) {
	if err := s.play(s.script); err != nil {
		return cell, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return cell, err
	}
	if s.refused, err = s.openUnused(s.port); err != nil {
		return cell, err
	}
	return s.try(ctx)
}

// tryAfterEnd closes the control connection, and tries a moment later.
func tryAfterEnd(ctx context.Context, s *scene) (cell Cell, err error) {
	if err := s.play(s.script); err != nil {
		return cell, err
	}
	s.close()
	if err := sleep(ctx, time.Second); err != nil {
		return cell, err
	}
	return s.try(ctx)
}

// tryAfterReplay makes a data connection come and go, sends the segment with PORT again,
// and tries a second connection. Firewalls open at different lines of the dialogue, so
// he does all that after each of them, until he succeeds.
func tryAfterReplay(ctx context.Context, s *scene) (cell Cell, err error) {
	if err := s.play(login); err != nil {
		return cell, err
	}
	segments, err := s.Client.Capture("eth0")
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, segments.Stop()) }()
	for _, lines := range []struct{ before, after string }{
		{before: s.script},
		{before: "C: RETR x", after: "S: 226 done"},
	} {
		if err := s.play(lines.before); err != nil {
			return cell, err
		}
		if _, err := s.try(ctx); err != nil {
			return cell, err
		}
		if err := s.play(lines.after); err != nil {
			return cell, err
		}
		if err := s.resend(ctx, s.Client, segments, "PORT "); err != nil {
			return cell, err
		}
		if err := sleep(ctx, onItsWay); err != nil {
			return cell, err
		}
		if cell, err = s.try(ctx); err != nil || cell.Result == Reached {
			return cell, err
		}
	}
	return cell, nil
}

// onItsWay is more than a segment takes from the client to the server.
const onItsWay = 200 * time.Millisecond

// sleep waits, and returns ctx's error when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
