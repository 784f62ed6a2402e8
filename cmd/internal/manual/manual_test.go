package manual

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What roff would take for its own is escaped.
func TestRoff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":            "plain",
		"a `--flag` here":  `a \fB\-\-flag\fR here`,
		".start\n.and 'on": "\\&.start\n\\&.and \\(aqon",
		`back\slash`:       `back\eslash`,
	} {
		if got := Roff(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Every command and flag that is not hidden stands in the page, with its value and default.
func TestCommands(t *testing.T) {
	t.Parallel()
	run := func(*cobra.Command, []string) {}
	seen := &cobra.Command{Use: "seen FILE", Short: "Do it", Run: run}
	seen.Flags().String("where", "here", "the `place`")
	seen.Flags().Bool("quiet", false, "say nothing")
	root := &cobra.Command{Use: "program"}
	root.AddCommand(seen, &cobra.Command{Use: "unseen", Hidden: true, Run: run})
	got := Commands(root)
	want := ".SS \"seen FILE [flags]\"\nDo it.\n" +
		".TP\n\\fB\\-\\-quiet\\fR\nsay nothing\n" +
		".TP\n\\fB\\-\\-where\\fR \\fIplace\\fR\nthe place (default here)\n"
	if got != want || strings.Contains(got, "unseen") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
