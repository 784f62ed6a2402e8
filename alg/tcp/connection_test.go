package tcp

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// segmentAt is a packet of one side of a connection, with a payload at a number.
func segmentAt(side Side, seq uint32, payload string) []byte {
	c, s := netip.MustParseAddrPort("[fd00::1]:41138"), netip.MustParseAddrPort("[fd00::2]:21")
	if side == Server {
		c, s = s, c
	}
	p := append(Reset(c, s, seq, 0), payload...)
	p[4], p[5] = byte((len(p)-header6)>>8), byte(len(p)-header6)
	p[header6+13] = ACK
	return p
}

func TestAConnectionBeginsWithItsAnswer(t *testing.T) {
	var c Connection
	if err := c.Handshake.Open(100); err != nil {
		t.Fatal(err)
	}
	if err := c.Answer(500, 90); !errors.Is(err, ErrWrongAnswer) || c.Streams[Server].Next() != 0 {
		t.Fatalf("a wrong answer: %v, next %d", err, c.Streams[Server].Next())
	}
	if err := c.Answer(500, 101); err != nil || c.Streams[Client].Next() != 101 || c.Streams[Server].Next() != 501 {
		t.Fatalf("%v: %d and %d", err, c.Streams[Client].Next(), c.Streams[Server].Next())
	}
	c.Streams[Server].upTo("220 x\r\n", false)
	if err := c.Answer(500, 101); err != nil || c.Streams[Server].Next() != 508 {
		t.Errorf("the answer again: %v, next %d", err, c.Streams[Server].Next())
	}
	if err := c.Answer(501, 101); !errors.Is(err, ErrTwoAnswers) || c.Streams[Server].Next() != 508 {
		t.Errorf("another answer: %v, next %d", err, c.Streams[Server].Next())
	}
	if err := c.Handshake.Confirm(508, c.Streams[Server].Next()); err != nil {
		t.Error(err)
	}
	if err := c.Answer(9, 9); err != nil || c.Streams[Server].Next() != 508 {
		t.Errorf("a forged answer: %v, next %d", err, c.Streams[Server].Next())
	}
	if c.Held() != 7 {
		t.Errorf("%d bytes held", c.Held())
	}
}

func TestAConnectionTakenUp(t *testing.T) {
	var c Connection
	c.TakeUp(7, 9)
	if !c.Handshake.Done() || c.Streams[Client].Next() != 7 || c.Streams[Server].Next() != 9 {
		t.Errorf("%+v", c)
	}
}

func TestAConnectionIsFinishedByBothEnds(t *testing.T) {
	var c Connection
	c.Streams[Client].Finish()
	if c.Finished() {
		t.Error("finished by one end")
	}
	c.Streams[Server].Finish()
	if !c.Finished() {
		t.Error("not finished by both")
	}
}

func TestPacketsWaitForWhatBelongsBeforeThem(t *testing.T) {
	var c Connection
	c.TakeUp(100, 100)
	c.Hold(Waiting{ID: 1, Side: Client, Packet: segmentAt(Client, 110, "e"), Since: 1})
	c.Hold(Waiting{ID: 2, Side: Client, Packet: segmentAt(Client, 105, "b"), Since: 2})
	c.Hold(Waiting{ID: 3, Side: Server, Packet: segmentAt(Server, 101, "x"), Since: 3})
	if n, size := c.Waiting(); n != 3 || size != 3*(header6+20+1) {
		t.Errorf("%d packets wait, of %d bytes", n, size)
	}
	if w, ok := c.Ready(); ok {
		t.Errorf("%d need not wait", w.ID)
	}
	c.Streams[Client].upTo(strings.Repeat("a", 7), false) // past the second
	if w, ok := c.Ready(); !ok || w.ID != 2 || w.Side != Client {
		t.Errorf("%+v, %v need not wait", w, ok)
	}
	if w, ok := c.Ready(); ok {
		t.Errorf("%d need not wait", w.ID)
	}
	c.Streams[Server].upTo("y", false)
	if w, ok := c.Ready(); !ok || w.ID != 3 {
		t.Errorf("%+v, %v need not wait", w, ok)
	}
	if n, _ := c.Waiting(); n != 1 {
		t.Errorf("%d packets wait", n)
	}
}

func TestAPacketThatWaitsInVain(t *testing.T) {
	var c Connection
	c.TakeUp(100, 100)
	for id, since := range []int64{5, 6, 5} {
		c.Hold(Waiting{ID: uint64(id), Side: Client, Packet: segmentAt(Client, 110, "x"), Since: since})
	}
	if w, ok := c.Expired(4); ok {
		t.Errorf("%d waited since %d, not 4", w.ID, w.Since)
	}
	var ids []uint64
	for {
		w, ok := c.Expired(5)
		if !ok {
			break
		}
		ids = append(ids, w.ID)
	}
	if !slices.Equal(ids, []uint64{0, 2}) {
		t.Errorf("%v waited since 5", ids)
	}
	if !c.Streams[Client].Gone(110) || c.Streams[Server].Gone(110) {
		t.Error("its stream took no note, or the other one did")
	}
}

func TestWhatWaitsIsReleasedInItsOrder(t *testing.T) {
	var c Connection
	c.TakeUp(100, 100)
	for id := range uint64(5) {
		c.Hold(Waiting{ID: id, Side: Side(id % 2), Packet: segmentAt(Client, 200-uint32(id), "x")})
	}
	for id := range uint64(5) {
		if w, ok := c.Release(); !ok || w.ID != id {
			t.Errorf("%+v, %v, want %d", w, ok, id)
		}
	}
	if w, ok := c.Release(); ok || c.waiting != nil {
		t.Errorf("%+v is left, in %v", w, c.waiting)
	}
}

func TestSides(t *testing.T) {
	if Client.Other() != Server || Server.Other() != Client {
		t.Error("the other side")
	}
}
