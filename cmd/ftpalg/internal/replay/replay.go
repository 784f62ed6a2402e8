// Package replay runs the engine over a capture file. It needs neither a kernel nor
// privileges: the capture says what the time is, and whether a pinhole is used.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ftpalg/ftpalg/alg"
)

// Config is how a capture is replayed.
type Config struct {
	Policy alg.Policy
	Sink   alg.Sink // takes each event as it happens
	// AnyChecksum has segments read whose TCP checksum is wrong.
	AnyChecksum bool
}

// File replays a capture file: see [Read]. Errors name the file.
func File(ctx context.Context, name string, c Config) (Summary, error) {
	f, err := os.Open(name)
	if err != nil {
		return Summary{}, fmt.Errorf("replaying: %w", err)
	}
	defer f.Close()
	s, err := Read(ctx, f, c)
	if err != nil {
		return s, fmt.Errorf("replaying %s: %w", name, err)
	}
	return s, nil
}

// Read replays a capture in pcap or pcapng format. It ends early, with ctx's cause,
// when ctx does. The Summary is that of what was read, with an error too.
//
// A file that ends in the middle of a record is no error: see Summary.Cut. One of which
// nothing can be read is.
func Read(ctx context.Context, in io.Reader, c Config) (Summary, error) {
	file, err := openCapture(in)
	if err != nil {
		return Summary{}, err
	}
	p := newPlayer(c)
	for ctx.Err() == nil {
		r, err := file.next()
		switch {
		case err == nil:
			p.packet(r)
			continue
		case errors.Is(err, io.ErrUnexpectedEOF):
			p.Cut = true
		case !errors.Is(err, io.EOF):
			return p.summary(), fmt.Errorf("after %d packets: %w", p.Packets, err)
		}
		s := p.summary()
		switch {
		case s.Packets > 0 && s.Foreign == s.Packets:
			return s, p.foreign
		case s.checksums():
			return s, errChecksums
		}
		return s, nil
	}
	return p.summary(), context.Cause(ctx)
}
