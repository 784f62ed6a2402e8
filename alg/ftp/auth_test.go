package ftp

import "testing"

func TestAuthAt(t *testing.T) {
	for _, tc := range []struct {
		line string
		at   int // -1: not found
	}{
		{"AUTH TLS", 3},
		{"auth", 3},
		{"AuTh SSL", 3},
		{"AUTHX", 3}, // decided at the H, whatever follows: no split of the line may matter
		{"\xff\xf4\xff\xf2AUTH TLS", 7},
		{"AUT", -1},
		{"", -1},
		{" AUTH TLS", -1},
		{"SITE AUTH", -1},
		{"AUTX TLS", -1},
	} {
		at, ok := AuthAt([]byte(tc.line))
		if want := max(tc.at, 0); ok != (tc.at >= 0) || at != want {
			t.Errorf("%q: %d, %v", tc.line, at, ok)
		}
	}
}
