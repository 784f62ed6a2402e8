package attack

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
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

	forged []string // lines of the script that the attacker says in another's name
	client string   // the host that plays the client; empty: client
	alone  bool     // act makes the control connection
	asks   string   // the real FTP server, where it is not the one that is played
}

// scene is a hostile dialogue while it is played.
type scene struct {
	*column
	*dialogue
	hostile
	control  netip.AddrPort // the client's end of the control connection
	attacker *lab.Host
	target   netip.AddrPort
	victim   *net.TCPListener // at target
	ends     []func()
}

// dialogues returns the rows of the hostile dialogues.
func dialogues() []row {
	var rows []row
	for _, h := range hostiles {
		r := row{name: h.name, about: h.about, attack: true, stage: playing, measure: h.measure}
		if h.asks != "" {
			r.stage, r.needs = serving, h.asks
		}
		rows = append(rows, r)
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
	s.victim = ln.(*net.TCPListener)
	defer s.end()
	s.atEnd(func() { ln.Close() })
	if !h.alone {
		if s.dialogue, err = c.dial(ctx, c.Host(cmp.Or(h.client, "client"))); err != nil {
			return cell, err
		}
		s.control = s.dialogue.client.LocalAddr().(*net.TCPAddr).AddrPort()
		s.atEnd(s.close)
		stop := context.AfterFunc(ctx, s.close)
		defer stop()
	}
	act := h.act
	if act == nil {
		act = playAndTry
	}
	if cell, err = act(ctx, s); err != nil {
		return cell, err
	}
	if reason := c.reason(s.control); reason != "" && cell.Result == Blocked {
		cell.Detail += "; ftpalg: " + reason
	}
	return cell, nil
}

// atEnd has something done when the scene is over; what came last goes first.
func (s *scene) atEnd(f func()) { s.ends = append(s.ends, f) }

func (s *scene) end() {
	for _, f := range slices.Backward(s.ends) {
		f()
	}
}

// source is where the attacker connects from: port 20 if he is outside.
func (s *scene) source() (from netip.AddrPort) {
	if s.attacker == s.Server || s.attacker == s.Outsider {
		from = netip.AddrPortFrom(s.attacker.IPv4, 20)
	}
	return from
}

// try is the attacker's attempt.
func (s *scene) try(ctx context.Context) (Cell, error) {
	return s.attempt(ctx, s.attacker, s.source(), s.target)
}

// tryAfter is the attempt after a dialogue that was played as it could be. Where the
// firewall did not let all of it pass, the cell says so.
func (s *scene) tryAfter(ctx context.Context, played ...error) (Cell, error) {
	stuck := errors.Join(played...)
	if stuck != nil && !errors.Is(stuck, errSilent) || ctx.Err() != nil {
		return Cell{}, errors.Join(stuck, ctx.Err())
	}
	cell, err := s.try(ctx)
	if stuck != nil {
		cell.Detail += "; " + stuck.Error()
	}
	return cell, err
}

// playAndTry is the plain case.
func playAndTry(ctx context.Context, s *scene) (Cell, error) {
	if err := s.play(s.script); err != nil {
		return Cell{}, err
	}
	return s.try(ctx)
}

// trySteal is the plain case, and notes whether the attempt was good.
func trySteal(ctx context.Context, s *scene) (cell Cell, err error) {
	cell, err = playAndTry(ctx, s)
	s.stolen = cell.Result == Reached
	return cell, err
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
