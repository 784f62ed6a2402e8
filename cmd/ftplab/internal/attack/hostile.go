package attack

import (
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
	by          func(*lab.Lab) *lab.Host // who connects; nil: the server
	to          func(*lab.Lab) *lab.Host // to whom; nil: the client

	// The port that he is after. Each dialogue has one of its own: what one of them
	// leaves open must not serve another.
	port uint16

	// act does what is to be done, where that is more than to play the script and to try.
	act func(context.Context, *scene) (Cell, error)
}

// scene is a hostile dialogue while it is played.
type scene struct {
	*column
	*dialogue
	hostile
}

// dialogues returns the rows of the hostile dialogues.
func dialogues() []row {
	var rows []row
	for _, h := range hostiles {
		rows = append(rows, row{h.name, h.about, true, h.measure})
	}
	return rows
}

// measure plays the dialogue, with somebody listening where the attacker wants to go.
func (h hostile) measure(ctx context.Context, c *column) (Cell, error) {
	s := &scene{column: c, hostile: h}
	_, target := s.way()
	ln, err := s.host(h.to, c.Client).Listen(ctx, "tcp", target.String())
	if err != nil {
		return Cell{}, err
	}
	defer ln.Close()
	if s.dialogue, err = c.dial(ctx); err != nil {
		return Cell{}, err
	}
	defer s.close()
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	act := h.act
	if act == nil {
		act = (*scene).playAndTry
	}
	cell, err := act(ctx, s)
	if reason := c.reason(s.dialogue); reason != "" && cell.Result == Blocked {
		cell.Detail += "; ftpalg: " + reason
	}
	return cell, err
}
