package replay

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// FuzzReplay takes any bytes for a capture file. It must come to an end, with every
// event in order and writable, and with no pinhole that the policy does not allow.
func FuzzReplay(f *testing.F) {
	packets := active(f).packets
	for _, link := range slices.Sorted(maps.Keys(links)) {
		f.Add(pcap(binary.LittleEndian, false, link, packets))
		f.Add(pcapng(binary.BigEndian, []layers.LinkType{link}, packets))
	}
	whole, err := os.ReadFile(reference)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	policy := alg.DefaultPolicy()
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, anyChecksum := range []bool{false, true} {
			var events []alg.Event
			sink := func(e alg.Event) { events = append(events, e) }
			s, err := Read(t.Context(), bytes.NewReader(file), Config{Policy: policy, Sink: sink, AnyChecksum: anyChecksum})
			if s.Packets > len(file)/8 || s.Skipped > s.Packets || s.Used > s.Opened || s.Ended > s.Started || s.Resumed > s.Started {
				t.Errorf("%v, %v", &s, err)
			}
			check(t, &policy, events)
		}
	})
}

// check finds events out of order, which cannot be written, or which must not be.
func check(t *testing.T, policy *alg.Policy, events []alg.Event) {
	for i, e := range events {
		if i > 0 && e.Time.Before(events[i-1].Time) {
			t.Errorf("%v after %v", e, events[i-1])
		}
		if p := e.Pinhole; e.Kind == alg.PinholeOpen && (p.Dest.Port() < policy.MinPort || slices.Contains(policy.DenyPorts, p.Dest.Port())) {
			t.Errorf("opened %v", p)
		}
		if err := event.NewText(&bytes.Buffer{}).Write(event.From(e)); err != nil {
			t.Error(err)
		}
	}
}
