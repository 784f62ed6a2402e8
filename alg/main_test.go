package alg_test

import (
	"flag"
	"os"
	"testing"
)

// behindTranslation has every wire of a test be one whose addresses are translated, both
// ends', where the test does not say how.
var behindTranslation bool

// All tests, and then once more, behind a translation, those of what was once got through.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	whole := true
	for _, name := range []string{"run", "skip", "fuzz", "bench", "list"} {
		whole = whole && flag.Lookup("test."+name).Value.String() == ""
	}
	if code == 0 && whole {
		behindTranslation = true
		if err := flag.Set("test.run", "^TestFinding"); err != nil {
			panic(err)
		}
		code = m.Run()
	}
	os.Exit(code)
}
