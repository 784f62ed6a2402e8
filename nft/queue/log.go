package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// logBuffer holds the entries that the kernel has sent and we have not read. Each takes
	// about a kilobyte of it.
	logBuffer = 1 << 20
	// logRange is as much of a packet as is asked for: its headers.
	logRange = 128
	// logSlots is how many messages are read in one system call, each of one entry or more.
	logSlots = 16
)

// The messages and attributes of linux/netfilter/nfnetlink_log.h.
const (
	msgLogPacket = unix.NFNL_SUBSYS_ULOG << 8
	msgLogConfig = unix.NFNL_SUBSYS_ULOG<<8 | 1

	logConfigCommand   = 1
	logConfigMode      = 2
	logConfigThreshold = 5

	logCommandBind = 1
	logCopyPacket  = 2

	logIndexIn  = 4
	logIndexOut = 5
	logPayload  = 9
	logPrefix   = 10
)

// LogEntry is one packet that a log rule copied. It went on at once.
type LogEntry struct {
	Prefix string // of the rule
	Packet []byte // the first 128 bytes at most, from the network header on; valid until handle returns
	In     uint32 // index of the interface by which it came in; 0: this host sent it
	Out    uint32 // index of the interface by which it will leave; 0: it is for this host
}

// LogCounters is what a log has seen since it was opened.
type LogCounters struct {
	Entries  uint64 // handed on
	Garbled  uint64 // messages that are no entry
	Overruns uint64 // times that entries were lost because the socket was full (ENOBUFS)
}

// Log is the listening end of a rule with `log group`. Counters may be called at any time
// and Close once, after Run has returned; everything else by one goroutine at a time.
type Log struct {
	group  uint16
	fd     int
	closed atomic.Bool
	in     *reader
	prefix string // of the last entry

	entries, garbled, overruns atomic.Uint64
}

// OpenLog listens to the group in the network namespace of the calling thread. What is
// logged from then on waits for Run.
//
// The error is ErrTaken where another program listens to that group, ErrUnsupported
// where the kernel has no such log, and unix.EPERM for want of CAP_NET_ADMIN.
func OpenLog(group uint16) (*Log, error) {
	fd, err := openNetlink(logBuffer)
	if err != nil {
		return nil, packetLog.explain(group, err)
	}
	l := &Log{group: group, fd: fd}
	if l.in, err = newReader(fd, logSlots); err != nil {
		_ = unix.Close(fd)
		return nil, packetLog.explain(group, err)
	}
	if err := l.bind(); err != nil {
		l.in.close()
		_ = unix.Close(fd)
		return nil, packetLog.explain(group, err)
	}
	return l, nil
}

// bind asks for the group's packets, in one message, and waits for the answer. Entries that
// come before it are dropped.
func (l *Log) bind() error {
	mode := append(binary.BigEndian.AppendUint32(nil, logRange), logCopyPacket, 0) // struct nfulnl_msg_config_mode
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: logConfigCommand, Data: []byte{logCommandBind}},
		{Type: logConfigMode, Data: mode},
		// Otherwise an entry waits up to a second for others to come.
		{Type: logConfigThreshold, Data: binary.BigEndian.AppendUint32(nil, 1)},
	})
	if err != nil {
		return err
	}
	// struct nfgenmsg: family, version, resource.
	header := binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, l.group)
	message := netlink.Message{
		Header: netlink.Header{Type: msgLogConfig, Flags: netlink.Request | netlink.Acknowledge, Sequence: 1},
		Data:   append(header, attrs...),
	}
	message.Header.Length = uint32(unix.NLMSG_HDRLEN + len(message.Data))
	b, err := message.MarshalBinary()
	if err != nil {
		return err
	}
	if _, err := unix.Write(l.fd, b); err != nil {
		return err
	}
	for {
		n, err := l.in.read(unix.MSG_WAITFORONE)
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		for i := range n {
			if m, _, ok := nextMessage(l.in.datagram(i)); ok && m.typ == unix.NLMSG_ERROR {
				if errno := m.errno(); errno != 0 {
					return errno
				}
				return nil
			}
		}
	}
}

// Run hands over what is logged until ctx ends, on the calling goroutine. Calls of handle do not overlap, and none comes after Run has
// returned. It returns an error of the socket, net.ErrClosed after Close, or nil within
// 100 ms after ctx ended.
func (l *Log) Run(ctx context.Context, handle func(LogEntry)) error {
	defer context.AfterFunc(ctx, l.in.waker.wake)()
	for ctx.Err() == nil {
		if l.closed.Load() {
			return net.ErrClosed
		}
		n, err := l.in.wait(time.Hour)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			l.overruns.Add(1)
		case err != nil && !errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("reading NFLOG group %d: %w", l.group, err)
		}
		for i := range n {
			l.deliver(l.in.datagram(i), handle)
		}
	}
	return nil
}

// deliver hands over the entries of one datagram.
func (l *Log) deliver(datagram []byte, handle func(LogEntry)) {
	entries, garbled := 0, 0
	for len(datagram) > 0 {
		m, rest, ok := nextMessage(datagram)
		if !ok {
			garbled++
			break
		}
		datagram = rest
		if m.typ == unix.NLMSG_DONE {
			continue // ends a message with several entries (__nfulnl_send)
		}
		e, ok := l.entry(m)
		if !ok {
			garbled++
			continue
		}
		entries++
		handle(e)
	}
	l.entries.Add(uint64(entries))
	l.garbled.Add(uint64(garbled))
}

// entry reads a message. ok is false where it has no packet.
func (l *Log) entry(m message) (e LogEntry, ok bool) {
	if m.typ != msgLogPacket {
		return LogEntry{}, false
	}
	attrs, ok := m.attributes(), true
	for {
		a, rest, more := nextAttribute(attrs)
		if !more {
			break
		}
		attrs = rest
		switch a.typ {
		case logIndexIn:
			e.In, ok = a.number()
		case logIndexOut:
			e.Out, ok = a.number()
		case logPayload:
			e.Packet = a.value
		case logPrefix:
			e.Prefix = l.name(bytes.TrimRight(a.value, "\x00"))
		}
		if !ok {
			return LogEntry{}, false
		}
	}
	return e, len(attrs) == 0 && len(e.Packet) > 0
}

// name returns a prefix. It is mostly that of the last entry, and then takes no memory.
func (l *Log) name(prefix []byte) string {
	if string(prefix) != l.prefix {
		l.prefix = string(prefix)
	}
	return l.prefix
}

// Counters returns a snapshot.
func (l *Log) Counters() LogCounters {
	return LogCounters{
		Entries:  l.entries.Load(),
		Garbled:  l.garbled.Load(),
		Overruns: l.overruns.Load(),
	}
}

// Close gives the group up.
func (l *Log) Close() error {
	l.closed.Store(true)
	l.in.close()
	if err := unix.Close(l.fd); err != nil {
		return fmt.Errorf("closing NFLOG group %d: %w", l.group, err)
	}
	return nil
}
