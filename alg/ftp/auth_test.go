package ftp_test

import (
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
		{"SITE AUTH\r\n", nil},
		{"AUTX TLS\r\nNOOP\r\n", nil},
		{"NOOP\nAUTH", []int{8}},
		{"", nil},
	} {
		var a ftp.AuthScanner
		var at []int
		for i := range len(tc.stream) {
			if a.Next(tc.stream[i]) {
				at = append(at, i)
			}
		}
		if len(at) != len(tc.at) || len(at) > 0 && (at[0] != tc.at[0] || at[len(at)-1] != tc.at[len(tc.at)-1]) {
			t.Errorf("%.40q: found at %v, want %v", tc.stream, at, tc.at)
		}
	}
}
