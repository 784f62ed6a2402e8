package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// width returns how many columns a terminal has; 0: it does not say.
func width(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// pause waits for a key; where standard input is no terminal, for the end of a line or
// of the input. It returns ctx's error when ctx ends first.
func pause(ctx context.Context) error {
	what, wait := "Enter", readLine
	if isTerminal(os.Stdin) {
		back, err := readKeys(os.Stdin)
		if err != nil {
			return err
		}
		defer back()
		what, wait = "any key", readKey
	}
	prompt := fmt.Sprintf("[ %s: the next step ]", what)
	fmt.Fprint(os.Stderr, "\n"+prompt)
	done := make(chan error, 1)
	go func() { done <- wait(os.Stdin) }()
	select {
	case err := <-done:
		// The prompt makes room for what follows.
		fmt.Fprintf(os.Stderr, "\r%*s\r", len(prompt), "")
		return err
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr)
		return ctx.Err()
	}
}

// readKeys makes a terminal give each key at once, and not show it. Ctrl-C stays what it
// is. The function that it returns puts everything back.
func readKeys(f *os.File) (back func(), err error) {
	old, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("asking the terminal how it is set: %w", err)
	}
	keys := *old
	keys.Lflag &^= unix.ICANON | unix.ECHO
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &keys); err != nil {
		return nil, fmt.Errorf("making the terminal give single keys: %w", err)
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, old) }, nil
}

// readKey reads one key, which may be several bytes.
func readKey(f *os.File) error {
	_, err := f.Read(make([]byte, 16))
	return unlessEnd(err)
}

// readLine reads to the end of a line, and nothing of the next.
func readLine(f *os.File) error {
	for b := []byte{0}; b[0] != '\n'; {
		if _, err := f.Read(b); err != nil {
			return unlessEnd(err)
		}
	}
	return nil
}

func unlessEnd(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("waiting for a key: %w", err)
}
