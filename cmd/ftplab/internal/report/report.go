// Package report writes what a run of the lab showed as one page for the browser: a
// single file that needs no network, no other file and no script to be read.
package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"unicode"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

//go:embed page
var files embed.FS

// templates escape whatever they write according to where it stands: most of it was
// read from a network. No value is ever marked as safe.
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"count":    func(n int) string { return quantity(float64(n)) },
	"quantity": quantity,
	"span":     span,
	"columns":  func(t bench.Table) int { return 1 + len(t.Head) },
}).ParseFS(files, "page/*"))

// Write writes the page. Without a matrix, which may be nil, it is a page without the
// comparison of the firewalls.
func Write(w io.Writer, s *story.Story, m *attack.Matrix) error {
	p, err := newPage(s, m)
	if err != nil {
		return fmt.Errorf("making the page: %w", err)
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "page.html", p); err != nil {
		return fmt.Errorf("making the page: %w", err)
	}
	if _, err := w.Write(bytes.Map(visible, b.Bytes())); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// visible replaces what a peer could say to make a line look like another one: control
// characters, and those that reverse the direction of writing.
func visible(r rune) rune {
	if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
		return unicode.ReplacementChar
	}
	return r
}
