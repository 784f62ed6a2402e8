package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Run ends with the error of its handler.
func TestHandlerFails(t *testing.T) {
	namespace(t, 1500)
	q := open(t, Config{Number: 7})
	bad := errors.New("bad")
	if err := q.Run(t.Context(), func([]Packet) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("Run: %v", err)
	}
}

// A packet that is too long for a message is dropped, as its receiver would read what we
// cannot, and harms no other.
func TestTruncated(t *testing.T) {
	namespace(t, 65536)
	q := open(t, Config{Number: 7})
	divert(t, 7)
	to := receiver(t, "127.0.0.1")
	from := sender(t, to)
	for _, n := range []int{maxPacket - 28, 65507, 1} { // as long as can be, too long, and short
		if _, err := from.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	stop := serve(t, q, acceptAll(q))
	got := datagrams(t, to)
	if len(got) != 2 || len(got[0]) != maxPacket-28 || len(got[1]) != 1 {
		t.Errorf("%d datagrams arrived", len(got))
	}
	stop()
	if c := q.Counters(); c.Unreadable != 1 || c.Packets != 2 {
		t.Errorf("counters: %+v", c)
	}
	if p, _ := readProc(t, 7); p.waiting != 0 {
		t.Errorf("the kernel's counters: %+v, want none waiting", p)
	}
}

// Verdicts that come to nothing are counted, and harm no others.
func TestLateVerdict(t *testing.T) {
	namespace(t, 1500)
	q := open(t, Config{Number: 7})
	if err := q.Verdicts([]Verdict{{ID: newID(q.Number(), 5)}, {ID: newID(q.Number(), 6), Drop: true}, {ID: newID(q.Number(), 7), Data: make([]byte, 70000)}}); err != nil {
		t.Fatal(err)
	}
	if err := q.Drain(acceptAll(q)); err != nil {
		t.Fatal(err)
	}
	if c := q.Counters(); c.Late != 3 || c.Overlong != 1 {
		t.Errorf("counters: %+v", c)
	}
}

// What does not fit the queue passes or not, as configured.
func TestOverload(t *testing.T) {
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprintf("FailOpen=%t", open), func(t *testing.T) {
			namespace(t, 1500)
			q, err := Open(Config{Number: 7, MaxLen: 3, FailOpen: open})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = q.Close() }()
			divert(t, 7)
			to := receiver(t, "127.0.0.1")
			from := sender(t, to)
			for i := range 5 {
				_, _ = fmt.Fprintf(from, "%d", i)
			}
			want := ""
			if open {
				want = "3 4"
			}
			if got := strings.Join(datagrams(t, to), " "); got != want {
				t.Errorf("%q arrived of those that did not fit, want %q", got, want)
			}
		})
	}
}

func TestTaken(t *testing.T) {
	namespace(t, 1500)
	open(t, Config{Number: 700})
	_, err := Open(Config{Number: 700})
	if !errors.Is(err, ErrTaken) {
		t.Fatalf("a second Open: %v", err)
	}
	if !strings.Contains(err.Error(), "NFQUEUE 700") {
		t.Errorf("%q does not name the queue", err)
	}
	t.Log(err)
}

