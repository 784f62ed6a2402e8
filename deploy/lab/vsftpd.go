package lab

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	host, port := l.place(o.Host, o.Port)
	var conf strings.Builder
	fmt.Fprintf(&conf, "%s\n# of this instance\nlisten_port=%d\n", vsftpdConf, port)
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		fmt.Fprintf(&conf, "%s=%s\n", name, o.Settings[name])
	}
	file, err := host.configure("vsftpd", port, conf.String())
	if err != nil {
		return nil, err
	}
	if err := Require("vsftpd"); err != nil {
		return nil, err
	}
	// Before it serves, vsftpd reports errors where a client would be: on standard input.
	c := host.Command(context.WithoutCancel(ctx), "sh", "-c", `exec vsftpd "$0" <&2`, file)
	return l.serve(ctx, c, "vsftpd", port)
}
