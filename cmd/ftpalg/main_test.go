package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is ftpalg too, under that name, for scripts and for exec.Command.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ftpalg": main})
}

// The command line, as in testdata. These need no privileges.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}
