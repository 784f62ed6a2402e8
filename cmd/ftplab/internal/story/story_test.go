package story_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// dir holds ftpalg and the captures of the run.
var dir string

func TestMain(m *testing.M) {
	var err error
	if dir, err = os.MkdirTemp("", "story"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// build returns the path of ftpalg.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(dir, "ftpalg")
	c := exec.Command("go", "build", "-ldflags", "-X github.com/ftpalg/ftpalg/cmd/internal/version.version=v0-test", "-o", path, "github.com/ftpalg/ftpalg/cmd/ftpalg")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// once is the one run that most tests look at.
var once = sync.OnceValues(func() (*story.Story, error) {
	daemon, err := build()
	if err != nil {
		return nil, err
	}
	return story.Run(context.Background(), story.Options{Daemon: daemon, PcapDir: filepath.Join(dir, "captures")})
})

func needsRoot(t *testing.T) {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip("needs root:", err)
	}
}

func told(t *testing.T) *story.Story {
	t.Helper()
	needsRoot(t)
	s, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reference returns the lines of both control connections.
func reference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../../deploy/lab/testdata/reference.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "C: ") || strings.HasPrefix(line, "S: ") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// TestDialogue compares both control connections with the reference, line by line.
func TestDialogue(t *testing.T) {
	s := told(t)
	var dialogue strings.Builder
	for _, p := range s.Steps[8].Packets {
		if request, ok := strings.CutPrefix(p.Info, "Request: "); ok {
			fmt.Fprintf(&dialogue, "C: %s\n", request)
		} else if replies, ok := strings.CutPrefix(p.Info, "Response: "); ok {
			fmt.Fprintf(&dialogue, "S: %s\n", strings.ReplaceAll(replies, " | ", "\nS: "))
		}
	}
	if diff := cmp.Diff(reference(t), dialogue.String()); diff != "" {
		t.Error(diff)
	}
}

// TestSteps looks for what each step must show. A client port is written as *.
func TestSteps(t *testing.T) {
	s := told(t)
	if len(s.Steps) != story.StepCount {
		t.Fatalf("%d steps", len(s.Steps))
	}
	for i, want := range [][]string{
		{
			"49160 -> 33440 Len=0", "Destination unreachable (Port unreachable)",
			"49161 -> 33441 Len=0", "Destination unreachable (Port unreachable)",
		},
		{
			"* -> 21 [SYN] Seq=0 Win=64240 Len=0", "21 -> * [SYN, ACK] Seq=0 Ack=1 Win=65160 Len=0", "* -> 21 [ACK] Seq=1 Ack=1 Win=64512 Len=0",
			"Response: 220 (vsFTPd 3.0.3)", "Request: FEAT", "Response: 211-Features:", "Response:  REST STREAM", "Response: 211 End",
		},
		{
			"Request: AUTH TLS", "Response: 530 Please login with USER and PASS.", "Request: USER ftpuser", "Request: PASS ftppass",
			"Response: 257 \"/home/ftpuser/ftp\" is the current directory", "Request: PORT 10,1,4,4,180,117", "Request: RETR R1.cfg",
		},
		{"Request: PORT 10,1,4,4,180,117"},
		{"20 -> 46197 [SYN] Seq=0 Win=64240 Len=0", "FTP Data: 38 bytes", "* -> 21 [ACK] Seq=120 Ack=444 Win=64512 Len=0"},
		{
			"Request: TYPE A", "Request: PORT 10,1,4,4,128,195", "Request: LIST", "20 -> 32963 [SYN] Seq=0 Win=64240 Len=0",
			"FTP Data: 64 bytes", "Response: 226 Directory send OK.", "Request: QUIT", "Response: 221 Goodbye.",
		},
		{
			"Request: PORT 10,1,4,4,174,123", "Request: ALLO 48", "Response: 202 ALLO command ignored.", "Request: STOR R3.cfg",
			"20 -> 44667 [SYN] Seq=0 Win=64240 Len=0", "FTP Data: 48 bytes", "Response: 226 Transfer complete.",
		},
		{"20 -> 46197 [SYN] Seq=0 Win=64240 Len=0", "20 -> 32963 [SYN] Seq=0 Win=64240 Len=0", "20 -> 44667 [SYN] Seq=0 Win=64240 Len=0"},
		{"* -> 21 [SYN] Seq=0 Win=64240 Len=0", "Request: RETR R1.cfg", "FTP Data: 38 bytes", "Request: LIST", "FTP Data: 64 bytes", "Request: STOR R3.cfg", "FTP Data: 48 bytes"},
		{}, // see TestMasquerade
	} {
		step := s.Steps[i]
		if step.Number != i+1 || step.Title == "" || len(step.Text) == 0 {
			t.Errorf("step %d is %d, %q, with %d paragraphs", i+1, step.Number, step.Title, len(step.Text))
		}
		for _, p := range step.Packets {
			if ported := p.SrcPort > 0 && p.DstPort > 0; ported != (p.Protocol != "ICMP") {
				t.Errorf("step %d: %s from port %d to %d: %s", i+1, p.Protocol, p.SrcPort, p.DstPort, p.Info)
			}
			if len(want) > 0 && info(p) == want[0] {
				want = want[1:]
			}
		}
		if len(want) > 0 {
			t.Errorf("step %d lacks, or has at the wrong place, %q", i+1, want[0])
			for _, p := range step.Packets {
				t.Log(p.No, p.Info)
			}
		}
	}
}

// info returns the Info of a packet without what is different in every run.
func info(p story.Packet) string {
	for _, port := range []uint16{p.SrcPort, p.DstPort} {
		if port >= 32768 && (p.SrcPort == 21 || p.DstPort == 21) {
			return strings.ReplaceAll(p.Info, fmt.Sprint(port), "*")
		}
	}
	return p.Info
}

func TestText(t *testing.T) {
	s := told(t)
	for number, want := range map[int]string{
		1: "Packet 1: sent with TTL 3, 2 between the routers, arrived with TTL 1. " +
			"Packet 2: sent with TTL 255, 254 between the routers, arrived with TTL 253. It quotes the probe as the server got it: with TTL 1.",
		4: "Seq 84, Ack 305, Len 23. \"PORT 10,1,4,4,180,117\\r\\n\" has six numbers of one byte each. " +
			"The first four are the address, 10.1.4.4. The last two are the port: 180 * 256 + 117 = 46197.",
		8: "64512 ports of every client (1024 to 65535)",
		9: "The stranger's SYN, 10.2.5.66:20 to 10.1.4.4:46197, came ",

		10: "The file's 38 bytes arrived unchanged. Then ftpalg closed the pinhole: transfer complete.",
	} {
		if text := strings.Join(s.Steps[number-1].Text, " "); !strings.Contains(text, want) {
			t.Errorf("step %d says %q, without %q", number, text, want)
		}
	}
	if text := s.Steps[3].Text[0]; !strings.Contains(text, ", 89 bytes on the wire: 10.1.4.4:") {
		t.Error(text)
	}
	for _, p := range s.Programs {
		if p.Version == "" || p.Version == "unknown" {
			t.Errorf("the version of %s is %q", p.Name, p.Version)
		}
	}
}

// TestALG looks for what ftpalg did beside what made it do so.
func TestALG(t *testing.T) {
	s := told(t)
	did := map[string]string{}
	for _, p := range s.Steps[8].Packets {
		did[p.Info] += strings.Join(p.ALG, "; ")
	}
	for said, want := range map[string]string{
		"Request: PORT 10,1,4,4,180,117": "notes: 10.1.4.4:46197 wants to be reached",
		"Request: RETR R1.cfg":           "opens: 10.2.5.5:20 to 10.1.4.4:46197, once",
		"Request: LIST":                  "opens: 10.2.5.5:20 to 10.1.4.4:32963, once",
		"Request: STOR R3.cfg":           "opens: 10.2.5.5:20 to 10.1.4.4:44667, once",

		"20 -> 46197 [SYN] Seq=0 Win=64240 Len=0": "lets it in: the pinhole is used, and gone",
		"20 -> 32963 [SYN] Seq=0 Win=64240 Len=0": "lets it in: the pinhole is used, and gone",
		"20 -> 44667 [SYN] Seq=0 Win=64240 Len=0": "lets it in: the pinhole is used, and gone",
	} {
		if did[said] != want {
			t.Errorf("beside %q stands %q, not %q", said, did[said], want)
		}
	}
	if got := did["Response: 226 Transfer complete."]; strings.Count(got, "closes: transfer complete") != 2 {
		t.Errorf("beside 226 stands %q", got)
	}
}

func TestInterrupted(t *testing.T) {
	needsRoot(t)
	daemon, err := build()
	if err != nil {
		t.Fatal(err)
	}
	captures := filepath.Join(t.TempDir(), "captures")
	for n := 1; ; n++ { // in each phase
		ctx, cancel := context.WithCancel(t.Context())
		phase, phases := "", 0
		s, err := story.Run(ctx, story.Options{Daemon: daemon, PcapDir: captures, Progress: func(what string) {
			if phases++; phases == n {
				phase = what
				time.AfterFunc(3*time.Millisecond, cancel)
			}
		}})
		cancel()
		if phases < n {
			return // all have been interrupted, this one not
		}
		if !errors.Is(err, context.Canceled) && phases == n && s == nil {
			t.Errorf("interrupted while %s: %v", phase, err)
		}
		if _, err := os.Stat(captures); s == nil && err == nil {
			t.Errorf("interrupted while %s, it leaves captures", phase)
		}
		labs, err := lab.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range labs {
			if l.Owner == os.Getpid() {
				t.Errorf("interrupted while %s, it leaves lab %s", phase, l.Name)
			}
		}
	}
}
