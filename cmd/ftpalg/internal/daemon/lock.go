package daemon

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrRunning says that there is a daemon already.
var ErrRunning = errors.New("another ftpalg is running in this network namespace")

// lock makes sure that one daemon runs in a network namespace. An abstract socket
// address is such a namespace's own, and free again when its holder is gone, however
// it went.
func lock() (unlock func() error, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the lock socket: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: "@ftpalg"})
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		err = ErrRunning
	case err != nil:
		err = fmt.Errorf("bind the lock socket: %w", err)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return func() error { return unix.Close(fd) }, nil
}
