package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// PureFTPDOptions are the choices of StartPureFTPD. Active data connections come from
// port 20, and from another port below 1024 where that is busy, for example with a
// connection in TIME_WAIT.
type PureFTPDOptions struct {
	Host *Host    // nil: the server
	Port uint16   // 0: 21
	Args []string // on top, by the names of pure-ftpd(8)
}

// StartPureFTPD starts pure-ftpd as StartVSFTPD does vsftpd.
func (l *Lab) StartPureFTPD(ctx context.Context, o PureFTPDOptions) (*Process, error) {
	host, port := l.place(o.Host, o.Port)
	if err := os.MkdirAll(l.Path("/run/pure-ftpd"), 0o755); err != nil {
		return nil, fmt.Errorf("making a directory for pure-ftpd: %w", err)
	}
	args := []string{
		"--bind", "," + strconv.Itoa(int(port)), // every address, both families
		"--login", "unix", // the lab's own /etc/passwd
		"--noanonymous", "--dontresolve",
		"--syslogfacility", "none",
		"--umask", "022:022",
		"--pidfile", fmt.Sprintf("%s/pure-ftpd-%d.pid", host.Home(), port),
	}
	c := host.Command(context.WithoutCancel(ctx), "pure-ftpd", append(args, o.Args...)...)
	return l.serve(ctx, c, "pure-ftpd", port)
}
