package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs f on an operating system thread of its own. Whatever f does to the
// thread, it does to nobody else: the thread ends with f.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// A goroutine that returns while locked takes its thread with it.
		runtime.LockOSThread()
		err := errors.New("the function did not return") // as after t.FailNow
		defer func() { done <- err }()
		if unix.Gettid() != unix.Getpid() {
			err = f()
			return
		}
		// The first thread never ends, and what it did to itself would stay.
		// It is held meanwhile, so that the next goroutine gets another.
		err = onThread(f)
		runtime.UnlockOSThread()
	}()
	return <-done
}

// enterLab moves the calling thread into the lab's mounts, and its children into
// the lab's process namespace.
func (l *Lab) enterLab() error {
	// A mount namespace needs a working directory shared with no other thread.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare the working directory of a thread: %w", err)
	}
	if err := setns(l.mnt, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("entering the mounts of lab %s: %w", l.Name, err)
	}
	if err := setns(l.pid, unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("entering the processes of lab %s: %w", l.Name, err)
	}
	return nil
}

func setns(ns *os.File, kind int) error {
	if ns == nil {
		return os.ErrClosed
	}
	conn, err := ns.SyscallConn()
	if err != nil {
		return err
	}
	var errno error
	if err := conn.Control(func(fd uintptr) { errno = unix.Setns(int(fd), kind) }); err != nil {
		return err
	}
	return errno
}
