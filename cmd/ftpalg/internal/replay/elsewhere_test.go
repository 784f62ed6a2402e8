package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// FTP on a port that is not configured is told, with the port. What resembles it is not.
func TestFTPElsewhere(t *testing.T) {
	const one = "FTP on port 2121, which was not read: 1 connection; add the port to [control] ports"
	for _, c := range []struct {
		name string
		say  func(*talk)
		want []string
	}{
		{"a dialogue", func(k *talk) { k.login() }, []string{one}},
		{"and its end", func(k *talk) { k.login(); k.close() }, []string{one}},
		{"a client that asks for TLS", func(k *talk) { k.connect(); k.s("220 x"); k.c("AUTH TLS") }, []string{one}},
		{"a client that speaks first", func(k *talk) { k.connect(); k.c("feat"); k.s("220 x") }, []string{one}},
		{"a long greeting", func(k *talk) { k.connect(); k.s("220-Welcome", "to this", "220 server"); k.c("USER x") }, []string{one}},
		{"a greeting again", func(k *talk) { k.login(); k.c("REIN"); k.s("220 x"); k.c("USER x") }, []string{one}},
		{"two connections", func(k *talk) { k.login(); k.close(); k.login() }, []string{"FTP on port 2121, which was not read: 2 connections; add the port to [control] ports"}},
		{"SMTP", func(k *talk) { k.connect(); k.s("220 x ESMTP"); k.c("EHLO x"); k.s("250 x"); k.c("AUTH PLAIN") }, nil},
		{"STARTTLS", func(k *talk) { k.c("STARTTLS"); k.s("220 ready"); k.c("\x16\x03\x01") }, nil},
		{"HTTP", func(k *talk) { k.connect(); k.c("GET / HTTP/1.1"); k.s("HTTP/1.1 200 OK"); k.s("220 in the text") }, nil},
		{"POP3", func(k *talk) { k.connect(); k.s("+OK"); k.c("USER x"); k.s("+OK"); k.c("PASS x") }, nil},
		{"one that only greets", func(k *talk) { k.connect(); k.s("220 x"); k.close() }, nil},
		{"no word", func(k *talk) { k.connect(); k.s("220 x"); k.c("USERS") }, nil},
	} {
		k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:2121")
		c.say(k)
		_, s := k.replay()
		if got := s.Warnings(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}

	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:2121").login()
	if _, s := k.replay(func(c *Config) { c.Policy.Ports = []uint16{2121} }); s.Started != 1 || len(s.Warnings()) > 0 {
		t.Errorf("configured: %v, %q", &s, s.Warnings())
	}
}

// However many ports there are, few are named, the busiest first.
func TestFTPOnManyPorts(t *testing.T) {
	var packets []packet
	for i := range 20 {
		for n := range 1 + i/19 {
			k := newTalk(t, fmt.Sprintf("10.1.4.4:%d", 41138+n), fmt.Sprintf("10.2.5.5:%d", 2100+i))
			packets = append(packets, k.login().packets...)
		}
	}
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:2100")
	k.packets = packets
	_, s := k.replay()
	got := s.Warnings()
	if len(got) != mostPorts+1 || !strings.Contains(got[0], "port 2119, which was not read: 2 connections") ||
		!strings.Contains(got[1], "port 2100,") || !strings.HasSuffix(got[mostPorts], "which was not read: 12") {
		t.Errorf("%q", got)
	}
}
