package lab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
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

// TestCaptureTCP records one connection of two.
func TestCaptureTCP(t *testing.T) {
	l := newLab(t, lab.Options{})
	var connections [2]net.Conn
	for i := range connections {
		ln, err := l.Server.Listen(t.Context(), "tcp", fmt.Sprintf("10.2.5.5:%d", 7001+i))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if connections[i], err = l.Client.Dial(t.Context(), "tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer connections[i].Close()
	}
	c, err := l.Server.CaptureTCP("eth0", 7002)
	if err != nil {
		t.Fatal(err)
	}
	everything := capture(t, l.Server, "eth0")
	for i, conn := range connections {
		if _, err := fmt.Fprintf(conn, "this is %d", 7001+i); err != nil {
			t.Fatal(err)
		}
		text := fmt.Appendf(nil, "this is %d", 7001+i)
		if _, err := everything.Await(t.Context(), func(p lab.Packet) bool { return bytes.HasSuffix(p.Frame, text) }); err != nil {
			t.Fatal(err)
		}
	}
	heard := ""
	for _, p := range c.Packets() {
		if i := bytes.Index(p.Frame, []byte("this is ")); i >= 0 {
			heard += string(p.Frame[i:])
		}
	}
	if err := c.Stop(); err != nil || heard != "this is 7002" {
		t.Errorf("heard %q, %v", heard, err)
	}
	if _, err := l.Server.CaptureTCP("eth7", 7002); err == nil {
		t.Error("captured on an interface that does not exist")
	}
}
