package main

import (
	"flag"
	"testing"

	"github.com/ftpalg/ftpalg/cmd/internal/manual"
)

var update = flag.Bool("update", false, "write the documents that are made from the code (make docs)")

// The manual page names every command and flag that there is.
func TestManualIsCurrent(t *testing.T) {
	page, err := manual.Fill("../../deploy/man/ftplab.8.in", "@COMMANDS@", manual.Commands(root()))
	if err != nil {
		t.Fatal(err)
	}
	manual.Current(t, "../../deploy/man/ftplab.8", page, *update)
}
