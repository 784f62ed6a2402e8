package attack

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// login is how most dialogues begin.
const login = `
S: 220 hello
C: USER ftpuser
S: 230 in
`

// hostile is a dialogue that is meant to open a port, and the connection that the
// attacker then tries.
type hostile struct {
	name, about string
	script      string
	then        func(context.Context, *column, *dialogue) error // between the two; nil: nothing
	by          func(*lab.Lab) *lab.Host                        // who connects, from port 20; nil: the server
	to          func(*lab.Lab) *lab.Host                        // to whom; nil: the client

	// The port that he is after. Each dialogue has one of its own: what one of them
	// leaves open must not serve another.
	port uint16
}

var hostiles = []hostile{
	{
		name:  "bounce",
		about: "The client announces the address of its neighbour: the server's connection would go there.",
		script: login + `
C: PORT 10,1,4,5,200,1
S: 200 ok
C: RETR x`,
		to:   func(l *lab.Lab) *lab.Host { return l.Neighbour },
		port: 200<<8 | 1,
	},
	{
		name:  "low port",
		about: "A program on the client, made to speak, announces port 22, where ssh would listen.",
		script: login + `
C: PORT 10,1,4,4,0,22
S: 200 ok
C: RETR x`,
		port: 22,
	},
	{
		name: "unsolicited 227",
		about: "The server announces a port of its own (227) that no PASV has asked for. " +
			"The client connects to it: a way out that the rules do not have.",
		script: login + `
S: 227 Entering Passive Mode (10,2,5,5,200,3).
C: RETR x`,
		by:   func(l *lab.Lab) *lab.Host { return l.Client },
		to:   func(l *lab.Lab) *lab.Host { return l.Server },
		port: 200<<8 | 3,
	},
	{
		name:  "refused PORT",
		about: "The server refuses PORT with 500, and connects to the port two seconds later.",
		script: login + `
C: PORT 10,1,4,4,200,4
S: 500 no`,
		then: afterRefusal,
		port: refusedPort,
	},
	{
		name:   "replayed PORT",
		about:  "After a transfer, the segment with its PORT comes once more, and the server connects once more.",
		script: login,
		then:   replay,
		port:   200<<8 | 5,
	},
	{
		name: "slipstream",
		about: "A browser on the client is made to send a form to port 21 of the server, where nobody has greeted it. " +
			"A line of the form reads PORT, and happens to begin a segment.",
		script: `
C: POST / HTTP/1.1
C: Host: 10.2.5.5:21
C: Content-Length: 32
C:
C: PORT 10,1,4,4,200,6
C: RETR x`,
		port: 200<<8 | 6,
	},
	{
		name:  "left open",
		about: "The client announces a port and quits before it was used. The server connects a second after the end of the session.",
		script: login + `
C: PORT 10,1,4,4,200,7
S: 200 ok
C: RETR x
C: QUIT
S: 221 bye`,
		then: func(ctx context.Context, _ *column, d *dialogue) error {
			d.close()
			return sleep(ctx, time.Second)
		},
		port: 200<<8 | 7,
	},
	{
		name:  "stolen by a stranger",
		about: "A third host outside connects to the port that the client has announced to the server.",
		script: login + `
C: PORT 10,1,4,4,200,8
S: 200 ok
C: RETR x`,
		by:   func(l *lab.Lab) *lab.Host { return l.Outsider },
		port: 200<<8 | 8,
	},
}

// refusedPort is what the server refuses.
const refusedPort = 200<<8 | 4

// refusalAge is how long after the refusal the server connects.
const refusalAge = 2 * time.Second

// onItsWay is more than a segment takes from the client to the server.
const onItsWay = 200 * time.Millisecond

func dialogueRows() []row {
	var rows []row
	for _, h := range hostiles {
		rows = append(rows, row{h.name, h.about, true, h.measure})
	}
	return rows
}

// measure plays the dialogue and then tries the connection.
func (h hostile) measure(ctx context.Context, c *column) (cell Cell, err error) {
	by, to := c.Server, c.Client
	if h.by != nil {
		by = h.by(c.Lab)
	}
	if h.to != nil {
		to = h.to(c.Lab)
	}
	target := netip.AddrPortFrom(to.IPv4, h.port)
	ln, err := to.Listen(ctx, "tcp", target.String())
	if err != nil {
		return cell, err
	}
	defer ln.Close()
	d, err := c.dial(ctx)
	if err != nil {
		return cell, err
	}
	defer d.close()
	stop := context.AfterFunc(ctx, d.close)
	defer stop()
	if err := d.play(h.script); err != nil {
		return cell, err
	}
	if h.then != nil {
		if err := h.then(ctx, c, d); err != nil {
			return cell, err
		}
	}
	cell, err = c.attempt(ctx, by, source(by), target)
	if err != nil {
		return cell, err
	}
	if reason := c.reason(d); reason != "" && cell.Result == Blocked {
		cell.Detail += "; ftpalg: " + reason
	}
	return cell, nil
}

// source is where a host connects from: the FTP data port, but for the client.
func source(h *lab.Host) netip.AddrPort {
	if h.Name == "client" {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(h.IPv4, 20)
}

// afterRefusal lets some time pass, and notes how long the port was open and would be.
func afterRefusal(ctx context.Context, c *column, _ *dialogue) (err error) {
	if err := sleep(ctx, refusalAge); err != nil {
		return err
	}
	c.refused, err = c.openUnused(refusedPort)
	return err
}

// replay makes a data connection come and go, and sends the segment with PORT again.
func replay(ctx context.Context, c *column, d *dialogue) error {
	segments, err := c.Client.Capture("eth0")
	if err != nil {
		return err
	}
	err = d.play(`
C: PORT 10,1,4,4,200,5
S: 200 ok
C: RETR x`)
	if err = errors.Join(err, segments.Stop()); err != nil {
		return err
	}
	if _, err := c.attempt(ctx, c.Server, source(c.Server), netip.AddrPortFrom(c.Client.IPv4, 200<<8|5)); err != nil {
		return err
	}
	if err := d.play("S: 226 done"); err != nil {
		return err
	}
	if err := d.resend(ctx, c.Client, segments, "PORT "); err != nil {
		return err
	}
	return sleep(ctx, onItsWay)
}

// sleep waits, and returns ctx's error when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
