package report

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

// fixture returns the hand-made run under testdata.
func fixture(t *testing.T) (*story.Story, *attack.Matrix) {
	t.Helper()
	s, m := &story.Story{}, &attack.Matrix{}
	for path, v := range map[string]any{"testdata/story.json": s, "testdata/matrix.json": m} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
	}
	return s, m
}

// render returns the page of a run.
func render(t *testing.T, s *story.Story, m *attack.Matrix) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
func TestScratch(t *testing.T) {
	s, m := fixture(t)
	os.WriteFile("/tmp/report/page.html", []byte(render(t, s, m)), 0o644)
}
