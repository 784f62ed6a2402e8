package lab

import (
	"context"
	_ "embed"
	"os"
	"strconv"
)

//go:embed pyftpdlib.py
var pyftpdlibScript string

// pyftpdlibDir is where Debian's python has the library.
const pyftpdlibDir = "/usr/lib/python3/dist-packages/pyftpdlib"

// PyFTPdlibOptions are the choices of StartPyFTPdlib. Active data connections come from
// any port, and before the server has answered PORT.
type PyFTPdlibOptions struct {
	Host *Host  // nil: the server
	Port uint16 // 0: 21

	PassiveFirst, PassiveLast uint16 // ports of passive data connections; 0: any
}

// StartPyFTPdlib starts a server of python's pyftpdlib as StartVSFTPD does vsftpd.
func (l *Lab) StartPyFTPdlib(ctx context.Context, o PyFTPdlibOptions) (*Process, error) {
	host, port := l.place(o.Host, o.Port)
	if _, err := os.Stat(pyftpdlibDir); err != nil {
		return nil, &MissingError{Program: "pyftpdlib", Package: packages["pyftpdlib"]}
	}
	// Debian's python, not one that somebody put in /usr/local.
	c := host.Command(context.WithoutCancel(ctx), "/usr/bin/python3", "-c", pyftpdlibScript,
		strconv.Itoa(int(port)), User, Password, ServerFiles, strconv.Itoa(ftpUID),
		strconv.Itoa(int(o.PassiveFirst)), strconv.Itoa(int(o.PassiveLast)))
	return l.serve(ctx, c, "pyftpdlib", port)
}
