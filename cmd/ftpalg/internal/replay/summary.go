package replay

import (
	"fmt"

	"github.com/ftpalg/ftpalg/alg"
)

// Summary counts what a capture had in it.
type Summary struct {
	Packets   int
	Skipped   int  // had no part in any decision
	Truncated int  // shorter in the file than on the wire
	Foreign   int  // skipped for a link type that is not read
	Cut       bool // the file ends in the middle of a record

	Started, Ended        int // sessions
	Opened, Used, Refused int // pinholes

	Engine alg.Stats
}

func (s *Summary) count(e alg.Event) {
	switch e.Kind {
	case alg.SessionStart:
		s.Started++
	case alg.SessionEnd:
		s.Ended++
	case alg.PinholeOpen:
		s.Opened++
	case alg.PinholeUsed:
		s.Used++
	case alg.PinholeRefused:
		s.Refused++
	}
}

// String returns the numbers in one line.
func (s *Summary) String() string {
	return fmt.Sprintf("packets: %d, %d skipped, %d truncated; sessions: %d, %d not seen to end; pinholes: %d opened, %d used, %d refused",
		s.Packets, s.Skipped, s.Truncated, s.Started, s.Started-s.Ended, s.Opened, s.Used, s.Refused)
}

// Warnings returns a sentence for each thing that kept the engine from reading all
// that the hosts did.
func (s *Summary) Warnings() []string {
	var all []string
	if s.Cut {
		all = append(all, "the file ends in the middle of a record: what comes before it was read")
	}
	for _, w := range []struct {
		n    uint64
		text string
	}{
		{uint64(s.Foreign), "packets of a link type that is not read: %d"},
		{s.Engine.Unreadable, "segments of control connections that are incomplete, which were not read: %d"},
		{s.Engine.Checksum, "segments of control connections with a wrong checksum, which were not read: %d"},
		{s.Engine.Unhelped, "packets of control connections beyond the most sessions that the configuration allows: %d"},
		{s.Engine.Lost, "times that bytes of a dialogue are missing from the capture: %d"},
	} {
		if w.n > 0 {
			all = append(all, fmt.Sprintf(w.text, w.n))
		}
	}
	return all
}
