package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
)

const troubleshooting = "../../deploy/doc/troubleshooting.md"

// quoted finds what a document quotes of the program.
var quoted = regexp.MustCompile("`([^`\n]+)`")

// The reasons that the document explains are those that the engine gives.
func TestTroubleshootingKnowsTheReasons(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(troubleshooting)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## pinhole refused\n")
	section, _, _ = strings.Cut(section, "\n## ")
	found := 0
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, q := range quoted.FindAllStringSubmatch(cells[1], -1) {
				found++
				if alg.CauseOf(q[1]) == alg.Other {
					t.Errorf("no event has the reason %q", q[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("%d reasons are explained", found)
	}
}

// The events that the documents name are there.
func TestDocumentsKnowTheEvents(t *testing.T) {
	t.Parallel()
	kinds := kinds(t)
	name := regexp.MustCompile(`^(session|pinhole|ftps|auth)\.[a-z_]+$`)
	found := 0
	for _, file := range []string{troubleshooting, "../../deploy/doc/migration.md", "../../deploy/doc/threat-model.md", "../../README.md"} {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range quoted.FindAllStringSubmatch(string(document), -1) {
			switch {
			case !name.MatchString(q[1]) || settingNames[q[1]]:
			case kinds[q[1]]:
				found++
			default:
				t.Errorf("%s: there is no event %s", file, q[1])
			}
		}
	}
	if found == 0 {
		t.Error("no document names an event")
	}
}

// The accept line that documents and snippets have is the one of the default configuration.
func TestDocumentsHaveTheAcceptLine(t *testing.T) {
	t.Parallel()
	line := config.Default().Table.Tag.Line()
	for _, file := range []string{"man/ftpalg.8.in", "packaging/openwrt/ftpalg.nft"} {
		document, err := os.ReadFile("../../deploy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains("\n"+string(document), "\n"+line) {
			t.Errorf("%s has not the line %q", file, line)
		}
	}
}

// settingNames are keys of the configuration that look like events.
var settingNames = map[string]bool{"pinhole.min_port": true, "pinhole.deny_ports": true, "pinhole.modes": true}

// kinds reads the names of all events from where they are declared.
func kinds(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../alg/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == "Kind" {
				for _, v := range spec.Values {
					if text, ok := v.(*ast.BasicLit); ok {
						s, err := strconv.Unquote(text.Value)
						if err != nil {
							t.Fatal(err)
						}
						all[s] = true
					}
				}
			}
		}
		return true
	})
	return all
}
