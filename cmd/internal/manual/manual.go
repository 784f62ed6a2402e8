// Package manual writes manual pages: the prose of a template, and what the programs
// know of themselves.
package manual

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands returns, in roff, the commands of a program with their flags. Hidden ones are
// left out.
func Commands(root *cobra.Command) string {
	var b strings.Builder
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		use := strings.TrimPrefix(c.UseLine(), root.Name()+" ")
		fmt.Fprintf(&b, ".SS \"%s\"\n%s.\n", Roff(use), Roff(c.Short))
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" {
				return
			}
			value, text := pflag.UnquoteUsage(f)
			name := "--" + f.Name
			if f.Shorthand != "" {
				name = "-" + f.Shorthand + ", " + name
			}
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fR", Roff(name))
			if value != "" {
				fmt.Fprintf(&b, " \\fI%s\\fR", Roff(value))
			}
			fmt.Fprintf(&b, "\n%s", Roff(text))
			if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
				fmt.Fprintf(&b, " (default %s)", Roff(f.DefValue))
			}
			b.WriteString("\n")
		})
	}
	return b.String()
}

// Roff writes one paragraph as roff has it. What stands between backquotes is bold.
func Roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "\n.", "\n\\&.").Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			part = `\fB` + part + `\fR`
		}
		b.WriteString(part)
	}
	return b.String()
}

// Fill reads a template, puts the text in where the mark stands alone on a line, and says
// at the top where the page comes from.
func Fill(template, mark, text string) ([]byte, error) {
	page, err := os.ReadFile(template)
	if err != nil {
		return nil, fmt.Errorf("reading the template: %w", err)
	}
	line := []byte("\n" + mark + "\n")
	if bytes.Count(page, line) != 1 {
		return nil, fmt.Errorf("%s has not one line %q", template, mark)
	}
	filled := bytes.Replace(page, line, []byte("\n"+text), 1)
	return append([]byte(".\\\" Made by `make docs`, from the program and a template.\n"), filled...), nil
}

// Current compares a file with what it should say, and fails the test where they differ.
// With update it writes the file instead.
func Current(t *testing.T, file string, want []byte, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: make docs", file)
	}
}
