package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Supported returns nil where the kernel has queues, or has them now that it was asked:
// nfnetlink_rcv_msg loads the module of a subsystem that somebody speaks to. Where it has
// none, the error is ErrUnsupported.
func Supported() error { return packetQueue.supported(msgConfig) }

// LogSupported is Supported for groups of the packet log.
func LogSupported() error { return packetLog.supported(msgLogConfig) }

// supported sends a request that asks for nothing.
func (s subsystem) supported(config netlink.HeaderType) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return s.explain(0, err)
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: config, Flags: netlink.Request | netlink.Acknowledge},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}, // struct nfgenmsg
	})
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return s.explain(0, err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EPERM): // nobody has number 0, or another
		return nil
	}
	return err
}

// Standing is what the kernel says of a queue that somebody listens on.
type Standing struct {
	Waiting     uint32 // packets without a verdict
	Dropped     uint64 // as the queue was full; what passes unread where it fails open is not counted
	UserDropped uint64 // the same, as the socket of the listener was full
}

// StandingsFile is where the kernel tells of the queues of the network namespace
// (seq_show in nfnetlink_queue.c). Root alone may open it.
const StandingsFile = "/proc/thread-self/net/netfilter/nfnetlink_queue"

// Standings returns what the kernel says, in an open StandingsFile, of the queues of the
// network namespace in which it was opened, by number. It may be called again.
func Standings(f io.ReaderAt) (map[uint16]Standing, error) {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxStandings))
	if err != nil {
		return nil, fmt.Errorf("reading how full the queues are: %w", err)
	}
	return parseStandings(text)
}

// maxStandings is more than all queues that there may be take.
const maxStandings = 16 << 20

func parseStandings(text []byte) (map[uint16]Standing, error) {
	all := make(map[uint16]Standing)
	for line := range bytes.Lines(text) {
		var number uint16
		var s Standing
		var port, mode, length uint32
		if _, err := fmt.Sscan(string(line), &number, &port, &s.Waiting, &mode, &length, &s.Dropped, &s.UserDropped); err != nil {
			return nil, fmt.Errorf("reading how full the queues are: %q: %w", line, err)
		}
		all[number] = s
	}
	return all, nil
}