// What the kernel may leave out of a message is never missed, and what is named gets its
// verdict whatever else is wrong with it.
func TestMessages(t *testing.T) {
	name, data := attr(packetHeader, 0, 0, 0, 9, 8, 0, 1), attr(packetPayload, 'a', 'b', 'c')
	length := func(n byte) []byte { return attr(packetLength, 0, 0, 0, n) }
	for about, c := range map[string]struct {
		datagram               []byte
		batch, drops, nameless int
		late, refused          uint64
	}{
		"no attribute":            {datagram: packetMessage(), nameless: 1},
		"no ID":                   {datagram: packetMessage(data), nameless: 1},
		"half an ID":              {datagram: packetMessage(attr(packetHeader, 0, 9), data), nameless: 1},
		"no bytes":                {datagram: packetMessage(name), drops: 1},
		"truncated":               {datagram: packetMessage(name, data, length(4)), drops: 1},
		"whole":                   {datagram: packetMessage(name, data), batch: 1},
		"its size":                {datagram: packetMessage(name, data, length(3)), batch: 1},
		"more before it":          {datagram: packetMessage(attr(3, 1, 2, 3, 4), name, data), batch: 1},
		"an odd interface":        {datagram: packetMessage(name, data, attr(packetIn, 1, 2)), drops: 1},
		"cut off":                 {datagram: packetMessage(name, data[:len(data)-2]), drops: 1},
		"an impossible length":    {datagram: packetMessage(name, []byte{3, 0, packetPayload, 0}), drops: 1},
		"two messages":            {datagram: append(packetMessage(name, data), packetMessage(name, data)...), batch: 2},
		"not padded":              {datagram: append(packetMessage(name), netlinkMessage(msgPacket, []byte{0, 0, 0, 0, 7})...), drops: 1, nameless: 1},
		"half a header":           {datagram: packetMessage(name, data)[:10], nameless: 1},
		"no header's length":      {datagram: make([]byte, 16), nameless: 1},
		"longer than was read":    {datagram: packetMessage(name, data)[:30], nameless: 1},
		"another message":         {datagram: netlinkMessage(msgVerdict, packetMessage(name, data)[16:]), nameless: 1},
		"a late verdict":          {datagram: netlinkMessage(unix.NLMSG_ERROR, errorCode(unix.ENOENT)), late: 1},
		"a refused verdict":       {datagram: netlinkMessage(unix.NLMSG_ERROR, errorCode(unix.EINVAL)), refused: 1},
		"an error without a code": {datagram: netlinkMessage(unix.NLMSG_ERROR, nil), refused: 1},
	} {
		var q Queue
		q.collect(c.datagram)
		n := q.Counters()
		if len(q.batch) != c.batch || len(q.drops) != c.drops || n.Nameless != uint64(c.nameless) || n.Late != c.late || n.Refused != c.refused {
			t.Errorf("%s: %d handed over and %d dropped, counters %+v; want %+v", about, len(q.batch), len(q.drops), n, c)
		}
		for _, p := range q.batch {
			if p.ID != 9 || string(p.Data) != "abc" || cap(p.Data) != 3 {
				t.Errorf("%s: %+v, with room for %d bytes", about, p, cap(p.Data))
			}
		}
	}
}

// FuzzCollect has the kernel say anything: each message is a packet, or is dropped or
// counted, and what is handed over lies in what was read.
func FuzzCollect(f *testing.F) {
	whole := packetMessage(attr(packetHeader, 0, 0, 0, 9, 8, 0, 1), attr(packetIn, 0, 0, 0, 1), attr(packetPayload, 'a', 'b', 'c'))
	f.Add(whole)
	f.Add(append(whole, netlinkMessage(unix.NLMSG_ERROR, errorCode(unix.ENOENT))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q Queue
		q.collect(b)
		c, messages := q.Counters(), 0
		for rest, ok := b, true; ok && len(rest) > 0; messages++ {
			_, rest, ok = nextMessage(rest)
		}
		if got := len(q.batch) + len(q.drops) + int(c.Nameless+c.Late+c.Refused); got != messages {
			t.Errorf("%d messages: %d packets, %d drops, %+v", messages, len(q.batch), len(q.drops), c)
		}
		for _, p := range q.batch {
			if len(p.Data) > len(b) || cap(p.Data) != len(p.Data) {
				t.Errorf("%d bytes with room for %d out of %d", len(p.Data), cap(p.Data), len(b))
			}
		}
	})
}

// Packets say where they came in and where they will leave.
func TestInterfaces(t *testing.T) {
	namespace(t, 1500)
	q := open(t, Config{Number: 7})
	divert(t, 7)
	to := receiver(t, "127.0.0.1")
	if _, err := sender(t, to).Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := q.Drain(func(packets []Packet) error {
		for _, p := range packets {
			if p.In != 0 || p.Out != loopback {
				t.Errorf("a packet of this host's: in %d, out %d, want 0 and %d", p.In, p.Out, loopback)
			}
		}
		return acceptAll(q)(packets)
	}); err != nil {
		t.Fatal(err)
	}
	m, _, _ := nextMessage(packetMessage(attr(packetHeader, 0, 0, 0, 1), attr(packetPayload, 'x'), attr(packetIn, 0, 0, 0, 3), attr(packetOut, 0, 0, 1, 4)))
	if p, _, _ := parsePacket(m); p.In != 3 || p.Out != 260 {
		t.Errorf("a packet that is forwarded: in %d, out %d", p.In, p.Out)
	}
}

// attr returns an attribute of a message.
func attr(typ uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.NLA_HDRLEN+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

// netlinkMessage returns a message with a header.
func netlinkMessage(typ uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	return append(append(b, make([]byte, 10)...), body...)
}

// packetMessage returns the message of a packet with these attributes.
func packetMessage(attrs ...[]byte) []byte {
	return netlinkMessage(msgPacket, bytes.Join(append([][]byte{make([]byte, 4)}, attrs...), nil))
}

func errorCode(e unix.Errno) []byte {
	return binary.NativeEndian.AppendUint32(nil, uint32(-int32(e)))
}
