package lab_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

func TestAwait(t *testing.T) {
	l := newLab(t, lab.Options{})
	c := capture(t, l.Server, "eth0")
	conn, err := l.Client.Dial(t.Context(), "udp", "10.2.5.5:33440")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	hello := func(p lab.Packet) bool { return bytes.HasSuffix(p.Frame, []byte("hello")) }
	for range 2 { // the second time, it is there already
		if p, err := c.Await(t.Context(), hello); err != nil || !hello(p) {
			t.Fatalf("%v: %x", err, p.Frame)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := c.Await(ctx, func(lab.Packet) bool { return false }); !errors.Is(err, enough) {
		t.Error(err)
	}
}
