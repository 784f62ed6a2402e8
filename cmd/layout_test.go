// Package cmd holds the programs. The test here guards the shape of the whole house.
package cmd

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ftpalg/ftpalg/"

// arrows are the imports inside the project that its design allows, for each part of
// it, and whether the part may import what is not in the standard library.
var arrows = map[string]struct {
	to      []string
	foreign bool
}{
	"alg/ftp":      {},
	"alg/tcp":      {},
	"alg/dialogue": {to: []string{"alg/ftp"}},
	"alg":          {to: []string{"alg/dialogue", "alg/tcp"}},
	"nft":          {to: []string{"alg"}, foreign: true},
	"nft/queue":    {foreign: true},
	"conntrack":    {to: []string{"alg"}, foreign: true},
	"deploy/lab":   {foreign: true},
	"cmd/ftpalg":   {to: []string{"alg", "nft", "nft/queue", "conntrack", "deploy/lab", "cmd/internal/version"}, foreign: true},
	"cmd/ftplab":   {to: []string{"alg", "nft", "nft/queue", "conntrack", "deploy/lab", "cmd/internal/version"}, foreign: true},
	"cmd":          {},

	"cmd/internal/manual":  {foreign: true},
	"cmd/internal/version": {},
}

// part is the part of the house that a package belongs to.
func part(pkg string) string {
	for _, program := range []string{"cmd/ftpalg", "cmd/ftplab"} {
		if pkg == program || strings.HasPrefix(pkg, program+"/internal/") {
			return program
		}
	}
	return pkg
}

func TestImportsFollowTheArrows(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from := part(strings.TrimPrefix(words[0], module))
		allowed, known := arrows[from]
		if !known {
			t.Errorf("%s has no place in the house", from)
			continue
		}
		for _, imported := range words[1:] {
			inside, ours := strings.CutPrefix(imported, module)
			to := part(inside)
			switch {
			case ours && to != from && !slices.Contains(allowed.to, to):
				t.Errorf("%s imports %s", words[0], imported)
			case !ours && !allowed.foreign && strings.Contains(strings.Split(imported, "/")[0], "."):
				t.Errorf("%s imports %s", words[0], imported)
			}
		}
	}
}

func TestTopLevelIsFixed(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"go.mod", "go.sum", "cmd", "alg", "nft", "conntrack", "deploy", "Makefile", "README.md", "LICENSE", "bin"}
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) {
			t.Errorf("%s does not belong at the top", name)
		}
	}
}
