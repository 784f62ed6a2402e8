// Command ftpalg is a userspace FTP application-layer gateway for Linux firewalls.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	signal.Ignore(unix.SIGHUP)   // run has a use for it, and it must not end the daemon before
	if err := root().ExecuteContext(ctx); err != nil {
		code := 1
		if e := (exit{}); errors.As(err, &e) {
			code, err = e.code, e.error
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, message(err))
		}
		os.Exit(code)
	}
}

// message is what the user reads of an error. What is wrong with a file begins with
// the file's name, as editors want it.
func message(err error) string {
	var problems config.Problems
	if errors.As(err, &problems) {
		return problems.Error()
	}
	return "ftpalg: " + err.Error()
}
