package lab

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// The one user of the lab's FTP servers.
const (
	User     = ftpUser
	Password = "ftppass"
)

// place fills in where an FTP server is to run.
func (l *Lab) place(h *Host, port uint16) (*Host, uint16) {
	if h == nil {
		h = l.Server
	}
	if port == 0 {
		port = 21
	}
	return h, port
}

// configure writes the configuration of a server and returns its name. Another on the
// same host and port gets another file.
func (h *Host) configure(server string, port uint16, text string) (string, error) {
	file := fmt.Sprintf("%s/%s-%d.conf", h.Home(), server, port)
	if err := os.WriteFile(h.lab.Path(file), []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("writing the configuration of %s: %w", server, err)
	}
	return file, nil
}

// serve starts an FTP server and waits until it greets, at most as long as ctx.
func (l *Lab) serve(ctx context.Context, c *Cmd, name string, port uint16) (*Process, error) {
	p, err := l.start(c, name)
	if err != nil {
		return nil, err
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
	if err := p.begin(ctx, "greets", func() (bool, error) { return greets(ctx, c.host, address), nil }); err != nil {
		return nil, err
	}
	return p, nil
}

// greets tells a greeting of one line or of several.
func greets(ctx context.Context, h *Host, address netip.AddrPort) bool {
	conn, err := h.Dial(ctx, "tcp", address.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "220")
}
