package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The reference dialogue, replayed as an operator would.
func TestReplay(t *testing.T) {
	captures, err := filepath.Abs("internal/replay/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/replay",
		Setup: func(e *testscript.Env) error {
			e.Setenv("REFERENCE", captures)
			return nil
		},
	})
}
