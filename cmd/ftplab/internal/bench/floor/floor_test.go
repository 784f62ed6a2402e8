package floor

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Every packet gets a verdict: what both ends say arrives, and nothing waits afterwards.
func TestRun(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip("needs root:", err)
	}
	l, err := lab.New(t.Context(), lab.Options{Ruleset: lab.Ruleset("stateful")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- l.Gateway.Do(func() error { return Run(ctx, Table(700, 2), func() { close(ready) }) })
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	ln, err := l.Server.Listen(ctx, "tcp4", l.Server.IPv4.String()+":21")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	const peers, lines = 8, 200
	var all sync.WaitGroup
	for i := range peers {
		all.Go(func() {
			c, err := l.Client.Dial(ctx, "tcp4", l.Server.IPv4.String()+":21")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if err := talk(c, fmt.Sprintf("%d says NOOP\r\n", i), lines); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	waiting, dropped, packets := counters(t, l)
	for end := time.Now().Add(10 * time.Second); waiting > 0 && time.Now().Before(end); { // the last FIN may be under way
		time.Sleep(time.Millisecond)
		waiting, dropped, packets = counters(t, l)
	}
	// Each line is diverted both ways, and so are SYN, SYN/ACK and both ends of each.
	if least := peers * 2 * lines; packets < least || waiting > 0 || dropped > 0 {
		t.Errorf("%d packets queued, of which %d wait and %d were dropped; want at least %d, and 0", packets, waiting, dropped, least)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, _, packets := counters(t, l); packets != 0 {
		t.Errorf("the queues are bound still")
	}
}

// talk says a line again and again, and hears it.
func talk(c net.Conn, line string, times int) error {
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	heard := make([]byte, len(line))
	for range times {
		if _, err := io.WriteString(c, line); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, heard); err != nil {
			return err
		}
		if string(heard) != line {
			return fmt.Errorf("%q came back as %q", line, heard)
		}
	}
	return nil
}

// counters adds up what the kernel has counted of all queues (seqfile_nfqnl_show).
func counters(t *testing.T, l *lab.Lab) (waiting, dropped, packets int) {
	t.Helper()
	var text []byte
	if err := l.Gateway.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var number, port, total, mode, length, full, lost, sequence, one int
		if _, err := fmt.Sscan(line, &number, &port, &total, &mode, &length, &full, &lost, &sequence, &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		waiting, dropped, packets = waiting+total, dropped+full+lost, packets+sequence
	}
	return waiting, dropped, packets
}

// Whatever the kernel sends, a number is found in a packet alone.
func TestPacketID(t *testing.T) {
	packet := func(attributes ...[]byte) []byte {
		b := make([]byte, 20)
		binary.NativeEndian.PutUint16(b[4:], unix.NFNL_SUBSYS_QUEUE<<8|nfqnlMsgPacket)
		return append(b, bytes.Join(attributes, nil)...)
	}
	attribute := func(kind uint16, value ...byte) []byte {
		b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
		b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
		return append(b, make([]byte, -len(b)&3)...)
	}
	refused := packet()
	binary.NativeEndian.PutUint16(refused[4:], unix.NLMSG_ERROR)
	header := attribute(nfqaPacketHdr, 0, 0, 1, 2, 8, 0, 2)
	for name, c := range map[string]struct {
		message []byte
		id      uint32
		ok      bool
	}{
		"a packet":                 {packet(header), 258, true},
		"another attribute before": {packet(attribute(9, 1, 2, 3), header), 258, true},
		"nothing":                  {nil, 0, false},
		"no attribute":             {packet(), 0, false},
		"a verdict refused":        {append(refused, header...), 0, false},
		"cut short":                {packet(header)[:25], 0, false},
		"no number in it":          {packet(attribute(nfqaPacketHdr, 0)), 0, false},
		"a length of nothing":      {packet([]byte{0, 0, 1, 0, 0, 0, 0, 0}), 0, false},
		"a length beyond the end":  {packet([]byte{99, 0, 1, 0, 0, 0, 0, 0}), 0, false},
	} {
		if id, ok := packetID(c.message); id != c.id || ok != c.ok {
			t.Errorf("%s: %d, %t; want %d, %t", name, id, ok, c.id, c.ok)
		}
	}
}

func TestTaken(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip("needs root:", err)
	}
	l, err := lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := l.Gateway.Do(func() error {
		r, err := Open(700)
		if err != nil {
			return err
		}
		defer r.Close()
		if other, err := Open(700); err == nil {
			other.Close()
			t.Error("a queue was bound twice")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
