package conntrack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// talk is a dialogue over a connection: what one end writes, the other reads as it was
// changed on the way.
type talk struct {
	t              *testing.T
	client, server *bufio.ReadWriter
	said           int
}

func newTalk(t *testing.T, c connection) *talk {
	_ = c.client.SetDeadline(time.Now().Add(time.Minute))
	_ = c.server.SetDeadline(time.Now().Add(time.Minute))
	return &talk{
		t:      t,
		client: bufio.NewReadWriter(bufio.NewReader(c.client), bufio.NewWriterSize(c.client, 1<<20)),
		server: bufio.NewReadWriter(bufio.NewReader(c.server), bufio.NewWriterSize(c.server, 1<<20)),
	}
}

// lines has both ends say lines in turn, which are changed in a way or left as they are
// (0), and, after every tenth, send so many bytes.
func (d *talk) lines(count int, how byte, bulk int) {
	d.t.Helper()
	for range count {
		d.said++
		for i, ends := range [][2]*bufio.ReadWriter{{d.client, d.server}, {d.server, d.client}} {
			line := fmt.Sprintf("@%c%d %s\n", how, d.said+i*2, strings.Repeat("0123456789", d.said%7))
			want := changed(line)
			if how == 0 {
				line = "=" + line
				want = line
			}
			_, _ = ends[0].WriteString(line)
			err := ends[0].Flush()
			got, readErr := ends[1].ReadString('\n')
			if err = errors.Join(err, readErr); err != nil || got != want {
				d.t.Fatalf("line %d: %q arrived as %q, %v; want %q", d.said, line, got, err, want)
			}
		}
		if d.said%10 == 0 {
			d.bulk(d.client, d.server, bulk)
			d.bulk(d.server, d.client, bulk)
		}
	}
}

func (d *talk) bulk(from, to *bufio.ReadWriter, size int) {
	d.t.Helper()
	data := bytes.Repeat([]byte(fmt.Sprintf("%07d|", d.said)), size/8)
	errs := make(chan error)
	go func() {
		_, err := from.Write(data)
		errs <- errors.Join(err, from.Flush())
	}()
	got := make([]byte, len(data))
	_, err := io.ReadFull(to, got)
	if err = errors.Join(err, <-errs); err != nil || !bytes.Equal(got, data) {
		d.t.Fatalf("after line %d: bytes arrived otherwise, %v", d.said, err)
	}
}

// How lines change: see changed.
const grows, shrinks, mixed, tends = 'g', 's', 'm', 't'

// losing drops five packets of a hundred, of both directions.
const losing = `
table inet loss {
	chain pre {
		type filter hook prerouting priority raw; policy accept;
		tcp dport { 21, 2121 } numgen random mod 100 < 5 counter drop
		tcp sport { 21, 2121 } numgen random mod 100 < 5 counter drop
	}
}
`

// Lines of both directions change their length while packets are lost. The flow is
// prepared when its SYN/ACK passes, which is held meanwhile.
func TestAdjust(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for retransmissions
			n := newNetwork(t)
			n.rewrite(t)
			n.gateway.run(t, func() error { return queued(false) })
			c := n.connect(t, w)
			n.gateway.nft(t, losing)
			d := newTalk(t, c)
			d.lines(40, mixed, 20_000)
			if i := n.invalid(t); i != 0 {
				t.Errorf("%d packets were invalid", i)
			}
			if a := n.prepare(t, c); a[tcp.Client].After == 0 || a[tcp.Server].After == 0 {
				t.Errorf("nothing was adjusted: %+v", a)
			}
		})
	}
}

// The kernel takes no packet for invalid, however lengths change, and its window tracking
// is left on where it can be.
func TestAdjustWindows(t *testing.T) {
	for how, lenient := range map[byte]bool{grows: true, shrinks: false, tends: true, mixed: true} {
		t.Run(string(how), func(t *testing.T) {
			n := newNetwork(t)
			n.rewrite(t)
			n.gateway.run(t, func() error { return queued(false) })
			c := n.connect(t, ways()["IPv4 masqueraded"])
			newTalk(t, c).lines(60, how, 50_000)
			if i := n.invalid(t); i != 0 {
				t.Errorf("%d packets were invalid", i)
			}
			const liberal = 0x0800 // IP_CT_TCP_FLAG_BE_LIBERAL
			p := n.entry(t, c.flow).ProtoInfo.TCP
			if (p.OriginalFlags&liberal != 0) != lenient || (p.ReplyFlags&liberal != 0) != lenient {
				t.Errorf("flags %x and %x; want leniency: %t", p.OriginalFlags, p.ReplyFlags, lenient)
			}
		})
	}
}

// What a process has adjusted stays adjusted when it is killed, and another goes on.
func TestRewriterDies(t *testing.T) {
	for _, name := range []string{"IPv4 masqueraded", "IPv6 both"} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			n.gateway.run(t, func() error { return queued(true) })
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), asRewriter+"=1")
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			n.gateway.run(t, cmd.Start)
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(line, err)
			}
			c := n.connect(t, ways()[name])
			d := newTalk(t, c)
			d.lines(15, mixed, 10_000)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			d.lines(15, 0, 100_000)
			a := n.prepare(t, c)
			if a[tcp.Client].After == 0 || a[tcp.Server].After == 0 {
				t.Errorf("nothing was adjusted: %+v", a)
			}
			n.rewrite(t)
			d.lines(15, mixed, 10_000)
			if i := n.invalid(t); i != 0 {
				t.Errorf("%d packets were invalid", i)
			}
		})
	}
}

// A flow that was not prepared, or has lost its room since, is not adjusted in silence.
func TestAdjustUnprepared(t *testing.T) {
	n := newNetwork(t)
	c := n.connect(t, ways()["IPv4 both"])
	for range 2 {
		for _, side := range []tcp.Side{tcp.Client, tcp.Server} {
			if err := n.conn.Adjust(c.flow, c.translation, side, alg.Adjustment{}); !errors.Is(err, ErrNoSeqAdj) {
				t.Errorf("%v: %v, want %v", side, err, ErrNoSeqAdj)
			}
		}
		other := c.translation
		other.Client = c.flow.Client
		if err := n.conn.Adjust(c.flow, other, tcp.Client, alg.Adjustment{}); !errors.Is(err, ErrNoFlow) {
			t.Errorf("translated otherwise: %v, want %v", err, ErrNoFlow)
		}
		n.prepare(t, c)
		// The operator takes it away, and traffic brings it back.
		if err := n.conn.conn.Flush(); err != nil {
			t.Fatal(err)
		}
		_, _ = c.client.Write([]byte("x"))
		_, _ = io.ReadFull(c.server, make([]byte, 1))
	}
}
