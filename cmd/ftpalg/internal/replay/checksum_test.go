package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// corrupt makes the TCP checksums of a capture wrong.
func corrupt(packets []packet) {
	for _, p := range packets {
		if _, ok := dissect(p.ip); ok {
			field := p.ip[20+16:]
			binary.BigEndian.PutUint16(field, binary.BigEndian.Uint16(field)+1)
		}
	}
}

// A capture with wrong checksums throughout is an error that says how to read it; then
// it is read like any other.
func TestWrongChecksumsThroughout(t *testing.T) {
	k := active(t)
	_, want := k.replay()
	corrupt(k.packets)
	k.packets = append(k.packets, k.packets[0]) // what is no control connection is no evidence
	s, err := Read(t.Context(), bytes.NewReader(k.file()), quietly)
	if !errors.Is(err, errChecksums) || s.Started != 0 || len(s.Warnings()) != 0 {
		t.Errorf("%v, %v, %q", err, &s, s.Warnings())
	}
	_, s = k.replay(func(c *Config) { c.AnyChecksum = true })
	if s.Used != 1 || s.Used != want.Used || s.Started != want.Started || len(s.Warnings()) != 0 {
		t.Errorf("%v, want %v; %q", &s, &want, s.Warnings())
	}
}

// Where those of one side alone are wrong, a warning says how to read them.
func TestWrongChecksumsOfOneSide(t *testing.T) {
	k := active(t)
	for i, p := range k.packets {
		if seg, ok := dissect(p.ip); ok && seg.src == k.client {
			corrupt(k.packets[i : i+1])
		}
	}
	if events, s := k.replay(); !warned(&s, "--ignore-checksums") || s.Opened != 0 {
		t.Errorf("%q, %v", s.Warnings(), events)
	}
	if _, s := k.replay(func(c *Config) { c.AnyChecksum = true }); s.Used != 1 {
		t.Error(&s)
	}
}

// A capture without control connections has no wrong checksums.
func TestNoControlConnections(t *testing.T) {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:80")
	k.connect()
	k.c("GET / HTTP/1.1")
	corrupt(k.packets)
	if s, err := Read(t.Context(), bytes.NewReader(pcap(little, false, layers.LinkTypeRaw, k.packets)), quietly); err != nil || len(s.Warnings()) > 0 {
		t.Errorf("%v, %q", err, s.Warnings())
	}
}
