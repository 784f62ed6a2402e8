package ftp_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

func TestAuthScanner(t *testing.T) {
	for _, tc := range []struct {
		stream string
		at     []int
	}{
		{"AUTH TLS\r\n", []int{3}},
		{"auth ssl\nAuTh x\n", []int{3, 12}},
		{"AUTHX", []int{3}}, // decided at the H, whatever follows: no split of the line may matter
		{"\xff\xf4\xff\xf2AUTH TLS", []int{7}},
		{"\xf2AUTH", []int{4}},
		{"A\xff\xfb\x01UT\xff\xf1H", []int{8}}, // servers take these out
		{"\x00A\x00U\x00T\x00H", []int{7}},
		{" \t AUTH", []int{6}},
		{strings.Repeat("\xff\xf1", 3000) + "AUTH", []int{6003}},
		{"NOOP\x00AUTH", []int{8}},
		{"AUT\n\rH", nil},
		{"AU\xff\xfb\nTH TLS\r\nAUTH", []int{6, 16}},
		{"NOOP\rAUTH", []int{8}},
		{"SITE AUTH\r\n", nil},
		{"AUTX TLS\r\nNOOP\r\n", nil},
		{"NOOP\nAUTH", []int{8}},
		{"", nil},
	} {
		if at := findAuth([]byte(tc.stream)); !slices.Equal(at, tc.at) {
			t.Errorf("%.40q: found at %v, want %v", tc.stream, at, tc.at)
		}
	}
}

// findAuth returns the places of the bytes at which a scanner says so.
func findAuth(stream []byte) (at []int) {
	var a ftp.AuthScanner
	for i, b := range stream {
		if a.Next(b) {
			at = append(at, i)
		}
	}
	return at
}

// What servers leave out of a line, and AUTH with that between its letters.
const (
	leftOut  = `(?:\x00|\r|\xff[\xfb-\xfe].|\xff[^\xfb-\xfe])*`
	anyAuth  = `[aA]` + leftOut + `[uU]` + leftOut + `[tT]` + leftOut + `[hH]`
	mayBegin = `(?:[ \t\r\v\f]|\xf2|\x00|\xff[\xfb-\xfe].|\xff[^\xfb-\xfe])*`
)

var (
	surelyAuth = regexp.MustCompile(`(?s)^` + mayBegin + anyAuth)
	maybeAuth  = regexp.MustCompile(`(?s)(?:^|\x00|\r)` + mayBegin + anyAuth)
)

// A line that begins with AUTH, with what servers leave out, is found and no other is; and
// when the byte is changed that it says, there is no AUTH any more, where a line feed is the
// option of a Telnet command either.
func FuzzAuthScanner(f *testing.F) {
	for _, seed := range []string{
		"AUTH TLS\r\n", "\xff\xf4\xff\xf2auth", "A\xff\xfb\x01UT\xff\xf1H", "NOOP\x00AUTH", " \t\xf2AUTH", "AUT\nH", "A\x00AUTH",
		"AU\xff\xfb\nTH", "NOOP\rAUTH", "A\rUTH",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for line := range bytes.SplitSeq(stream, []byte("\n")) {
			at := findAuth(line)
			text := latin1(line)
			if len(at) == 0 && surelyAuth.MatchString(text) || len(at) > 0 && !maybeAuth.MatchString(text) {
				t.Fatalf("%q: found at %v", line, at)
			}
		}
		at := findAuth(stream)
		if len(at) == 0 && surelyAuth.MatchString(latin1(stream)) {
			t.Fatalf("%q: not found", stream)
		}
		for _, i := range at {
			if stream[i]|0x20 != 'h' {
				t.Fatalf("%q: found at %d", stream, i)
			}
		}
		changed := bytes.Clone(stream)
		for _, i := range at {
			changed[i] = 'X'
		}
		if at := findAuth(changed); at != nil {
			t.Fatalf("%q: still found in %q, at %v", stream, changed, at)
		}
	})
}
