package lab_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestServers starts every server on two hosts, one with another port, and reads a file
// in active mode in both families.
func TestServers(t *testing.T) {
	at20 := func(control, data uint16) bool { return data == 20 }
	below := func(control, data uint16) bool { return data == control-1 } // RFC 959 section 3.2
	high := func(control, data uint16) bool { return data > 1023 }
	for name, server := range map[string]struct {
		start func(ctx context.Context, l *lab.Lab, h *lab.Host, port uint16) (*lab.Process, error)
		from  func(control, data uint16) bool // where active data connections come from
	}{
		"vsftpd": {func(ctx context.Context, l *lab.Lab, h *lab.Host, port uint16) (*lab.Process, error) {
			return l.StartVSFTPD(ctx, lab.VSFTPDOptions{Host: h, Port: port})
		}, at20},
		"proftpd": {func(ctx context.Context, l *lab.Lab, h *lab.Host, port uint16) (*lab.Process, error) {
			return l.StartProFTPD(ctx, lab.ProFTPDOptions{Host: h, Port: port})
		}, below},
		"proftpd from any port": {func(ctx context.Context, l *lab.Lab, h *lab.Host, port uint16) (*lab.Process, error) {
			return l.StartProFTPD(ctx, lab.ProFTPDOptions{Host: h, Port: port, AnyPort: true})
		}, high},
		"pure-ftpd": {func(ctx context.Context, l *lab.Lab, h *lab.Host, port uint16) (*lab.Process, error) {
			return l.StartPureFTPD(ctx, lab.PureFTPDOptions{Host: h, Port: port})
		}, at20},
		"pyftpdlib": {func(ctx context.Context, l *lab.Lab, h *lab.Host, port uint16) (*lab.Process, error) {
			return l.StartPyFTPdlib(ctx, lab.PyFTPdlibOptions{Host: h, Port: port})
		}, high},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, lab.Options{})
			for _, at := range []struct {
				host *lab.Host
				port uint16
			}{{l.Server, 21}, {l.Outsider, 2121}} {
				if _, err := server.start(t.Context(), l, at.host, at.port); err != nil {
					t.Fatal(err)
				}
				for _, addr := range []netip.Addr{at.host.IPv4, at.host.IPv6} {
					readActively(t, l, netip.AddrPortFrom(addr, at.port), server.from)
				}
			}
		})
	}
}

func readActively(t *testing.T, l *lab.Lab, server netip.AddrPort, from func(control, data uint16) bool) {
	t.Helper()
	c := capture(t, l.Client, "eth0")
	begin := time.Now()
	out, err := l.Client.Command(t.Context(), "curl", "-sS", "--ftp-port", "-", "--max-time", "10",
		"-u", lab.User+":"+lab.Password, fmt.Sprintf("ftp://%s/R1.cfg", server)).CombinedOutput()
	if err != nil || string(out) != lab.R1 {
		t.Errorf("from %s: %v: %s", server, err, out)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("from %s: took %v: something waits for a name or slows down log-ins", server, took)
	}
	var data int
	for _, conn := range lab.Connections(c.Packets()) {
		if conn.From.Addr() != server.Addr() {
			continue
		}
		data++
		if !from(server.Port(), conn.From.Port()) {
			t.Errorf("%s opens a data connection from port %d", server, conn.From.Port())
		}
	}
	if data != 1 {
		t.Errorf("%s opened %d data connections", server, data)
	}
}
