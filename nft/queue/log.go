package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// logBuffer holds the entries that the kernel has sent and we have not read. Each takes
	// about a kilobyte of it.
	logBuffer = 1 << 20
	// logRange is as much of a packet as is asked for: its headers.
	logRange = 128
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
	Packet []byte // the first 128 bytes at most, from the network header on; the receiver's to keep
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
	in     []byte

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
	l := &Log{group: group, fd: fd, in: make([]byte, maxMessage)}
	if err := l.bind(); err != nil {
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
		messages, _, _, err := receive(l.fd, l.in, 0)
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		for _, m := range messages {
			if m.Header.Type == netlink.Error && len(m.Data) >= 4 {
				if errno := -int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
					return unix.Errno(errno)
				}
				return nil
			}
		}
	}
}

// Run hands over what is logged until ctx ends. Calls of handle do not overlap, and none
// comes after Run has returned. It returns an error of the socket, net.ErrClosed after
// Close, or nil within 100 ms after ctx ended.
func (l *Log) Run(ctx context.Context, handle func(LogEntry)) error {
	for ctx.Err() == nil {
		if l.closed.Load() {
			return net.ErrClosed
		}
		messages, _, garbled, err := receive(l.fd, l.in, 0)
		if garbled {
			l.garbled.Add(1)
		}
		switch {
		case errors.Is(err, unix.ENOBUFS):
			l.overruns.Add(1)
		case err != nil && !errors.Is(err, unix.EAGAIN):
			return fmt.Errorf("reading NFLOG group %d: %w", l.group, err)
		}
		for _, m := range messages {
			if m.Header.Type == netlink.Done {
				continue // ends a message with several entries (__nfulnl_send)
			}
			e, ok := entry(m)
			if !ok {
				l.garbled.Add(1)
				continue
			}
			l.entries.Add(1)
			handle(e)
		}
	}
	return nil
}

// entry reads a message. ok is false where it has no packet.
func entry(m netlink.Message) (e LogEntry, ok bool) {
	const header = 4 // struct nfgenmsg
	if m.Header.Type != msgLogPacket || len(m.Data) < header {
		return LogEntry{}, false
	}
	attrs, err := netlink.NewAttributeDecoder(m.Data[header:])
	if err != nil {
		return LogEntry{}, false
	}
	attrs.ByteOrder = binary.BigEndian
	for attrs.Next() {
		switch attrs.Type() {
		case logIndexIn:
			e.In = attrs.Uint32()
		case logIndexOut:
			e.Out = attrs.Uint32()
		case logPayload:
			e.Packet = attrs.Bytes() // a copy
		case logPrefix:
			e.Prefix = strings.TrimRight(attrs.String(), "\x00")
		}
	}
	return e, attrs.Err() == nil && len(e.Packet) > 0
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
	if err := unix.Close(l.fd); err != nil {
		return fmt.Errorf("closing NFLOG group %d: %w", l.group, err)
	}
	return nil
}
