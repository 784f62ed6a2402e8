package queue

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// idle is how long a read waits for traffic.
	idle = 100 * time.Millisecond
	// yieldEvery is less than the 10 ms after which the runtime takes its processor from a
	// goroutine, see wait.
	yieldEvery = 5 * time.Millisecond
	// maxMessage is room for the longest packet and all its attributes.
	maxMessage = maxPacket + 4096
)

// reader reads many datagrams of a netlink socket in one system call, into memory that is
// used again. It blocks in the kernel instead of in the runtime's poller, which would take
// a read that ends in EAGAIN, a wait for epoll and the switch to another thread for each
// packet of a client who waits for its answer.
type reader struct {
	fd      int
	headers []mmsghdr
	vectors []unix.Iovec
	slots   []byte // one of maxMessage for each header; only what is written to takes memory

	yielded time.Time
	quiet   bool // the last read waited in vain
	poll    [2]unix.PollFd
	waker   *waker
}

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	unix.Msghdr
	n uint32
}

func newReader(fd, slots int) (*reader, error) {
	w, err := newWaker()
	if err != nil {
		return nil, err
	}
	r := &reader{
		fd:      fd,
		headers: make([]mmsghdr, slots),
		vectors: make([]unix.Iovec, slots),
		slots:   make([]byte, slots*maxMessage),
		poll:    [...]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(w.fd), Events: unix.POLLIN}},
		waker:   w,
	}
	for i := range r.headers {
		r.vectors[i].Base = &r.slots[i*maxMessage]
		r.vectors[i].SetLen(maxMessage)
		r.headers[i].Iov = &r.vectors[i]
		r.headers[i].SetIovlen(1)
	}
	return r, nil
}

// wait returns how many datagrams have arrived. Where there are none it waits for one: for
// 100 ms, and where that was in vain, with the next call as long as rest, or until somebody
// wakes it. The error is EAGAIN after a wait in vain, ENOBUFS after a loss, or says that
// the socket is of no use any more.
//
// A wait that ends every 100 ms would not cost much, but that the runtime then looks for
// work another fifty times (sysmon in runtime/proc.go). And of a goroutine that never gave
// way it takes the processor every 20 us, in each read: half of the CPU time of a NOOP. To
// have a locked thread give way costs more than it saves.
func (r *reader) wait(rest time.Duration) (int, error) {
	if now := time.Now(); now.Sub(r.yielded) > yieldEvery {
		r.yielded = now
		runtime.Gosched()
	}
	if r.quiet && !r.rest(rest) {
		return 0, unix.EAGAIN
	}
	// For the first it waits, but not for the others: no read is left that only says
	// that there are no more.
	n, err := r.read(unix.MSG_WAITFORONE)
	r.quiet = errors.Is(err, unix.EAGAIN)
	return n, err
}

// rest waits for traffic, and reports whether there is any.
func (r *reader) rest(d time.Duration) bool {
	n, err := unix.Poll(r.poll[:], int(min(d, time.Hour).Milliseconds()))
	if err != nil || n <= 0 {
		return false
	}
	if r.poll[1].Revents != 0 {
		r.waker.heard()
	}
	return r.poll[0].Revents != 0
}

// read returns how many datagrams have arrived.
func (r *reader) read(flags int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(r.fd),
		uintptr(unsafe.Pointer(&r.headers[0])), uintptr(len(r.headers)), uintptr(flags), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		// A read with a time-out is not restarted after a signal (signal(7)), and a wait
		// that was cut short is as good as one in vain.
		return 0, unix.EAGAIN
	}
	return 0, errno
}

// datagram returns one of those that were read. It is good until the next read.
func (r *reader) datagram(i int) []byte {
	return r.slots[i*maxMessage:][:r.headers[i].n]
}

// close gives back all but the socket.
func (r *reader) close() { r.waker.close() }

// openNetlink opens a netfilter socket with a read buffer of this size, whose reads wait as
// long as idle.
func openNetlink(buffer int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return -1, fmt.Errorf("opening a netfilter netlink socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	// SO_RCVBUFFORCE goes over net.core.rmem_max, with CAP_NET_ADMIN in the first user namespace.
	// A container has it in its own alone, and gets no more than that (sk_setsockopt).
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err != nil {
		return -1, fmt.Errorf("giving a netlink socket a read buffer of %d bytes: %w", buffer, err)
	}
	timeout := unix.NsecToTimeval(idle.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return -1, fmt.Errorf("giving a netlink socket a read time-out: %w", err)
	}
	// Connected to port 0, it hears the kernel alone.
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return -1, fmt.Errorf("connecting a netlink socket to the kernel: %w", err)
	}
	return fd, nil
}
