package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

const example = "../../../../deploy/config/ftpalg.toml"

// The example that is installed says every default, and nothing else.
func TestExampleIsTheDefault(t *testing.T) {
	got, err := Load(example)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File = example
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the example says\n%+v\nthe defaults are\n%+v", got, want)
	}
}

// What the example shows as a comment is right as well, and every key is in it.
func TestExampleIsWhole(t *testing.T) {
	document, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	before, table, ok := strings.Cut(string(document), "# [[server]]")
	if !ok {
		t.Fatal("no [[server]] is shown")
	}
	table, after, _ := strings.Cut("# [[server]]"+table, "\n\n")
	whole := before + strings.ReplaceAll("\n"+table, "\n# ", "\n") + "\n\n" + after
	for _, name := range names(defaults().settings()) {
		section, key, _ := strings.Cut(name, ".")
		_, rest, _ := strings.Cut(whole, "\n"+heading(section)+"\n")
		rest, _, _ = strings.Cut(rest, "\n[")
		if !strings.Contains("\n"+rest, "\n"+key+" ") {
			t.Errorf("%s is not in the example", name)
		}
	}
	c, err := Parse("whole.toml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Policy.Overrides) != 1 || len(c.Policy.Overrides[0].Servers) != 1 || len(c.Table.FTPS) != 1 {
		t.Errorf("%+v", c.Policy.Overrides)
	}
}
