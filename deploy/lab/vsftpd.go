package lab

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// The one user of the lab's FTP servers.
const (
	User     = ftpUser
	Password = "ftppass"
)

//go:embed vsftpd.conf
var vsftpdConf string

// VSFTPDOptions are the choices of StartVSFTPD. The zero value is the server of the
// reference dialogue.
type VSFTPDOptions struct {
	Host     *Host             // nil: the server
	Port     uint16            // 0: 21
	Settings map[string]string // on top of vsftpd.conf, by the names of vsftpd.conf(5)
}

// StartVSFTPD starts an FTP server and waits until it greets, at most as long as ctx.
// Several may run, on different ports or hosts; the user's files are the same for all.
func (l *Lab) StartVSFTPD(ctx context.Context, o VSFTPDOptions) (*Process, error) {
	if o.Host == nil {
		o.Host = l.Server
	}
	if o.Port == 0 {
		o.Port = 21
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "%s\n# of this instance\nlisten_port=%d\n", vsftpdConf, o.Port)
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		fmt.Fprintf(&conf, "%s=%s\n", name, o.Settings[name])
	}
	file := fmt.Sprintf("%s/vsftpd-%d.conf", o.Host.Home(), o.Port)
	if err := os.WriteFile(l.Path(file), []byte(conf.String()), 0o644); err != nil {
		return nil, fmt.Errorf("write the configuration of vsftpd: %w", err)
	}
	if err := Require("vsftpd"); err != nil {
		return nil, err
	}
	// Before it serves, vsftpd reports errors where a client would be: on standard input.
	p, err := l.start(o.Host.Command(context.WithoutCancel(ctx), "sh", "-c", `exec vsftpd "$0" <&2`, file), "vsftpd")
	if err != nil {
		return nil, err
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), o.Port)
	if err := p.begin(ctx, "greets", func() (bool, error) { return greets(ctx, o.Host, address), nil }); err != nil {
		return nil, err
	}
	return p, nil
}

func greets(ctx context.Context, h *Host, address netip.AddrPort) bool {
	conn, err := h.Dial(ctx, "tcp", address.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "220 ")
}
