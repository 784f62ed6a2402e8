package main_test

import (
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// flow is the control connection as connection tracking is asked for it.
func (c *control) flow(f family) alg.Flow {
	return alg.Flow{Client: netip.MustParseAddrPort(c.client.LocalAddr().String()), Server: netip.AddrPortFrom(f.server, 21)}
}

// The daemon dies when the kernel corrects numbers already, and the line that it does so for
// has not gone out. Here the test makes the correction.
func TestAnAdjustmentWhoseLineHasNotGoneOut(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(map[bool]string{true: "the first", false: "another"}[first], func(t *testing.T) {
			t.Parallel()
			g := newGatewayIn(t, arrangements[0], passing)
			f := g.families()[0]
			c := g.login(f)
			forge := c.forger()
			c.c("NOOP")
			c.s("200 ok")
			if !first {
				c.c(f.port())
				c.s("200 ok")
			}
			tracking := g.tracking()
			seen, before, ok, err := tracking.Prepare(c.flow(f), false)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			g.ends(true)
			seq, _ := forge.next()
			if _, err := io.WriteString(c.client, f.port()+"\r\n"); err != nil {
				t.Fatal(err)
			}
			was := before[tcp.Client].After
			const grown = int32(len("101") - len("4")) // 10,1,4,4 becomes 10,2,5,101
			if err := tracking.Adjust(c.flow(f), seen, tcp.Client, alg.Adjustment{Pos: seq + 8, Before: was, After: was + grown}); err != nil {
				t.Fatal(err)
			}
			c.wantNothing(c.server, "while no daemon runs")
			g.daemon = g.start(passing)
			if c.rewrittenOrOver(f, c.server, f.port(), false) {
				c.s("200 ok")
				c.c("NOOP")
			}
		})
	}
}

// The same for real: the test waits for the correction, stops the daemon before the verdict,
// and kills it. It does not always come in time.
func TestKilledBetweenTheAdjustmentAndTheVerdict(t *testing.T) {
	t.Parallel()
	g := newGatewayIn(t, arrangements[0], passing)
	f := g.families()[0]
	c := g.login(f)
	c.c("NOOP")
	c.s("200 ok")
	tracking := g.tracking()
	at := func() uint32 {
		_, a, ok, err := tracking.Prepare(c.flow(f), false)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return a[tcp.Client].Pos
	}
	const times = 60
	for i := range times {
		line, before := f.port(), at()
		if _, err := io.WriteString(c.client, line+"\r\n"); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(5 * time.Second); at() == before; {
			if time.Now().After(end) {
				t.Fatal("no correction comes")
			}
		}
		if err := g.daemon.Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		_ = c.server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		got, err := c.in[c.server].ReadString('\n')
		switch {
		case err == nil && got == f.outside(line)+"\r\n": // too late
			if err := g.daemon.Signal(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
			c.s("200 ok")
			continue
		case err == nil || got != "" || !os.IsTimeout(err):
			t.Fatalf("%q arrived, %v", got, err)
		}
		t.Logf("killed in time, with announcement %d", i+1)
		g.killed()
		c.wantNothing(c.server, "while no daemon runs")
		g.daemon = g.start(passing)
		if c.rewrittenOrOver(f, c.server, line, false) {
			c.s("200 ok")
			c.c("NOOP")
		}
		return
	}
	t.Logf("not killed in time with %d announcements", times)
}
