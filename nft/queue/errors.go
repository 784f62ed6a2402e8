package queue

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var (
	// ErrTaken says that another program listens on the queue.
	ErrTaken = errors.New("taken by another program")
	// ErrUnsupported says that the kernel has no NFQUEUE, or no packet log.
	ErrUnsupported = errors.New("not in this kernel")
)

// subsystem is one of the two that this package talks to.
type subsystem struct {
	name   string // of what it numbers
	module string // which is the name of its file in /proc, too
	config string
}

var (
	packetQueue = subsystem{"NFQUEUE", "nfnetlink_queue", "CONFIG_NETFILTER_NETLINK_QUEUE"}
	packetLog   = subsystem{"NFLOG group", "nfnetlink_log", "CONFIG_NETFILTER_NETLINK_LOG"}
)

// explain tells apart the ways in which a queue or a log cannot be had.
func (s subsystem) explain(number uint16, err error) error {
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPROTONOSUPPORT):
		// nfnetlink_rcv_msg for a subsystem that is not there, and socket(2) where
		// nfnetlink itself is not.
		return fmt.Errorf("opening %s %d: %s (%s) is %w", s.name, number, s.module, s.config, ErrUnsupported)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EBUSY):
		// nfqnl_recv_config answers EPERM to a bind of another's queue,
		// nfulnl_recv_config EBUSY, and nfnetlink_rcv EPERM for want of CAP_NET_ADMIN.
		if port, ok := s.owner(number); ok {
			return fmt.Errorf("opening %s %d: %w (%s)", s.name, number, ErrTaken, program(port))
		}
	}
	return fmt.Errorf("opening %s %d: %w", s.name, number, err)
}

// Listener returns which program listens on a queue, in the network namespace of the calling
// thread. ok is false where none does, or where that is not known.
func Listener(number uint16) (name string, ok bool) {
	port, ok := packetQueue.owner(number)
	if !ok {
		return "", false
	}
	return program(port), true
}

// owner returns the netlink port that listens, in the network namespace of the calling
// thread. Column 1 is the number and column 2 the port (seq_show in nfnetlink_queue.c
// and nfnetlink_log.c).
func (s subsystem) owner(number uint16) (port uint32, ok bool) {
	f, err := os.Open("/proc/thread-self/net/netfilter/" + s.module)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != strconv.Itoa(int(number)) {
			continue
		}
		p, err := strconv.ParseUint(fields[1], 10, 32)
		return uint32(p), err == nil
	}
	return 0, false
}

// program names the owner of a netlink port. The first netlink socket of a process
// has the process ID for its port; a number that is no process stands for itself.
func program(port uint32) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", port))
	if err != nil {
		return fmt.Sprintf("netlink port %d", port)
	}
	return fmt.Sprintf("process %d, %s", port, strings.TrimSpace(string(name)))
}
