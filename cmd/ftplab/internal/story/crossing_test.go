package story

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

func TestParts(t *testing.T) {
	for line, want := range map[string][]string{
		"PORT 10,1,4,4,180,117\r\n": {"PORT ", "10,1,4,4,", "180,", "117", "\r\n"},
		"PORT 1,2,3,4,5,6\r\n":      {"PORT ", "1,2,3,4,", "5,", "6", "\r\n"},
		"PORT 10,1,4,4,180,117":     nil, // not whole
		"PORT 10,1,4,4,180\r\n":     nil,
		"RETR 1,2,3,4,5,6\r\n":      nil,
		"":                          nil,
	} {
		if got := parts([]byte(line)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q has the parts %q, want %q", line, got, want)
		}
	}
}

// conversation returns an announcement and its transfer as one side saw them.
func conversation(t *testing.T, port string) (packets []lab.Packet) {
	w, clock := &wire{t: t}, time.Unix(1e9, 0)
	pass := func(there bool, tcp layers.TCP, text string) {
		w.id++
		clock = clock.Add(time.Millisecond)
		packets = append(packets, lab.Packet{Time: clock, Frame: w.frame(there, 0, tcp, text)})
	}
	n := uint32(len(port))
	pass(true, layers.TCP{SYN: true}, "")
	pass(false, layers.TCP{SYN: true, ACK: true, Ack: 1}, "")
	pass(true, layers.TCP{Seq: 1, Ack: 1, ACK: true}, port)
	pass(true, layers.TCP{Seq: 1, Ack: 1, ACK: true, PSH: true}, port) // again
	pass(false, layers.TCP{Seq: 1, Ack: 1 + n, ACK: true}, "200 yes\r\n")
	pass(true, layers.TCP{Seq: 1 + n, Ack: 10, ACK: true}, "RETR x\r\n")
	pass(false, layers.TCP{Seq: 10, Ack: 9 + n, ACK: true}, "226 done\r\n")
	return append(packets, lab.Packet{Time: clock, Frame: dataSYN(t)})
}

func dataSYN(t *testing.T) []byte {
	frame := (&wire{t: t}).frame(false, 0, layers.TCP{SYN: true}, "")
	frame[14+20+1] = 20 // the source port
	return frame
}

func TestCross(t *testing.T) {
	m, err := cross([sides][]lab.Packet{conversation(t, "PORT 1,2,3,4,5,6\r\n"), conversation(t, "PORT 1,2,3,44,55,66\r\n")})
	if err != nil {
		t.Fatal(err)
	}
	if m.Growth() != 3 || m.Announced.String() != "1.2.3.4:1286" || m.Instead.String() != "1.2.3.44:14146" || len(m.Packets) != 5 {
		t.Errorf("%+v", m)
	}
	if k := m.Packets[2]; k.Client != (View{"RETR x", 19, 10, 8}) || k.Server != (View{"RETR x", 22, 10, 8}) {
		t.Errorf("RETR is %+v", k)
	}
}

func TestCrossRefuses(t *testing.T) {
	whole := conversation(t, "PORT 1,2,3,4,5,6\r\n")
	for name, other := range map[string][]lab.Packet{
		"nothing":               nil,
		"no data connection":    whole[:len(whole)-1],
		"no control connection": whole[len(whole)-1:],
		"another line":          conversation(t, "NOOP 1,2,3,4,5,6\r\n"),
		"a reply less":          slices.Concat(whole[:6], whole[7:]),
	} {
		for _, captured := range [][sides][]lab.Packet{{whole, other}, {other, whole}} {
			if m, err := cross(captured); !errors.Is(err, errCrossing) {
				t.Errorf("%s: %+v, %v", name, m, err)
			}
		}
	}
}
