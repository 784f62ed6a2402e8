package config

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/internal/manual"
)

var update = flag.Bool("update", false, "write the documents that are made from the code (make docs)")

// entryOf is what the reference says of one key.
type entryOf struct {
	key     string
	allowed string // what may stand there
	preset  string // as the installed file has it
	text    string // what it does, of aboutKey
	waits   bool   // a reload does not put it in force
}

// What may stand at a key is asked of the code, in the words of its errors; the default is
// the installed file's, which TestExampleIsTheDefault compares with the code's; what a key
// does is told in aboutKey.
func TestReferenceIsCurrent(t *testing.T) {
	sections := reference(t)
	page, err := manual.Fill("../../../../deploy/man/ftpalg.toml.5.in", "@KEYS@", roff(sections))
	if err != nil {
		t.Fatal(err)
	}
	manual.Current(t, "../../../../deploy/man/ftpalg.toml.5", page, *update)
	manual.Current(t, "../../../../deploy/doc/configuration.md", []byte(markdown(sections)), *update)
}

// reference lists the keys of each section, both in the order of the installed file.
func reference(t *testing.T) map[string][]entryOf {
	t.Helper()
	settings := defaults().settings()
	for name, s := range serverSettings(&alg.Override{}) {
		settings[name] = s
	}
	document, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string][]entryOf)
	section, known := "", make(map[string]bool)
	head, line := regexp.MustCompile(`^(?:# )?\[+([a-z]+)\]+$`), regexp.MustCompile(`^(?:# )?([a-z_]+) +=\s(.*?)(?:\s+#.*)?$`)
	for text := range strings.Lines(string(document)) {
		if m := head.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
			section = m[1]
		} else if m := line.FindStringSubmatch(strings.TrimSpace(text)); m != nil && settings[section+"."+m[1]] != nil {
			name := section + "." + m[1]
			known[name] = true
			sections[section] = append(sections[section], entryOf{m[1], allowed(settings[name]), strings.TrimSpace(m[2]), aboutKey[name], waits(t, name)})
		}
	}
	for name := range settings {
		if !known[name] {
			t.Errorf("%s is not in %s", name, example)
		}
		if aboutKey[name] == "" {
			t.Errorf("%s is told nowhere: aboutKey", name)
		}
	}
	for name := range aboutKey {
		if settings[name] == nil {
			t.Errorf("%s is told, and is no key", name)
		}
	}
	for _, s := range sectionOrder {
		if len(sections[s]) == 0 || aboutSection[s] == "" {
			t.Errorf("[%s] has no keys, or is told nowhere", s)
		}
	}
	for s := range sections {
		if !slices.Contains(sectionOrder, s) {
			t.Errorf("[%s] is not in the reference", s)
		}
	}
	return sections
}

// waits asks the code whether another value of a key waits for a restart.
func waits(t *testing.T, name string) bool {
	t.Helper()
	value, ok := other[name]
	if !ok { // of a [[server]]
		return false
	}
	next, err := Parse("f.toml", []byte(name+" = "+value))
	if err != nil {
		t.Fatal(err)
	}
	_, waiting := Default().Revised(next)
	return len(waiting) > 0
}

// allowed says what may stand at a key, in the words in which the setting refuses what
// may not.
func allowed(s setting) string {
	if err := s(struct{}{}).Error(); err != "{} is not a list" {
		what := accepted(err)
		if s("") == nil {
			what += ", or `\"\"`"
		}
		return what
	}
	what := "a list, each " + accepted(s([]any{struct{}{}}).Error())
	if s([]any{}) != nil {
		what += "; at least one"
	}
	return what
}

// accepted turns a refusal around.
func accepted(refusal string) string {
	text, _ := strings.CutPrefix(refusal, "{} is ")
	if names, ok := strings.CutPrefix(text, "none of "); ok {
		quoted := strings.Split(names, ", ")
		for i, n := range quoted {
			quoted[i] = fmt.Sprintf("`%q`", n)
		}
		return "one of " + strings.Join(quoted, ", ")
	}
	if both, ok := strings.CutPrefix(text, "neither "); ok {
		text = strings.ReplaceAll(strings.ReplaceAll(both, ", nor ", ", or "), " nor ", " or ")
	} else {
		text, _ = strings.CutPrefix(text, "not ")
	}
	return quotes.ReplaceAllString(text, "`$0`")
}

// quotes find the examples in a refusal.
var quotes = regexp.MustCompile(`"[^"]*"`)

// A refusal that the reference cannot turn around would stand in it as it is.
func TestEveryRefusalSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for section, keys := range reference(t) {
		for _, k := range keys {
			if k.allowed == "" || strings.Contains(k.allowed, "{}") || strings.HasPrefix(k.allowed, "no") {
				t.Errorf("%s.%s: %q", section, k.key, k.allowed)
			}
		}
	}
}

func markdown(sections map[string][]entryOf) string {
	var b strings.Builder
	b.WriteString("# Configuration\n\nMade by `make docs` from the code.\n\n" + aboutFile + "\n")
	for _, s := range sectionOrder {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", heading(s), aboutSection[s])
		for _, k := range sections[s] {
			fmt.Fprintf(&b, "\n### %s\n\n%s.  \n%s: `%s`", k.key, capital(k.allowed), presetWord(s), k.preset)
			if k.waits {
				b.WriteString("  \n" + waitsText)
			}
			fmt.Fprintf(&b, "\n\n%s\n", k.text)
		}
	}
	return b.String()
}

func roff(sections map[string][]entryOf) string {
	var b strings.Builder
	for _, s := range sectionOrder {
		fmt.Fprintf(&b, ".SH \"%s\"\n%s\n", heading(s), paragraphs(aboutSection[s], ".PP"))
		for _, k := range sections[s] {
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fR = %s\n%s.", k.key, manual.Roff(k.preset), manual.Roff(capital(k.allowed)))
			if k.waits {
				b.WriteString("\n" + manual.Roff(waitsText))
			}
			fmt.Fprintf(&b, "\n.IP\n%s\n", paragraphs(k.text, ".IP"))
		}
	}
	return b.String()
}

func paragraphs(text, between string) string {
	all := strings.Split(text, "\n\n")
	for i := range all {
		all[i] = manual.Roff(all[i])
	}
	return strings.Join(all, "\n"+between+"\n")
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// presetWord says what the installed file shows of a section's keys.
func presetWord(section string) string {
	if section == "server" {
		return "Example"
	}
	return "Default"
}
