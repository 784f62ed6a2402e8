package queue

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// waker ends the wait of a reader that rests. It is safe for concurrent use.
type waker struct {
	mu sync.Mutex
	fd int // an eventfd; -1: closed
}

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("opening an eventfd: %w", err)
	}
	return &waker{fd: fd}, nil
}

// wake ends the wait, or the next one.
func (w *waker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		_, _ = unix.Write(w.fd, []byte{0, 0, 0, 0, 0, 0, 0, 1}) // any number but 0; it fails if there are many
	}
}

// heard takes back what wake did.
func (w *waker) heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var count [8]byte
	_, _ = unix.Read(w.fd, count[:])
}

func (w *waker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = unix.Close(w.fd)
	w.fd = -1
}
