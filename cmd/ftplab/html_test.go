package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

func TestDemoHTML(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	if out := run(t, 0, "demo", "--html", path); out != path+" is written; open it in a browser\n" {
		t.Error(out)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]int{
		`<section id="step-`: story.StepCount, `id="frame"`: 1, `<figure class="transfer"`: 3, `class="mark used"`: 9, `class="mark found"`: 9, // two drawings and a legend each
		`id="masquerade"`: 1, `10,1,4,4,8,73</td>`: 1, `PORT 10,2,5,1,`: 1, `id="firewalls"`: 1, `id="exposure"`: 1, `180 × 256 + 117 = <b>46197</b>`: 1, `not measured`: 0,
	} {
		if got := strings.Count(string(page), part); got != want {
			t.Errorf("%d times %s, want %d", got, part, want)
		}
	}
}

func TestDemoHTMLRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "page.html")
	if out := run(t, 1, "demo", "--html", path); !strings.Contains(out, "no such file or directory") {
		t.Error(out)
	}
	run(t, 1, "demo", "--html", path, "--json")
}
