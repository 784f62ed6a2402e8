package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/floor"
	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench/load"
)

// The parts of a benchmark that are processes of their own, so that what each costs can
// be told apart. See Part.
const (
	partServer = "server"
	partClient = "client"
	partFloor  = "floor"
)

// readyLine is what a part writes when it does what it is there for.
const readyLine = "ready"

// order is what a part is told.
type order struct {
	Listen  []netip.AddrPort `json:"listen,omitempty"`  // of the server
	Spec    *load.Spec       `json:"spec,omitempty"`    // of the client
	Workers int              `json:"workers,omitempty"` // of the floor
}

// Part is what a process does that this package starts: name is one of its parts, and the
// order its one argument. It writes a line that says "ready", and the client a second one
// with its tally. The end of in is the end of the part.
func Part(ctx context.Context, in io.Reader, out io.Writer, name, argument string) error {
	var o order
	if err := json.Unmarshal([]byte(argument), &o); err != nil {
		return fmt.Errorf("reading the order of %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = bufio.NewReader(in).WriteTo(io.Discard)
		cancel()
	}()
	ready := func() { fmt.Fprintln(out, readyLine) }
	switch name {
	case partServer:
		allowDescriptors()
		return load.Serve(ctx, o.Listen, ready)
	case partFloor:
		return floor.Run(ctx, floor.Table(firstQueue, o.Workers), ready)
	case partClient:
		if o.Spec == nil {
			return fmt.Errorf("the order of %s names nothing to do", name)
		}
		allowDescriptors()
		tally, err := load.Run(ctx, *o.Spec, ready)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(tally)
	}
	return fmt.Errorf("there is no part %q", name)
}

// firstQueue is the daemon's, by default.
const firstQueue = 21000

// allowDescriptors raises the bound on open files as far as it goes: root may go over the
// hard limit, but for some containers.
func allowDescriptors() {
	const most = 1 << 20 // fs.nr_open, unless somebody has changed it
	var l unix.Rlimit
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}) == nil || unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return
	}
	l.Cur = l.Max
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l) // what is too little, opening a file says
}

// self returns how this program is started to play a part.
func self() ([]string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program itself: %w", err)
	}
	return []string{path, PartCommand}, nil
}

// PartCommand is the command of the program that calls Part.
const PartCommand = "bench-part"
