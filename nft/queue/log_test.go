package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openLog opens a log that is closed with the test.
func openLog(t *testing.T, group uint16) *Log {
	t.Helper()
	l, err := OpenLog(group)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// read runs the log until there are n entries, or nothing comes.
func read(t *testing.T, l *Log, n int) (entries []LogEntry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := l.Run(ctx, func(e LogEntry) {
		e.Packet = bytes.Clone(e.Packet)
		if entries = append(entries, e); len(entries) == n {
			cancel()
		}
	}); err != nil {
		t.Errorf("Run: %v", err)
	}
	return entries
}

// What is logged comes with the rule's prefix and the packet's beginning, at once, and
// the packet goes on.
func TestLog(t *testing.T) {
	namespace(t, 65536)
	l := openLog(t, 5)
	logTo(t, 5, "missed")
	to := receiver(t, "127.0.0.1")
	from := sender(t, to)
	long := strings.Repeat("x", 10000)
	begin := time.Now()
	for _, s := range []string{"hello", long} {
		if _, err := from.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	entries := read(t, l, 2)
	if took := time.Since(begin); len(entries) != 2 || took > 500*time.Millisecond {
		t.Fatalf("%d entries came after %v", len(entries), took)
	}
	for i, want := range []string{"hello", long[:logRange-28]} {
		e := entries[i]
		if e.Prefix != "missed" || e.In != 0 || e.Out != loopback || len(e.Packet) <= 28 || string(e.Packet[28:]) != want {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	if got := datagrams(t, to); len(got) != 2 {
		t.Errorf("%d datagrams arrived, want 2", len(got))
	}
	if c := l.Counters(); c != (LogCounters{Entries: 2}) {
		t.Errorf("counters: %+v", c)
	}
}

// Entries that do not fit the socket are counted as one loss, and the log goes on.
func TestLogOverrun(t *testing.T) {
	namespace(t, 1500)
	l := openLog(t, 5)
	if err := unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8192); err != nil {
		t.Fatal(err)
	}
	logTo(t, 5, "missed")
	from := sender(t, receiver(t, "127.0.0.1"))
	for i := range 1000 {
		if _, err := fmt.Fprint(from, i); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(read(t, l, 1000)); n == 0 || n == 1000 {
		t.Errorf("%d entries of 1000 came: the test shows nothing", n)
	}
	if c := l.Counters(); c.Overruns == 0 || c.Garbled != 0 {
		t.Errorf("counters: %+v", c)
	}
	if _, err := from.Write([]byte("after")); err != nil {
		t.Fatal(err)
	}
	if n := len(read(t, l, 1)); n != 1 {
		t.Errorf("%d entries came after the loss, want 1", n)
	}
}

// Run ends soon after its context, without traffic too.
func TestLogStops(t *testing.T) {
	namespace(t, 1500)
	l, err := OpenLog(5)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, func(LogEntry) { t.Error("an entry of nothing") }) }()
	time.Sleep(250 * time.Millisecond) // two waits in vain
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(time.Second):
		t.Fatal("Run goes on")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Run(t.Context(), func(LogEntry) {}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run after Close: %v, want net.ErrClosed", err)
	}
}

func TestLogTaken(t *testing.T) {
	namespace(t, 1500)
	openLog(t, 700)
	_, err := OpenLog(700)
	if !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "NFLOG group 700") {
		t.Errorf("a second OpenLog: %v", err)
	}
	openLog(t, 701)
}

func TestLogWithoutCapability(t *testing.T) {
	namespace(t, 1500)
	var data [2]unix.CapUserData // none
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(5); !errors.Is(err, unix.EPERM) {
		t.Errorf("OpenLog without CAP_NET_ADMIN: %v, want EPERM", err)
	}
}

// A kernel without the one or the other says EINVAL, and the error says what is missing.
func TestUnsupported(t *testing.T) {
	for _, s := range []subsystem{packetQueue, packetLog} {
		err := s.explain(7, unix.EINVAL)
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), s.config) {
			t.Errorf("%v", err)
		}
	}
}

// What the kernel may leave out of a message is never missed.
func TestEntry(t *testing.T) {
	header, payload := []byte{0, 0, 0, 5}, attr(logPayload, 'a', 'b', 'c', 'd')
	for name, tt := range map[string]struct {
		typ  uint16
		body []byte
		want string
		ok   bool
	}{
		"whole":           {msgLogPacket, slices.Concat(header, payload), "abcd", true},
		"no packet":       {msgLogPacket, header, "", false},
		"nothing":         {msgLogPacket, nil, "", false},
		"another message": {msgLogConfig, slices.Concat(header, payload), "", false},
		"cut off":         {msgLogPacket, slices.Concat(header, payload[:6]), "", false},
		"short interface": {msgLogPacket, slices.Concat(header, payload, attr(logIndexIn, 1, 2)), "", false},
	} {
		var l Log
		e, ok := l.entry(message{tt.typ, tt.body})
		if ok != tt.ok || ok && string(e.Packet) != tt.want {
			t.Errorf("%s: %+v, %v", name, e, ok)
		}
	}
}

// One datagram may hold several entries, and has a message at its end then.
func TestSeveralEntries(t *testing.T) {
	entry := func(prefix, packet string) []byte {
		return netlinkMessage(msgLogPacket, slices.Concat(make([]byte, 4), attr(logPrefix, append([]byte(prefix), 0)...), attr(logPayload, []byte(packet)...)))
	}
	datagram := slices.Concat(entry("one", "a"), entry("one", "b"), entry("two", "c"), netlinkMessage(unix.NLMSG_DONE, make([]byte, 4)), []byte{1})
	var l Log
	var got []string
	l.deliver(datagram, func(e LogEntry) { got = append(got, e.Prefix+":"+string(e.Packet)) })
	if want := []string{"one:a", "one:b", "two:c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if c := l.Counters(); c != (LogCounters{Entries: 3, Garbled: 1}) {
		t.Errorf("counters: %+v", c)
	}
}
