package story_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
)

func TestTransfers(t *testing.T) {
	s := told(t)
	wants := []struct{ title, data, to string }{
		{"Download of R1.cfg", "38 bytes of data", "10.1.4.4:46197"},
		{"Listing of the directory", "64 bytes of data", "10.1.4.4:32963"},
		{"Upload of R3.cfg", "48 bytes of data", "10.1.4.4:44667"},
	}
	if len(s.Transfers) != len(wants) {
		t.Fatalf("%d transfers", len(s.Transfers))
	}
	for i, want := range wants {
		transfer := s.Transfers[i]
		if transfer.Title != want.title {
			t.Errorf("%q, want %q", transfer.Title, want.title)
		}
		checkMessages(t, transfer, want.data)
		h := transfer.Pinhole
		if h.Source.String() != "10.2.5.5" || h.From() != "10.2.5.5:20" || h.Destination.String() != want.to || h.Reason != "transfer complete" {
			t.Errorf("%s: %+v", want.title, h)
		}
		if h.OpenedAt.IsZero() || h.UsedAt.Before(h.OpenedAt) || h.FoundAt.Before(h.UsedAt) || h.ClosedAt.Before(h.FoundAt) {
			t.Errorf("%s: opened %v, used %v, found used %v, closed %v", want.title, h.OpenedAt, h.UsedAt, h.FoundAt, h.ClosedAt)
		}
		if h.Existed() != h.FoundAt.Sub(h.OpenedAt) {
			t.Errorf("%s: existed for %v", want.title, h.Existed())
		}
		checkMoments(t, transfer, want.data)
	}
}

// checkMoments compares the life of a pinhole with the packets that it comes of: it is
// open when the command has come, and closed when the last reply has, after the data.
func checkMoments(t *testing.T, transfer story.Transfer, data string) {
	t.Helper()
	h := transfer.Pinhole
	for _, m := range transfer.Messages {
		verb, _, _ := strings.Cut(m.Text, " ")
		switch {
		case strings.HasSuffix(m.Text, ", again") || m.Dropped:
		case verb == "RETR" || verb == "STOR" || verb == "LIST":
			if m.Time.After(h.OpenedAt) {
				t.Errorf("%s: opened %v before %q came", transfer.Title, m.Time.Sub(h.OpenedAt), m.Text)
			}
		case m.Data && verb == "SYN" && !m.Time.Equal(h.UsedAt):
			t.Errorf("%s: used %v before %q came", transfer.Title, m.Time.Sub(h.UsedAt), m.Text)
		case (verb == "226" || m.Text == data) && m.Time.After(h.ClosedAt):
			t.Errorf("%s: closed %v before %q came", transfer.Title, m.Time.Sub(h.ClosedAt), m.Text)
		}
	}
}

// checkMessages looks for the ladder from the announcement to the last reply.
func checkMessages(t *testing.T, transfer story.Transfer, data string) {
	t.Helper()
	var control, strangers []string
	sent, last := 0, transfer.Messages[0].Time
	for _, m := range transfer.Messages {
		if m.Time.Before(last) {
			t.Errorf("%s: %q stands too late", transfer.Title, m.Text)
		}
		last = m.Time
		switch {
		case m.Dropped:
			strangers = append(strangers, m.Sender+": "+m.Text)
		case strings.HasSuffix(m.Text, ", again"): // on a busy machine
		case !m.Data:
			control = append(control, m.Text[:4])
		case m.Text == data:
			sent++
			if m.FromClient != strings.HasPrefix(transfer.Title, "Upload") {
				t.Errorf("%s: %q has the wrong direction", transfer.Title, m.Text)
			}
		}
	}
	wantControl, wantStrangers := "PORT 200  RETR 150  226 ", "outsider: SYN 10.2.5.66:20 -> 10.1.4.4:46197"
	switch transfer.Pinhole.Destination.Port() {
	case 32963:
		wantControl, wantStrangers = "PORT 200  LIST 150  226 ", ""
	case 44667:
		wantControl, wantStrangers = "PORT 200  ALLO 202  STOR 150  226 ", ""
	}
	if got := strings.Join(control, " "); got != wantControl {
		t.Errorf("%s: the control connection has %q", transfer.Title, got)
	}
	if got := strings.Join(strangers, ", "); got != wantStrangers {
		t.Errorf("%s: dropped were %q", transfer.Title, got)
	}
	if sent == 0 {
		t.Errorf("%s: no %s", transfer.Title, data)
	}
}

func TestPortFrame(t *testing.T) {
	f := told(t).Port
	if len(f.Bytes) != 89 || string(f.Bytes[66:]) != "PORT 10,1,4,4,180,117\r\n" {
		t.Errorf("%d bytes: %q", len(f.Bytes), f.Bytes)
	}
	at, meanings := 0, map[string]string{}
	for _, field := range f.Fields {
		if field.Offset != at || field.Length < 1 || field.Name == "" || field.Meaning == "" {
			t.Errorf("at byte %d: %+v", at, field)
		}
		at += field.Length
		meanings[field.Layer+" "+field.Name] = field.Meaning
	}
	if at != len(f.Bytes) {
		t.Errorf("%d bytes are told of %d", at, len(f.Bytes))
	}
	for name, want := range map[string]string{
		"Ethernet Type":            "0x0800: IPv4 follows",
		"IPv4 Total length":        "75 bytes, and 14 of Ethernet are 89",
		"IPv4 Time to live":        "64",
		"IPv4 Source":              "10.1.4.4: the client",
		"TCP Destination port":     "21: the control connection",
		"TCP Header length, flags": "32 bytes; PSH, ACK",
		"FTP Port, high byte":      "180 * 256 = 46080",
		"FTP Port, low byte":       "180 * 256 + 117 = 46197",
	} {
		if meanings[name] != want {
			t.Errorf("%s: %q, want %q", name, meanings[name], want)
		}
	}
	for name, want := range map[string]string{
		"TCP Sequence number": "; relative: 84", "TCP Acknowledgement": "; relative: 305", "IPv4 Header checksum": ", correct",
	} {
		if !strings.HasSuffix(meanings[name], want) {
			t.Errorf("%s: %q, want %q at the end", name, meanings[name], want)
		}
	}
}

func TestJSON(t *testing.T) {
	s := told(t)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back story.Story
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, &back, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}
