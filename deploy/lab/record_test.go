package lab_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// record is the switch of a tool, not of a test: what it writes is what the tests of
// package dialogue read.
var record = flag.Bool("record", false, "record the dialogues of real servers in alg/dialogue/testdata anew")

const recordings = "../../alg/dialogue/testdata"

// bigFile holds more than the buffers on both sides of a data connection: a transfer of
// it stands still until the client reads.
const (
	bigFile = "big.bin"
	bigSize = 512 << 10
)

// smallBuffers bounds what the kernel keeps of a connection.
const smallBuffers = `for f in rmem wmem; do echo 4096 65536 65536 > /proc/sys/net/ipv4/tcp_$f; done`

func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("a tool: go test ./deploy/lab -run TestRecord -record")
	}
	for _, name := range []string{"vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"} {
		dir := filepath.Join(recordings, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, s := range scenarios {
			if s.impatient && name != "vsftpd" && name != "proftpd" {
				continue // the others wait for a minute at least, or have no setting
			}
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t, lab.Options{Ruleset: lab.Ruleset("open")})
				prepareRecording(t, l)
				startRecorded(t, l, name, s.impatient)
				text := recordScenario(t, l, s)
				if err := os.WriteFile(filepath.Join(dir, s.name+".txt"), text, 0o644); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func startRecorded(t *testing.T, l *lab.Lab, server string, impatient bool) {
	t.Helper()
	var (
		settings   map[string]string
		directives []string
		err        error
	)
	if impatient {
		settings = map[string]string{"idle_session_timeout": "2", "accept_timeout": "2"}
		directives = []string{"TimeoutIdle 2", "TimeoutNoTransfer 60"}
	}
	switch server {
	case "vsftpd":
		_, err = l.StartVSFTPD(t.Context(), lab.VSFTPDOptions{Settings: settings})
	case "proftpd":
		_, err = l.StartProFTPD(t.Context(), lab.ProFTPDOptions{Directives: directives})
	case "pure-ftpd":
		_, err = l.StartPureFTPD(t.Context(), lab.PureFTPDOptions{})
	case "pyftpdlib":
		_, err = l.StartPyFTPdlib(t.Context(), lab.PyFTPdlibOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func prepareRecording(t *testing.T, l *lab.Lab) {
	t.Helper()
	for _, h := range []*lab.Host{l.Client, l.Server} {
		if out, err := h.Command(t.Context(), "sh", "-c", smallBuffers).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.WriteFile(l.Path(lab.ServerFiles+"/"+bigFile), make([]byte, bigSize), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recordScenario plays one scenario with the server of the lab and returns what passed
// the client's interface.
func recordScenario(t *testing.T, l *lab.Lab, s scenario) []byte {
	t.Helper()
	wire := capture(t, l.Client, "eth0")
	c := &recording{t: t, l: l, server: l.Server.IPv4, client: l.Client.IPv4}
	if s.v6 {
		c.server, c.client = l.Server.IPv6, l.Client.IPv6
	}
	var err error
	if c.conn, err = l.Client.Dial(t.Context(), "tcp", netip.AddrPortFrom(c.server, 21).String()); err != nil {
		t.Fatal(err)
	}
	c.in = bufio.NewReader(c.conn)
	s.play(c)
	c.conn.Close()
	if err := wire.Stop(); err != nil {
		t.Fatal(err)
	}
	return written(s.about, lab.Connections(wire.Packets()), c.notes)
}

// moment is one line of a recording.
type moment struct {
	time time.Time
	text string
}

// written is the text of a recording: the control connection, which is the first, line
// by line, and the ends of the others, in the order of their packets.
func written(about string, conns []lab.Connection, notes []moment) []byte {
	moments := slices.Clone(notes)
	for i, conn := range conns {
		if i == 0 {
			moments = append(moments, controlLines(conn)...)
		} else {
			moments = append(moments, dataMoments(conn)...)
		}
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.time.Compare(b.time) })
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n", about)
	for _, m := range moments {
		fmt.Fprintln(&b, m.text)
	}
	return b.Bytes()
}

// lineEnd is what ends a line of the client, and one of the server.
var lineEnd = map[bool]string{true: "\n", false: "\r\n"}

// controlLines are the lines of both sides, each at the packet that ended it. What was
// left without an end is a line of its own.
func controlLines(conn lab.Connection) []moment {
	var (
		moments []moment
		next    = map[bool]uint32{true: 1, false: 1}
		rest    = map[bool]string{}
		last    = map[bool]time.Time{}
	)
	line := func(at time.Time, client bool, text string) {
		who := "S "
		if client {
			who = "C "
		}
		moments = append(moments, moment{at, who + strconv.QuoteToASCII(text)})
	}
	for _, s := range conn.Segments {
		if len(s.Payload) == 0 || s.Seq != next[s.Initiator] {
			continue // a retransmission has a number that is over
		}
		next[s.Initiator] += uint32(len(s.Payload))
		last[s.Initiator] = s.Time
		text := rest[s.Initiator] + string(s.Payload)
		if n := strings.Count(text, "\n"); s.Initiator && n > 1 {
			moments = append(moments, moment{s.Time, fmt.Sprintf("# %d lines in one segment", n)})
		}
		lines := strings.SplitAfter(text, lineEnd[s.Initiator])
		for _, text := range lines[:len(lines)-1] {
			line(s.Time, s.Initiator, text)
		}
		rest[s.Initiator] = lines[len(lines)-1]
	}
	for client, text := range rest {
		if text != "" {
			line(last[client], client, text)
		}
	}
	return moments
}

// dataMoments are those of a data connection: the SYN/ACK, and the first FIN or RST.
func dataMoments(conn lab.Connection) []moment {
	var moments []moment
	for _, s := range conn.Segments {
		switch {
		case s.SYN && s.HasAck:
			moments = append(moments,
				moment{s.Time, fmt.Sprintf("# data connection from %s to %s", conn.From, conn.To)},
				moment{s.Time, "D connect"})
		case len(moments) == 0 && s.RST:
			return []moment{{s.Time, fmt.Sprintf("# data connection from %s to %s refused", conn.From, conn.To)}}
		case s.FIN || s.RST:
			return append(moments, moment{s.Time, "D close"})
		}
	}
	return moments
}
