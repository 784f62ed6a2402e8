package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// errNoConntrackd says that the helper of conntrackd cannot be measured here. Kernels
// without nfnetlink_cthelper refuse it, and so does one whose own helper has the name "ftp"
// already: the names are the whole machine's, not a namespace's (nf_conntrack_helper_register).
var errNoConntrackd = errors.New("the FTP helper of conntrackd cannot be had here")

// conntrackdConfig makes conntrackd the helper "ftp", on queues that ftpalg does not use.
const conntrackdConfig = `Helper {
	Type ftp inet tcp {
		QueueNum 0
		QueueLen 10240
		Policy ftp {
			ExpectMax 1
			ExpectTimeout 300
		}
	}
	Type ftp inet6 tcp {
		QueueNum 1
		QueueLen 10240
		Policy ftp {
			ExpectMax 1
			ExpectTimeout 300
		}
	}
}
General {
	HashSize 32768
	HashLimit 131072
	LogFile off
	Syslog off
	LockFile /run/lab/conntrackd.lock
	UNIX {
		Path ` + conntrackdSocket + `
	}
	NetlinkBufferSize 2097152
	NetlinkBufferSizeMaxGrowth 8388608
}
`

const (
	conntrackdFile   = "/run/lab/conntrackd.conf"
	conntrackdSocket = "/run/lab/conntrackd.ctl"
	conntrackdReady  = 10 * time.Second
)

// startConntrackd makes the helper known, puts it in force, and runs it.
func startConntrackd(ctx context.Context, s *stand) (*process, error) {
	if err := lab.Require("nfct", "conntrackd"); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoConntrackd, err)
	}
	for _, family := range []string{"inet", "inet6"} {
		out, err := s.Gateway.Command(ctx, "nfct", "add", "helper", "ftp", family, "tcp").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%w: nfct add helper ftp %s tcp: %w: %s", errNoConntrackd, family, err, out)
		}
	}
	if err := s.Gateway.LoadRuleset(ctx, lab.Ruleset("helper")); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.Path(conntrackdFile), []byte(conntrackdConfig), 0o644); err != nil {
		return nil, fmt.Errorf("writing the configuration of conntrackd: %w", err)
	}
	c := s.Gateway.Command(ctx, "conntrackd", "-C", conntrackdFile)
	p := &process{cmd: c, log: &tail{}}
	c.Stdout, c.Stderr = p.log, p.log
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting conntrackd: %w", err)
	}
	p.pid = c.Process.Pid
	for end := time.Now().Add(conntrackdReady); ; {
		if _, err := os.Stat(s.Path(conntrackdSocket)); err == nil {
			return p, nil
		}
		if err := sleep(ctx, 2*time.Millisecond); err != nil || time.Now().After(end) {
			return nil, p.failed("conntrackd", errors.Join(err, errors.New("it is not ready"), p.end()))
		}
	}
}
