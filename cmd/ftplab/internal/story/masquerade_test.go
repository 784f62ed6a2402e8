package story_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestMasquerade compares both sides: the announcement is another, and each number of what
// follows is off by what its length has changed; nothing else is.
func TestMasquerade(t *testing.T) {
	m := told(t).Masquerade
	if m.Announced != netip.MustParseAddrPort("10.1.4.4:2121") || m.Instead.Addr() != netip.MustParseAddr("10.2.5.1") || m.Instead.Port() == 2121 {
		t.Errorf("%v is announced, and %v instead", m.Announced, m.Instead)
	}
	if m.Client.Addr() != netip.MustParseAddr("10.1.4.4") || m.Outside.Addr() != m.Instead.Addr() {
		t.Errorf("the client's %v is seen as %v", m.Client, m.Outside)
	}
	var sent, received []byte
	for _, p := range m.Parts {
		sent, received = append(sent, p.Client...), append(received, p.Server...)
	}
	growth := m.Growth()
	if string(sent) != "PORT 10,1,4,4,8,73\r\n" || growth != len(received)-len(sent) || growth < 1 {
		t.Errorf("%q became %q: grown by %d", sent, received, growth)
	}
	senders := ""
	for i, k := range m.Packets {
		c, s := k.Client, k.Server
		switch {
		case i == 0:
			s.Text, s.Len = string(sent[:len(sent)-2]), s.Len-growth
		case k.Data:
			if s.Text != "SYN 10.2.5.5:20 -> "+m.Instead.String() {
				t.Errorf("the server asks with %q", s.Text)
			}
			s.Text = "SYN 10.2.5.5:20 -> 10.1.4.4:2121"
		case k.Sender == "client":
			s.Seq -= uint32(growth)
		default:
			s.Ack -= uint32(growth)
		}
		if c != s {
			t.Errorf("packet %d: %+v on the client's side, %+v on the server's", i+1, k.Client, k.Server)
		}
		if word, _, _ := strings.Cut(c.Text, " "); word != "" {
			senders += k.Sender[:1] + ":" + word + " "
		}
	}
	if !strings.HasPrefix(senders, "c:PORT s:200 c:RETR ") || !strings.HasSuffix(senders, "s:226 ") || strings.Count(senders, "s:SYN") != 1 {
		t.Errorf("the packets are %q", senders)
	}
}

// TestMasqueradeCaptures reads the files of both sides: each has one announcement, its own.
func TestMasqueradeCaptures(t *testing.T) {
	m := told(t).Masquerade
	for name, want := range map[string]func(story.Part) []byte{
		"masquerade-client": func(p story.Part) []byte { return p.Client },
		"masquerade-server": func(p story.Part) []byte { return p.Server },
	} {
		var line []byte
		for _, p := range m.Parts {
			line = append(line, want(p)...)
		}
		var announced [][]byte
		for _, c := range lab.Connections(readCapture(t, name)) {
			for _, s := range c.Segments {
				if bytes.HasPrefix(s.Payload, []byte("PORT ")) {
					announced = append(announced, s.Payload)
				}
			}
		}
		if len(announced) != 1 || !bytes.Equal(announced[0], line) {
			t.Errorf("%s: %q, want %q", name, announced, line)
		}
	}
}
