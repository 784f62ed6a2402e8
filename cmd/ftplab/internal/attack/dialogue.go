package attack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// arrival is how long a line of a dialogue may take to the other end.
const arrival = 10 * time.Second

// dialogue is a control connection through the gateway, both ends of which are played
// here.
type dialogue struct {
	client, server     net.Conn
	atClient, atServer *bufio.Reader
}

// startHostileServer takes the FTP port of the server.
func (c *column) startHostileServer(ctx context.Context) (end func() error, err error) {
	ln, err := c.Server.Listen(ctx, "tcp", netip.AddrPortFrom(c.Server.IPv4, 21).String())
	if err != nil {
		return nil, err
	}
	c.ftp = ln.(*net.TCPListener)
	return ln.Close, nil
}

// dial opens a control connection from a host, without a word said.
func (c *column) dial(ctx context.Context, from *lab.Host) (*dialogue, error) {
	c.dialing.Lock()
	defer c.dialing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, arrival)
	defer cancel()
	client, err := from.Dial(ctx, "tcp", c.ftp.Addr().String())
	if err != nil {
		return nil, err
	}
	_ = c.ftp.SetDeadline(time.Now().Add(arrival))
	server, err := c.ftp.Accept()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("accept the control connection: %w", err), client.Close())
	}
	return &dialogue{client, server, bufio.NewReader(client), bufio.NewReader(server)}, nil
}

func (d *dialogue) close() {
	d.client.Close()
	d.server.Close()
}

// play says the lines of a script, those of the client after "C:" and those of the server
// after "S:", each in a segment of its own, when the one before has arrived. Empty lines
// of the script are nobody's.
func (d *dialogue) play(script string) error {
	for line := range strings.SplitSeq(script, "\n") {
		who, text, said := strings.Cut(line, ":")
		if !said {
			continue
		}
		text = strings.TrimPrefix(text, " ")
		from, to, in := d.client, d.server, d.atServer
		if who == "S" {
			from, to, in = d.server, d.client, d.atClient
		}
		if _, err := fmt.Fprintf(from, "%s\r\n", text); err != nil {
			return fmt.Errorf("say %q: %w", line, err)
		}
		_ = to.SetReadDeadline(time.Now().Add(arrival))
		if got, err := in.ReadString('\n'); err != nil {
			return fmt.Errorf("waiting for %q: %w", line, err)
		} else if got != text+"\r\n" {
			return fmt.Errorf("%q arrived as %q", line, got)
		}
	}
	return nil
}

// patience is how long an attempt waits. A SYN that got lost is repeated after a second.
const patience = 1500 * time.Millisecond

// attempt tries to connect. Whether somebody listens there makes no difference: a
// refusal, too, comes from where the attempt wanted to go.
func (c *column) attempt(ctx context.Context, h *lab.Host, from, to netip.AddrPort) (Cell, error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begin := time.Now()
	conn, err := h.DialFrom(within, from, "tcp", to.String())
	took := time.Since(begin)
	if err == nil {
		// A reset leaves nothing that would stand in the next attempt's way.
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	timeout := net.Error(nil)
	switch {
	case ctx.Err() != nil:
		return Cell{}, ctx.Err()
	case err == nil:
		return Cell{Reached, fmt.Sprintf("%s to %v: connected after %.1f ms", h.Name, to, milliseconds(took))}, nil
	case errors.Is(err, unix.ECONNREFUSED):
		return Cell{Reached, fmt.Sprintf("%s to %v: refused there after %.1f ms", h.Name, to, milliseconds(took))}, nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return Cell{Blocked, fmt.Sprintf("%s to %v: no answer in %.1f s", h.Name, to, patience.Seconds())}, nil
	default:
		return Cell{}, err
	}
}

// milliseconds returns a duration in milliseconds.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
