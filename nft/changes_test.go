package nft

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// What others do is heard, and what the table does is not.
func TestChanges(t *testing.T) {
	inNamespace(t)
	table := install(t, defaults(), probe(t))
	changes, err := table.Changes()
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Close()
	ctx := t.Context()
	heard := func(want bool, atMost time.Duration) {
		t.Helper()
		if changed, err := changes.Wait(ctx, atMost); changed != want || err != nil {
			t.Errorf("Wait = %v, %v, want %v", changed, err, want)
		}
	}
	for range 3 {
		commit(t, table, opened(active4), opened(passive6))
		commit(t, table, closed(active4), closed(passive6))
	}
	heard(false, 50*time.Millisecond)
	load(t, operator)
	heard(true, 0)
	load(t, "flush chain inet filter forward")
	heard(true, 0)
	load(t, "flush ruleset")
	heard(true, 0)

	// More than fits in the socket.
	var b strings.Builder
	b.WriteString(operator)
	for i := range 20000 {
		fmt.Fprintf(&b, "add rule inet filter forward tcp dport %d accept\n", i+1)
	}
	load(t, b.String())
	heard(true, 0)
	heard(false, 50*time.Millisecond)

	ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if changed, err := changes.Wait(ctx, 0); changed || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("when the context ends: %v, %v", changed, err)
	}
	table.Close()
	if _, err := table.Changes(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
