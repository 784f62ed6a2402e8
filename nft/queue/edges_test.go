package queue

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/florianl/go-nfqueue/v2"
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
	stop := serve(t, q, accept(q))
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
	if err := q.Verdicts([]Verdict{{ID: 5}, {ID: 6, Drop: true}, {ID: 7, Data: make([]byte, 70000)}}); err != nil {
		t.Fatal(err)
	}
	if err := q.Drain(accept(q)); err != nil {
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

// What the kernel may leave out of a message is never missed.
func TestAttributes(t *testing.T) {
	id, short, long, data := uint32(9), uint32(3), uint32(4), []byte("abc")
	for name, c := range map[string]struct {
		a            nfqueue.Attribute
		batch, drops int
	}{
		"nothing":   {nfqueue.Attribute{}, 0, 0},
		"no ID":     {nfqueue.Attribute{Payload: &data}, 0, 0},
		"no bytes":  {nfqueue.Attribute{PacketID: &id}, 0, 1},
		"truncated": {nfqueue.Attribute{PacketID: &id, Payload: &data, CapLen: &long}, 0, 1},
		"whole":     {nfqueue.Attribute{PacketID: &id, Payload: &data}, 1, 0},
		"its size":  {nfqueue.Attribute{PacketID: &id, Payload: &data, CapLen: &short}, 1, 0},
	} {
		var q Queue
		if q.collect(c.a) != 0 || len(q.batch) != c.batch || len(q.drops) != c.drops {
			t.Errorf("%s: %d handed over and %d dropped, want %d and %d", name, len(q.batch), len(q.drops), c.batch, c.drops)
		}
	}
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
		return accept(q)(packets)
	}); err != nil {
		t.Fatal(err)
	}
	in, out := uint32(3), uint32(4)
	id, data := uint32(1), []byte("abc")
	var fake Queue
	fake.collect(nfqueue.Attribute{PacketID: &id, Payload: &data, InDev: &in, OutDev: &out})
	if p := fake.batch[0]; p.In != in || p.Out != out {
		t.Errorf("a packet that is forwarded: in %d, out %d", p.In, p.Out)
	}
}
