package replay

import (
	"errors"
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

	Started, Ended                int // sessions
	Resumed                       int // of those that started: began before the file
	Opened, Used, Refused, Missed int // pinholes
	Translated                    int // announcements of an address that is not the end's own

	Elsewhere []string // a sentence for each port with FTP that is not configured
	Engine    alg.Stats
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
		if at := e.Pinhole.Dest.Addr(); at.IsValid() && at != e.Client.Addr() && at != e.Server.Addr() {
			s.Translated++
		}
	case alg.PinholeAnnounced:
		if e.Reason != "" { // the 227 names another address
			s.Translated++
		}
	case alg.PinholeMissed:
		s.Missed++
	}
}

// String returns the numbers in one line.
func (s *Summary) String() string {
	return fmt.Sprintf("packets: %d, %d skipped, %d truncated; sessions: %d, %d not seen to end; pinholes: %d opened, %d used, %d refused, %d missed",
		s.Packets, s.Skipped, s.Truncated, s.Started, s.Started-s.Ended, s.Opened, s.Used, s.Refused, s.Missed)
}

// errChecksums says that the checksums are wrong throughout. They are where a network
// card computes them after the capture took its copy, and where somebody changed the
// addresses in the file.
var errChecksums = errors.New("the TCP checksums of the control connections are wrong throughout, so nothing was read: a network card was to compute them, or the addresses in the file were changed; --ignore-checksums reads them as they are")

// checksums reports whether no segment was read because of the checksums.
func (s *Summary) checksums() bool {
	e := &s.Engine
	return e.Checksum > 0 && e.Checksum+e.Unreadable == e.Packets
}

// Warnings returns a sentence for each thing that kept the engine from reading all
// that the hosts did.
func (s *Summary) Warnings() []string {
	var all []string
	if s.Cut {
		all = append(all, "the file ends in the middle of a record: what comes before it was read")
	}
	checksums := s.Engine.Checksum
	if s.checksums() { // an error says so
		checksums = 0
	}
	for _, w := range []struct {
		n    uint64
		text string
	}{
		{uint64(s.Foreign), "packets of a link type that is not read: %d"},
		{s.Engine.Unreadable, "segments of control connections that are incomplete, which were not read: %d"},
		{checksums, "segments of control connections with a wrong TCP checksum, which were not read (--ignore-checksums reads them): %d"},
		{uint64(s.Resumed), "dialogues that began before the file, taken up for active mode alone and after one command and its reply: %d"},
		{s.Engine.Unhelped, "packets of control connections beyond the most sessions that the configuration allows: %d"},
		{uint64(s.Translated), "announcements of an address that is not the end's own, as where a capture is taken on the other side of a translation: %d"},
		{s.Engine.Lost, "times that bytes of a dialogue are missing from the capture: %d"},
	} {
		if w.n > 0 {
			all = append(all, fmt.Sprintf(w.text, w.n))
		}
	}
	return append(all, s.Elsewhere...)
}
