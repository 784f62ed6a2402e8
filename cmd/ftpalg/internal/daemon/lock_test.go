package daemon

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLock(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a network namespace of its own, and another user")
	}
	done := make(chan struct{})
	go func() { // on a thread that is thrown away with its namespace
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		first, err := lock()
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := lock(); !errors.Is(err, ErrRunning) {
			t.Errorf("a second daemon: %v", err)
		}
		if err := first(); err != nil {
			t.Error(err)
		}
		second, err := lock()
		if err != nil {
			t.Errorf("after the first has ended: %v", err)
			return
		}
		_ = second()

		// A stranger of another user takes the address.
		if _, _, errno := unix.Syscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 {
			t.Error(errno)
			return
		}
		stranger, err := lock()
		if err != nil {
			t.Error(err)
		}
		if _, _, errno := unix.Syscall(unix.SYS_SETRESUID, ^uintptr(0), 0, ^uintptr(0)); errno != 0 {
			t.Error(errno)
			return
		}
		if _, err := lock(); err != nil {
			t.Errorf("a stranger keeps the daemon from starting: %v", err)
		}
		_ = stranger()
	}()
	<-done
}
