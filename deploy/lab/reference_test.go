package lab_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestReference runs the reference dialogue and compares it with what it should be.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("testdata/reference.txt")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, lab.Options{})
	startVSFTPD(t, l)
	inside, outside := capture(t, l.Gateway, "inside"), capture(t, l.Gateway, "outside")
	for _, s := range lab.Reference {
		out, err := l.Client.LFTP(t.Context(), s.Commands).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	sessions := strings.Split(string(text), "\n= ")[1:]
	data := map[uint16]int{}
	for _, c := range lab.Connections(lab.Merge(inside, outside)) {
		if c.From.Port() == 20 {
			for _, s := range c.Segments {
				data[c.To.Port()] += len(s.Payload)
			}
			continue
		}
		if len(sessions) == 0 {
			t.Fatalf("another control connection from %v", c.From)
		}
		title, want, _ := strings.Cut(sessions[0], "\n")
		sessions = sessions[1:]
		if got := transcript(&c); got != strings.TrimRight(want, "\n") {
			t.Errorf("%s:\n%s\n\nwant:\n%s", title, got, want)
		}
		checkPORT(t, &c)
	}
	if len(sessions) > 0 {
		t.Errorf("control connections are missing: %q", sessions)
	}
	if data[46197] != 38 || data[32963] != 64 || data[44667] != 48 {
		t.Errorf("bytes of the data connections: %v", data)
	}
}

func transcript(c *lab.Connection) string {
	var lines []string
	for _, l := range c.Lines() {
		who := "S: "
		if l.Client {
			who = "C: "
		}
		lines = append(lines, who+l.Text)
	}
	return strings.Join(lines, "\n")
}

// checkPORT compares the download's PORT with frame 35 of the reference.
func checkPORT(t *testing.T, c *lab.Connection) {
	t.Helper()
	for _, l := range c.Lines() {
		if l.Text == "PORT 10,1,4,4,180,117" && (l.Seq != 84 || l.Ack != 305 || l.Len != 23) {
			t.Errorf("Seq %d, Ack %d, Len %d, want 84, 305, 23", l.Seq, l.Ack, l.Len)
		}
	}
	for _, s := range c.Segments {
		if strings.HasPrefix(string(s.Payload), "PORT 10,1,4,4,180,117") && s.FrameBytes != 89 {
			t.Errorf("%d bytes on the wire, want 89", s.FrameBytes)
		}
	}
}

func TestPcapNG(t *testing.T) {
	l := newLab(t, lab.Options{})
	c := capture(t, l.Client, "eth0")
	if err := l.Client.Command(t.Context(), "curl", "-m1", "-s", "http://10.2.5.5/").Run(); err == nil {
		t.Fatal("there is a web server")
	}
	var b bytes.Buffer
	if err := c.WritePcapNG(&b); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&b, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range c.Packets() {
		frame, info, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(frame, want.Frame) || !info.Timestamp.Equal(want.Time) {
			t.Errorf("read %v %x, want %v %x", info.Timestamp, frame, want.Time, want.Frame)
		}
	}
}
