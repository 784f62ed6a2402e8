package daemon

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrRunning says that there is a daemon already.
var ErrRunning = errors.New("another ftpalg is running in this network namespace")

// lockAddress is an abstract socket address: a network namespace's own, and free again
// when its holder is gone, however it went.
var lockAddress = &unix.SockaddrUnix{Name: "@ftpalg"}

// lock makes sure that one daemon runs in a network namespace. Any program may take an
// abstract address; one of a user who could not run the daemon is no reason not to
// start, and a second daemon would still find the queue taken.
func lock() (unlock func() error, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the lock socket: %w", err)
	}
	err = unix.Bind(fd, lockAddress)
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN) // nobody accepts: who asks is told by the kernel
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE) && heldByDaemon():
		err = ErrRunning
	case errors.Is(err, unix.EADDRINUSE):
		err = nil
	case err != nil:
		err = fmt.Errorf("binding the lock socket: %w", err)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return func() error { return unix.Close(fd) }, nil
}

// Running reports whether a daemon runs in the network namespace of the calling thread.
func Running() bool { return heldByDaemon() }

// heldByDaemon reports whether the holder of the lock is of a user who may run a daemon:
// root, or our own.
func heldByDaemon() bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, lockAddress); {
	case errors.Is(err, unix.EAGAIN): // it is there, and somebody keeps it busy
		return true
	case err != nil:
		return false
	}
	holder, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	return err != nil || holder.Uid == 0 || int(holder.Uid) == os.Geteuid()
}
