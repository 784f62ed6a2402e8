package replay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/event"
)

// told replays a file, and returns what a person reads.
func told(t *testing.T, file []byte) (string, Summary, error) {
	t.Helper()
	var text strings.Builder
	out := event.NewText(&text)
	s, err := Read(t.Context(), bytes.NewReader(file), Config{Policy: alg.DefaultPolicy(), Sink: func(e alg.Event) {
		if err := out.Write(event.From(e)); err != nil {
			t.Fatal(err)
		}
	}})
	return text.String(), s, err
}

// replay replays a capture that has nothing wrong with it. It returns the events.
func (k *talk) replay(change ...func(*Config)) ([]alg.Event, Summary) {
	k.t.Helper()
	var events []alg.Event
	c := Config{Policy: alg.DefaultPolicy(), Sink: func(e alg.Event) { events = append(events, e) }}
	for _, f := range change {
		f(&c)
	}
	s, err := Read(k.t.Context(), bytes.NewReader(k.file()), c)
	if err != nil {
		k.t.Fatal(err)
	}
	return events, s
}

// file is the capture in a format that keeps everything.
func (k *talk) file() []byte {
	return pcap(binary.LittleEndian, true, layers.LinkTypeRaw, k.packets)
}

// wantKinds checks what happened after the session began.
func wantKinds(t *testing.T, events []alg.Event, want ...alg.Kind) {
	t.Helper()
	var got []alg.Kind
	for _, e := range events {
		got = append(got, e.Kind)
	}
	if d := cmp.Diff(append([]alg.Kind{alg.SessionStart}, want...), got); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}

// active is a download in active mode, between things that are of no interest.
func active(t testing.TB) *talk {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21")
	k.packet(k.client.Addr(), k.server.Addr(), &layers.UDP{SrcPort: 49160, DstPort: 33440})
	k.login()
	k.c("PORT 10,1,4,4,180,117")
	k.s("200 PORT command successful. Consider using PASV.")
	k.c("RETR R1.cfg")
	k.data("10.2.5.5:20", "10.1.4.4:46198") // not the announced one
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	k.s("150 Opening BINARY mode data connection for R1.cfg (38 bytes).", "226 Transfer complete.")
	k.close()
	return k
}

// The same dialogue means the same in all formats and on all links.
func TestFormats(t *testing.T) {
	packets := active(t).packets
	all := []layers.LinkType{
		layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL, layers.LinkTypeLinuxSLL2, layers.LinkTypeNull,
		layers.LinkTypeLoop, layers.LinkTypeRaw, 12, 14, layers.LinkTypeIPv4,
	}
	files := map[string][]byte{}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, l := range all {
			files[fmt.Sprintf("pcap, %v, microseconds, link type %d", order, l)] = pcap(order, false, l, packets)
			files[fmt.Sprintf("pcap, %v, nanoseconds, link type %d", order, l)] = pcap(order, true, l, packets)
			files[fmt.Sprintf("pcapng, %v, link type %d", order, l)] = pcapng(order, []layers.LinkType{l}, packets)
		}
		files[fmt.Sprintf("pcapng, %v, mixed", order)] = pcapng(order, all, packets)
	}
	two := slices.Concat(pcapng(binary.LittleEndian, all[:1], packets[:9]), pcapng(binary.BigEndian, all[1:2], packets[9:]))
	files["pcapng, two sections"] = two
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			text, s, err := told(t, file)
			if err != nil || len(s.Warnings()) > 0 {
				t.Errorf("%v, %q", err, s.Warnings())
			}
			golden(t, "active.txt", []byte(text+s.String()+"\n"))
		})
	}
}

func TestExtendedPassiveModeOverIPv6(t *testing.T) {
	k := newTalk(t, "[fd00:1:4::4]:41138", "[fd00:2:5::5]:21").login()
	k.c("EPSV")
	k.s("229 Entering Extended Passive Mode (|||50000|)")
	k.data("[fd00:1:4::4]:40000", "[fd00:2:5::5]:50000")
	k.c("LIST")
	k.s("150 Here comes the directory listing.", "226 Directory send OK.")
	k.close()
	for _, link := range []layers.LinkType{layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL2, layers.LinkTypeNull, layers.LinkTypeIPv6} {
		text, s, err := told(t, pcap(binary.BigEndian, false, link, k.packets))
		if err != nil {
			t.Errorf("link type %d: %v", link, err)
		}
		golden(t, "passive6.txt", []byte(text+s.String()+"\n"))
	}
}

