package lab

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed proftpd.conf
var proftpdConf string

// ProFTPDOptions are the choices of StartProFTPD. The zero value is a server whose
// active data connections come from port 20.
type ProFTPDOptions struct {
	Host *Host  // nil: the server
	Port uint16 // 0: 21

	// AnyPort leaves RootRevoke at its default, with which proftpd 1.3.8 gives up its
	// rights at the log-in: active data connections come from a port above 1023.
	AnyPort bool

	Directives []string // on top of proftpd.conf
}

// StartProFTPD starts proftpd as StartVSFTPD does vsftpd.
func (l *Lab) StartProFTPD(ctx context.Context, o ProFTPDOptions) (*Process, error) {
	host, port := l.place(o.Host, o.Port)
	state := fmt.Sprintf("%s/proftpd-%d", host.Home(), port)
	lines := []string{
		proftpdConf, "# of this instance",
		// Without an address it would look up the name of the machine.
		fmt.Sprintf("DefaultAddress %s %s", host.IPv4, host.IPv6),
		fmt.Sprintf("Port %d", port),
		"PidFile " + state + ".pid",
		"ScoreboardFile " + state + ".scoreboard",
	}
	if !o.AnyPort {
		lines = append(lines, "RootRevoke off")
	}
	text := strings.Join(append(lines, o.Directives...), "\n") + "\n"
	file, err := host.configure("proftpd", port, text)
	if err != nil {
		return nil, err
	}
	c := host.Command(context.WithoutCancel(ctx), "proftpd", "--nodaemon", "--config", file)
	return l.serve(ctx, c, "proftpd", port)
}
