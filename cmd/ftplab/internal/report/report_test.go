package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
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

func TestWrite(t *testing.T) {
	s, m := fixture(t)
	page := render(t, s, m)
	for _, want := range []string{
		`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"`,
		`id="step-1"`, `id="step-10"`, `id="topology-wide-title"`, `id="frame"`, `id="firewalls"`, `id="exposure-plot-narrow-title"`,
		`id="transfer-1"`, `id="transfer-2"`, `id="transfer-3"`,
		`180 × 256 + 117 = <b>46197</b>`,
		`The line on both sides, 20 bytes and 23`,
		`<td class="info" data-side="client’s side">PORT 10,1,4,4,8,73</td>`, `<td class="info changed" data-side="server’s side">PORT 10,2,5,1,243,162</td>`,
		`<td class="number" data-name="Seq">104</td>`, `<td class="number changed" data-name="Seq">107</td>`,
		`<td class="info">Request: PORT 10,1,4,4,180,117</td>`,
		`The pinhole stood open for <b>0.48 ms</b>, until the server's first packet used it up`,
		`found after <b>1.28 ms</b>. It was closed after <b>2.58 ms</b>: transfer complete.`,
		`The same traffic through five firewalls`,
		`<td class="bad" data-firewall="stateful">`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, foreign := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(strings.ReplaceAll(page, "http://www.w3.org/2000/svg", ""), foreign) {
			t.Errorf("the page has %q, and should need no other file", foreign)
		}
	}
}

// Each transfer stands at the step that tells it.
func TestTransfersStandAtTheirSteps(t *testing.T) {
	s, m := fixture(t)
	p, err := newPage(s, m)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]string{}
	for _, step := range p.Steps {
		for _, tr := range step.Transfers {
			got[step.Number] += tr.Title
		}
	}
	want := map[int]string{5: "Download of R1.cfg", 6: "Listing", 7: "Upload of R3.cfg"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("transfers by step: %v, want %v", got, want)
	}
}

func TestWriteWithoutMatrix(t *testing.T) {
	s, _ := fixture(t)
	page := render(t, s, nil)
	for _, part := range []string{`id="firewalls"`, `id="exposure"`, `href="#firewalls"`} {
		if strings.Contains(page, part) {
			t.Errorf("the page has %q, without any measurement", part)
		}
	}
}

func TestNotMeasured(t *testing.T) {
	s, m := fixture(t)
	m.Rows[0].Cells[4] = attack.Cell{}
	m.Notes = []string{"this kernel has no FTP helper"}
	page := render(t, s, m)
	for _, want := range []string{"not measured</b>", `<p class="note">this kernel has no FTP helper</p>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, spoil := range map[string]func(s *story.Story, m *attack.Matrix){
		"a field beyond the frame":       func(s *story.Story, _ *attack.Matrix) { s.Port.Fields[3].Length = 1000 },
		"a gap between fields":           func(s *story.Story, _ *attack.Matrix) { s.Port.Fields[3].Offset++ },
		"an empty field":                 func(s *story.Story, _ *attack.Matrix) { s.Port.Fields[3].Length = 0 },
		"bytes without a field":          func(s *story.Story, _ *attack.Matrix) { s.Port.Bytes = append(s.Port.Bytes, 0) },
		"a transfer without any step":    func(s *story.Story, _ *attack.Matrix) { s.Steps = nil },
		"a row that lacks a cell":        func(_ *story.Story, m *attack.Matrix) { m.Rows[0].Cells = m.Rows[0].Cells[1:] },
		"a row with a cell of no column": func(_ *story.Story, m *attack.Matrix) { m.Firewalls = m.Firewalls[1:] },
	} {
		s, m := fixture(t)
		spoil(s, m)
		var b bytes.Buffer
		if err := Write(&b, s, m); err == nil || b.Len() > 0 {
			t.Errorf("%s: error %v after %d bytes, want an error and nothing written", name, err, b.Len())
		}
	}
}

var errFull = errors.New("no room")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	s, m := fixture(t)
	if err := Write(full{}, s, m); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}

// Whatever a peer says is text: with any string at all in every place, the page has the
// same tags and attributes as with harmless letters there.
func TestEverythingIsEscaped(t *testing.T) {
	const hostile = "</text></title><script>alert(1)</script>'\"&lt; \x1b\x00\u202e\u2066 {{.}} --> ]]>"
	harmless := strings.NewReplacer("<", "x", ">", "x", `"`, "x", "'", "x", "&", "x").Replace(hostile)
	var pages [2]string
	for i, text := range []string{hostile, harmless} {
		s, m := fixture(t)
		fill(reflect.ValueOf(s).Elem(), text)
		fill(reflect.ValueOf(m).Elem(), text)
		s.Port.Bytes = bytes.Repeat([]byte(text[:1]), len(s.Port.Bytes))
		s.Port.Fields[0].Layer = "FTP"
		pages[i] = render(t, s, m)
	}
	for _, c := range []string{"<", ">", `"`, "<script"} {
		if got, want := strings.Count(pages[0], c), strings.Count(pages[1], c); got != want {
			t.Errorf("%d times %s, want %d", got, c, want)
		}
	}
	if i := strings.IndexAny(pages[0], "\x00\x1b\u202e\u2066"); i >= 0 {
		t.Errorf("a control character is left at %q", pages[0][i-20:i+20])
	}
	if n := strings.Count(pages[0], "&lt;/title&gt;"); n < 100 {
		t.Errorf("only %d of the strings are there to be read", n)
	}
}

// fill sets every string in v.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), text)
			}
		}
	}
}
