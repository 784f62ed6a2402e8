package story_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

func TestPrint(t *testing.T) {
	s := told(t)
	var out bytes.Buffer
	pauses := 0
	p := story.Printer{Writer: &out, Pause: func() error { pauses++; return nil }}
	if err := p.Story(s); err != nil {
		t.Fatal(err)
	}
	if pauses != story.StepCount-1 {
		t.Errorf("%d pauses", pauses)
	}
	for line := range strings.Lines(out.String()) {
		if strings.ContainsRune(line, '\x1b') || strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("%q", line)
		}
	}
	for _, want := range []string{
		"1. The detour", "9. Securing it", "10. Behind masquerade", "No.  Source    Destination  Proto  Src Port  Dst Port  Info\n",
		"Response: 220 (vsFTPd 3.0.3)\n", "What was shown", "64512 ports", "10,1,4,4,",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	// What ftpalg did stands beside the line that made it do so.
	for _, pair := range [][2]string{
		{"PORT 10,1,4,4,180,117 ", "notes: 10.1.4.4:46197 wants to be reached"},
		{"RETR R1.cfg ", "opens: 10.2.5.5:20 to 10.1.4.4:46197, once"},
		{"20 -> 46197 [SYN] ", "lets it in: the pinhole is used, and gone"},
		{"226 Transfer complete. ", "closes: transfer complete"},
		{"LIST ", "opens: 10.2.5.5:20 to 10.1.4.4:32963, once"},
		{"STOR R3.cfg ", "opens: 10.2.5.5:20 to 10.1.4.4:44667, once"},
		{"outsider  SYN 10.2.5.66:20 -> 10.1.4.4:46197 ", "the firewall drops it"},
		{"Upload of R3.cfg ", " 10.2.5.5:20 to 10.1.4.4:44667 "}, // of the table of pinholes
		{"Address          31 30 2c 31 2c 34 2c 34 2c  10,1,4,4, ", "31 30 2c 32 2c 35 2c 31 2c  10,2,5,1,"},
		{"PORT 10,1,4,4,8,73 ", "PORT 10,2,5,1,"},
		{"RETR R1.cfg ", "the same"},
	} {
		if !together(out.String(), pair) {
			t.Errorf("%q does not stand beside %q", pair[1], pair[0])
		}
	}
	// With the 150; where the 226 came right behind it, both are read together.
	const found = "finds the pinhole used"
	if !together(out.String(), [2]string{"150 Opening ", found}) && !together(out.String(), [2]string{"226 Transfer complete. ", found}) {
		t.Errorf("%q stands beside neither 150 nor 226", found)
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func together(out string, pair [2]string) bool {
	for line := range strings.Lines(out) {
		if strings.Contains(line, pair[0]) && strings.Contains(line, pair[1]) {
			return true
		}
	}
	return false
}

// TestPrintNarrow prints for a terminal that is small and has colours.
func TestPrintNarrow(t *testing.T) {
	s := told(t)
	for number := 1; number <= story.StepCount; number++ {
		var out bytes.Buffer
		p := story.Printer{Writer: &out, Color: true, Width: 110}
		if err := p.Step(s, number); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "\x1b[1m") {
			t.Errorf("step %d has no colours", number)
		}
		for line := range strings.Lines(out.String()) {
			if n := text.StringWidthWithoutEscSequences(strings.TrimSuffix(line, "\n")); n > p.Width && number != 9 {
				t.Errorf("step %d, %d columns: %q", number, n, line)
			}
		}
	}
}

func TestPrintFails(t *testing.T) {
	s := told(t)
	failure := errors.New("no more")
	p := story.Printer{Writer: &bytes.Buffer{}, Pause: func() error { return failure }}
	if err := p.Story(s); !errors.Is(err, failure) {
		t.Error(err)
	}
}
