package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// Client asks a running daemon. It is safe for concurrent use.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client for the socket. It connects with the first question.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Status asks how the daemon is doing.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.get(ctx, pathStatus, &s)
}

// Sessions asks for all sessions, the oldest of each worker first.
func (c *Client) Sessions(ctx context.Context) (s []Session, err error) {
	return s, c.get(ctx, pathSessions, &s)
}

// Pinholes asks for the last announcement of each session.
func (c *Client) Pinholes(ctx context.Context) (p []Pinhole, err error) {
	return p, c.get(ctx, pathPinholes, &p)
}

// Events calls handle with each event from now on, until it fails, ctx ends, which is
// no error, or the daemon ends, which is io.EOF.
func (c *Client) Events(ctx context.Context, handle func(event.JSON) error) error {
	body, err := c.open(ctx, pathEvents)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var e event.JSON
		switch err := lines.Decode(&e); {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return io.EOF
		case err != nil:
			return fmt.Errorf("reading an event: %w", err)
		}
		if err := handle(e); err != nil {
			return err
		}
	}
}

func (c *Client) get(ctx context.Context, path string, v any) error {
	body, err := c.open(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(v); err != nil {
		return fmt.Errorf("reading the daemon's answer: %w", err)
	}
	return nil
}

func (c *Client) open(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ftpalg"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	switch at := (*os.SyscallError)(nil); {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED): // never made, or left behind
		return nil, fmt.Errorf("no daemon answers at %s: is it running?", c.socket)
	case errors.As(err, &at):
		return nil, fmt.Errorf("asking the daemon at %s: %w", c.socket, at.Err)
	case err != nil:
		return nil, fmt.Errorf("asking the daemon at %s: %w", c.socket, errors.Unwrap(err))
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("asking the daemon at %s: %s", c.socket, res.Status)
	}
	return res.Body, nil
}