// A connection that does not come, or comes late, or comes again, uses nothing.
func TestPinholes(t *testing.T) {
	announced := func() *talk {
		k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
		k.c("PORT 10,1,4,4,180,117")
		k.s("200 ok")
		k.c("RETR x")
		return k
	}
	opened := []alg.Kind{alg.PinholeAnnounced, alg.PinholeOpen}

	k := announced()
	at := k.now.Add(-time.Millisecond) // the last packet acknowledges RETR
	k.now = k.now.Add(300 * 24 * time.Hour)
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	events, s := k.replay()
	wantKinds(t, events, append(opened, alg.PinholeClosed, alg.SessionEnd)...)
	closed, ended := events[3], events[4]
	if after := closed.Time.Sub(at); closed.Used || after > 30*time.Second || after < 29*time.Second {
		t.Errorf("used: %v, closed %v after it opened", closed.Used, after)
	}
	if after := ended.Time.Sub(at); after < 5*24*time.Hour || after > 9*24*time.Hour || ended.Reason != "idle" {
		t.Errorf("ended (%s) %v after its last packet", ended.Reason, after)
	}
	if s.Opened != 1 || s.Used != 0 {
		t.Error(&s)
	}

	k = announced()
	k.now = k.now.Add(29 * time.Second)
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	k.next[netip.MustParseAddrPort("10.2.5.5:20")] += 1 << 20
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	k.s("150 ok")
	events, s = k.replay()
	wantKinds(t, events, append(opened, alg.PinholeUsed)...)
	// Four packets of the second connection, and what follows the first one's SYN.
	if s.Opened != 1 || s.Used != 1 || s.Skipped != 4+3 || s.Started != 1 || s.Ended != 0 {
		t.Error(&s)
	}
}

// What was cut off was not read, whatever the bytes that are there say.
func TestTruncatedPackets(t *testing.T) {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
	k.c("PORT 10,1,4,4,180,117")
	k.s("200 ok")
	k.c("RETR x")
	retr := len(k.packets) - 2
	k.packets[retr].short = 2
	events, s := k.replay()
	wantKinds(t, events, alg.PinholeAnnounced)
	if s.Truncated != 1 || s.Engine.Unreadable != 1 || s.Skipped != 0 || len(s.Warnings()) != 1 {
		t.Errorf("%v, %q", &s, s.Warnings())
	}
	k.s("150 ok", "226 ok")
	k.c("NOOP") // the client goes on after what is missing
	_, s = k.replay()
	if s.Engine.Lost != 1 || !slices.ContainsFunc(s.Warnings(), func(w string) bool { return strings.Contains(w, "missing") }) {
		t.Errorf("%q", s.Warnings())
	}

	// The padding of a frame is no part of a segment.
	k = active(t)
	for i := range k.packets {
		k.packets[i].short = max(46-len(k.packets[i].ip), 0)
	}
	text, s, err := told(t, pcap(binary.LittleEndian, false, layers.LinkTypeEthernet, k.packets))
	if err != nil || s.Truncated == 0 || len(s.Warnings()) > 0 || s.Skipped != 1+4+3 {
		t.Errorf("%v, %v", err, &s)
	}
	if whole, _, _ := told(t, pcap(binary.LittleEndian, false, layers.LinkTypeEthernet, active(t).packets)); text != whole {
		t.Errorf("without padding:\n%s", text)
	}
}

// A checksum that was left to the network card is good; a wrong one is not.
func TestChecksums(t *testing.T) {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
	k.c("PORT 10,1,4,4,180,117")
	port := k.packets[len(k.packets)-2].ip
	segment := port[20:]
	field := binary.BigEndian.Uint16(segment[16:])

	acc := uint32(6) + uint32(len(segment)) // the pseudo header (RFC 9293, section 3.1)
	for i := 12; i < 20; i += 2 {
		acc += uint32(binary.BigEndian.Uint16(port[i:]))
	}
	binary.BigEndian.PutUint16(segment[16:], uint16(acc>>16+acc))
	events, _ := k.replay()
	wantKinds(t, events, alg.PinholeAnnounced)

	binary.BigEndian.PutUint16(segment[16:], field+1)
	events, s := k.replay()
	wantKinds(t, events)
	if len(s.Warnings()) != 1 || !strings.Contains(s.Warnings()[0], "wrong TCP checksum") {
		t.Errorf("%q", s.Warnings())
	}
}

// Time goes on, whatever the file says.
func TestTimes(t *testing.T) {
	k := active(t)
	_, want := k.replay()
	for name, change := range map[string]func(i int, at time.Time) time.Time{
		"backwards":         func(i int, at time.Time) time.Time { return at.Add(-time.Duration(i) * time.Hour) },
		"all the same":      func(int, time.Time) time.Time { return k.now },
		"beginning of time": func(int, time.Time) time.Time { return time.Unix(0, 0) },
		"end of time":       func(int, time.Time) time.Time { return time.Unix(1<<32-1, 0) },
		"both in turn":      func(i int, _ time.Time) time.Time { return time.Unix(int64(i%2)*(1<<32-1), 0) },
	} {
		packets := slices.Clone(k.packets)
		for i := range packets {
			packets[i].at = change(i, packets[i].at)
		}
		text, s, err := told(t, pcap(binary.LittleEndian, false, layers.LinkTypeRaw, packets))
		times := strings.Split(strings.TrimSpace(text), "\n")
		for i := range times {
			times[i], _, _ = strings.Cut(times[i], " ")
		}
		if err != nil || !slices.IsSorted(times) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		if d := cmp.Diff(want, s); name != "both in turn" && d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestContextEnds(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	file := pcap(binary.LittleEndian, false, layers.LinkTypeRaw, active(t).packets)
	s, err := Read(ctx, bytes.NewReader(file), Config{Policy: alg.DefaultPolicy(), Sink: func(alg.Event) { cancel(why) }})
	if !errors.Is(err, why) || s.Packets == 0 || s.Packets > 10 {
		t.Errorf("%v after %d packets", err, s.Packets)
	}
}
