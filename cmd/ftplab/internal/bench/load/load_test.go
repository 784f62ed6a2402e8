package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// serve starts a server on the loopback interface.
func serve(t *testing.T, addr string) netip.AddrPort {
	t.Helper()
	// Its data connections come from the port below, which must be free as well.
	var at netip.AddrPort
	for port := uint16(9021); at == (netip.AddrPort{}); port += 2 {
		a := netip.AddrPortFrom(netip.MustParseAddr(addr), port)
		if ln, err := net.Listen("tcp", a.String()); err == nil {
			_ = ln.Close()
			at = a
		}
		if port > 9900 {
			t.Fatal("no port is free")
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- Serve(ctx, []netip.AddrPort{at}, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return at
}

func TestKinds(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		server := serve(t, addr)
		for _, kind := range []Kind{Noop, Active, Passive, Store, Login} {
			t.Run(string(kind)+" "+addr, func(t *testing.T) {
				begun := 0
				tally, err := Run(t.Context(), Spec{
					Server: server, Locals: []netip.Addr{server.Addr()}, Kind: kind, Sessions: 5,
					Duration: 200 * time.Millisecond, Bytes: 3000, Pipeline: 3,
				}, func() { begun++ })
				if err != nil {
					t.Fatal(err)
				}
				if begun != 1 || tally.Failed != 0 || tally.Done < 5 || tally.Within > tally.Done || tally.Latency.Count() != tally.Done {
					t.Errorf("begun %d times: %+v", begun, tally)
				}
			})
		}
	}
}

// Without a duration, each session does it once; the whole of a large file comes.
func TestOnce(t *testing.T) {
	server := serve(t, "127.0.0.1")
	for _, kind := range []Kind{Active, Passive, Store} {
		tally, err := Run(t.Context(), Spec{
			Server: server, Locals: []netip.Addr{server.Addr()}, Kind: kind, Sessions: 8, Bytes: 5 << 20,
		}, func() {})
		if err != nil || tally.Done != 8 || tally.Within != 8 || tally.Failed != 0 || tally.Seconds <= 0 {
			t.Errorf("%s: %v: %+v", kind, err, tally)
		}
	}
}

func TestIdle(t *testing.T) {
	server := serve(t, "127.0.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	tally, err := Run(ctx, Spec{Server: server, Locals: []netip.Addr{server.Addr()}, Kind: Idle, Sessions: 500}, cancel)
	if err != nil || tally.Failed != 0 || tally.Done != 0 {
		t.Errorf("%v: %+v", err, tally)
	}
}

// What goes wrong is counted and told, and does not go on for ever.
func TestFailures(t *testing.T) {
	server := serve(t, "127.0.0.1")
	spec := Spec{Server: server, Locals: []netip.Addr{server.Addr()}, Kind: Active, Sessions: 3, Bytes: -1}
	tally, err := Run(t.Context(), spec, func() {})
	if err != nil || tally.Failed != 3 || tally.Done != 0 {
		t.Errorf("once: %v: %+v", err, tally)
	}
	spec.Duration = time.Minute
	if _, err = Run(t.Context(), spec, func() {}); err == nil || !strings.Contains(err.Error(), "550 no such file") {
		t.Errorf("again and again: %v", err)
	}
}

// A server that says nothing more is not waited for beyond the time-out.
func TestTimeout(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		if c, err := ln.Accept(); err == nil {
			defer c.Close()
			_, _ = io.WriteString(c, "220 ready\r\n331 who\r\n230 in\r\n")
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	server := netip.MustParseAddrPort(ln.Addr().String())
	tally, err := Run(t.Context(), Spec{
		Server: server, Locals: []netip.Addr{server.Addr()}, Kind: Noop, Sessions: 1, Duration: time.Millisecond, Timeout: 50 * time.Millisecond,
	}, func() {})
	if err != nil || tally.Failed != 1 || tally.Failures["timeout before the reply to NOOP"] != 1 {
		t.Errorf("%v: %+v", err, tally)
	}
}

// The server answers what is sent at once in order, transfers among it.
func TestPipelinedCommands(t *testing.T) {
	server := serve(t, "127.0.0.1")
	type carried struct {
		bytes int64
		from  net.Addr
	}
	var ports [2]netip.AddrPort // two: between the same ends the last connection may be ending still
	var got [2]chan carried
	for i := range ports {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		ports[i], got[i] = netip.MustParseAddrPort(ln.Addr().String()), make(chan carried, 1)
		go func() {
			defer close(got[i])
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			n, _ := io.Copy(io.Discard, c)
			got[i] <- carried{n, c.RemoteAddr()}
		}()
	}
	c, err := net.Dial("tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "USER a\r\nPASS b\r\nNOOP\r\nPORT %s\r\nRETR 100000\r\nNOOP\r\nEPRT |1|127.0.0.1|%d|\r\nRETR 7\r\nRETR 7\r\nPORT 1,2\r\nMOO\r\nQUIT\r\n", comma(nil, ports[0]), ports[1].Port())
	var codes []string
	for lines := bufio.NewScanner(c); lines.Scan(); {
		codes = append(codes, lines.Text()[:3])
	}
	want := "220 331 230 200 200 150 226 200 200 150 226 425 501 502 221"
	if strings.Join(codes, " ") != want {
		t.Fatalf("replies: %s, want %s", codes, want)
	}
	for i, n := range []int64{100000, 7} {
		one := <-got[i]
		if from := netip.MustParseAddrPort(one.from.String()); one.bytes != n || from.Port() != server.Port()-1 {
			t.Errorf("%d bytes from %v, want %d from port %d", one.bytes, from, n, server.Port()-1)
		}
	}
}

func TestAddresses(t *testing.T) {
	a := netip.MustParseAddrPort("10.1.4.4:46197")
	if got := string(comma(nil, a)); got != "10,1,4,4,180,117" {
		t.Error(got)
	}
	if got, ok := readComma("10,1,4,4,180,117"); !ok || got != a {
		t.Error(got, ok)
	}
	six := netip.MustParseAddrPort("[fd00::1]:46197")
	if got := string(bars(nil, six)); got != "|2|fd00::1|46197|" {
		t.Error(got)
	}
	if addr, port, ok := readBars("|2|fd00::1|46197|"); !ok || addr != six.Addr() || port != six.Port() {
		t.Error(addr, port, ok)
	}
	if _, port, ok := readBars("|||5|"); !ok || port != 5 {
		t.Error(port, ok)
	}
	for _, bad := range []string{"", "1,2,3,4,5", "1,2,3,4,5,6,7", "1,2,3,4,5,256", "1,2,3,4,5,x", "1,2,3,4,5,6,"} {
		if _, ok := readComma(bad); ok {
			t.Errorf("%q is read as an address", bad)
		}
	}
	for _, bad := range []string{"", "|||", "|||x|", "|||70000|", "|1|x|5|", "x|||5|"} {
		if _, _, ok := readBars(bad); ok {
			t.Errorf("%q is read as an address", bad)
		}
	}
}
