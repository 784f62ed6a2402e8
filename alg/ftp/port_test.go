package ftp_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/quick"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

type announcement struct {
	name string
	text string
	want string // an AddrPort; "" with err
	err  error
}

func (a announcement) check(t *testing.T, parse func([]byte) (netip.AddrPort, error)) {
	t.Run(a.name, func(t *testing.T) {
		var want netip.AddrPort
		if a.err == nil {
			want = netip.MustParseAddrPort(a.want)
		}
		ap, err := parse([]byte(a.text))
		if ap != want || !errors.Is(err, a.err) {
			t.Errorf("%q: got %v, %v; want %q, %v", a.text, ap, err, a.want, a.err)
		}
	})
}

// sixTests are the rules that PORT and 227 have in common.
var sixTests = []announcement{
	{"reference dialogue, download", "10,1,4,4,180,117", "10.1.4.4:46197", nil},
	{"reference dialogue, listing", "10,1,4,4,128,195", "10.1.4.4:32963", nil},
	{"reference dialogue, upload", "10,1,4,4,174,123", "10.1.4.4:44667", nil},
	{"every number 255", "255,255,255,255,255,255", "255.255.255.255:65535", nil},
	{"address 0", "0,0,0,0,4,1", "0.0.0.0:1025", nil},
	{"smallest port", "10,0,0,1,0,1", "10.0.0.1:1", nil},
	{"high byte alone", "10,0,0,1,1,0", "10.0.0.1:256", nil},
	{"low port is the policy's affair", "10,0,0,1,0,22", "10.0.0.1:22", nil},
	{"another host is the policy's affair", "8,8,8,8,200,1", "8.8.8.8:51201", nil},
	{"leading zeros are decimal", "010,001,004,004,004,010", "10.1.4.4:1034", nil},

	{"port 0", "10,0,0,1,0,0", "", ftp.ErrPortZero},
	{"high byte of the port above 255", "10,0,0,1,456,1", "", ftp.ErrNumber},
	{"low byte of the port above 255", "10,0,0,1,4,256", "", ftp.ErrNumber},
	{"address above 255", "266,0,0,1,4,1", "", ftp.ErrNumber},
	{"address of 256", "10,0,0,256,4,1", "", ftp.ErrNumber},
	{"number that wraps at 32 bits", "4294967306,0,0,1,4,1", "", ftp.ErrNumber},
	{"number that wraps at 64 bits", "18446744073709551626,0,0,1,4,1", "", ftp.ErrNumber},
	{"number of 100 kB", strings.Repeat("9", 100000) + ",0,0,1,4,1", "", ftp.ErrNumber},
	{"four digits", "0010,0,0,1,4,1", "", ftp.ErrNotSix},
	{"missing number", "10,0,0,1,,1", "", ftp.ErrNotSix},
	{"missing first number", ",0,0,1,4,1", "", ftp.ErrNotSix},
	{"missing last number", "10,0,0,1,4,", "", ftp.ErrNotSix},
	{"five numbers", "10,0,0,1,4", "", ftp.ErrNotSix},
	{"seven numbers", "10,0,0,1,4,1,5", "", ftp.ErrNotSix},
	{"comma at the end", "10,0,0,1,4,1,", "", ftp.ErrNotSix},
	{"nothing", "", "", ftp.ErrNotSix},
	{"commas", ",,,,,", "", ftp.ErrNotSix},
	{"one number", "10", "", ftp.ErrNotSix},
	{"minus sign", "-10,0,0,1,4,1", "", ftp.ErrNotSix},
	{"plus sign", "+10,0,0,1,4,1", "", ftp.ErrNotSix},
	{"sign inside", "10,0,0,1,4,+1", "", ftp.ErrNotSix},
	{"hexadecimal", "0x0a,0,0,1,4,1", "", ftp.ErrNotSix},
	{"letters after", "10,0,0,1,4,1x", "", ftp.ErrNotSix},
	{"letters before", "x10,0,0,1,4,1", "", ftp.ErrNotSix},
	{"space after a comma", "10,0,0,1,4, 1", "", ftp.ErrNotSix},
	{"space before a comma", "10,0,0,1,4 ,1", "", ftp.ErrNotSix},
	{"dots", "10.0.0.1.4.1", "", ftp.ErrNotSix},
	{"dots and commas", "10.0.0.1,4,1", "", ftp.ErrNotSix},
	{"NUL after", "10,0,0,1,4,1\x00", "", ftp.ErrNotSix},
	{"NUL inside", "10,0,0,1,4\x00,1", "", ftp.ErrNotSix},
	{"bare CR after", "10,0,0,1,4,1\r", "", ftp.ErrNotSix},
	{"bare CR inside", "10,0,0,1,\r4,1", "", ftp.ErrNotSix},
	{"a second line after a bare CR", "10,0,0,1,4,1\rPORT 10,0,0,1,0,22", "", ftp.ErrNotSix},
	{"digits of another script", "\xd9\xa1,0,0,1,4,1", "", ftp.ErrNotSix},
}

func TestParsePort(t *testing.T) {
	for _, tt := range sixTests {
		tt.check(t, ftp.ParsePort)
	}
	for _, tt := range []announcement{
		{"space before", " 10,0,0,1,4,1", "", ftp.ErrNotSix},
		{"space after", "10,0,0,1,4,1 ", "", ftp.ErrNotSix},
		{"parentheses", "(10,0,0,1,4,1)", "", ftp.ErrNotSix},
		{"text after", "10,0,0,1,4,1 hello", "", ftp.ErrNotSix},
	} {
		tt.check(t, ftp.ParsePort)
	}
}

func TestParsePasv(t *testing.T) {
	for _, tt := range sixTests {
		tt.check(t, ftp.ParsePasv)
		for _, around := range [][2]string{
			{"Entering Passive Mode (", ")."},
			{"Entering Passive Mode (", ")"},
			{"=", ""},
			{"", " is where to connect"},
		} {
			tt := tt
			tt.text = around[0] + tt.text + around[1]
			tt.check(t, ftp.ParsePasv)
		}
	}
}

func TestParsePasvText(t *testing.T) {
	for _, tt := range []announcement{
		{"vsftpd", "Entering Passive Mode (10,2,5,5,195,80).", "10.2.5.5:50000", nil},
		{"ProFTPD", "Entering Passive Mode (10,2,5,5,195,80).", "10.2.5.5:50000", nil},
		{"Pure-FTPd", "Entering Passive Mode (10,2,5,5,195,80)", "10.2.5.5:50000", nil},
		{"FileZilla Server", "Entering Passive Mode (10,2,5,5,195,80)", "10.2.5.5:50000", nil},
		{"IIS", "Entering Passive Mode (10,2,5,5,195,80).", "10.2.5.5:50000", nil},
		{"WU-FTPD", "Entering Passive Mode (10,2,5,5,195,80)", "10.2.5.5:50000", nil},
		{"pyftpdlib", "Entering passive mode (10,2,5,5,195,80).", "10.2.5.5:50000", nil},
		{"aioftp, last line of two", "(127,0,0,1,154,21)", "127.0.0.1:39445", nil},
		{"publicfile", "=10,2,5,5,195,80", "10.2.5.5:50000", nil},
		{"sys-ftpd", "192,168,178,39,184,244", "192.168.178.39:47348", nil},
		{"no parentheses", "Entering Passive Mode 10,2,5,5,195,80", "10.2.5.5:50000", nil},
		{"no parentheses, full stop after", "Entering Passive Mode 10,2,5,5,195,80.", "10.2.5.5:50000", nil},
		{"full stop before", "Entering passive mode. 127,0,0,1,4,51", "127.0.0.1:1075", nil},
		{"another text", "Data transfer will passively listen to 127,0,0,1,4,51", "127.0.0.1:1075", nil},
		{"no space before the parenthesis", "Entering Passive Mode(10,2,5,5,195,80)", "10.2.5.5:50000", nil},
		{"spaces inside the parentheses", "ok ( 10,2,5,5,195,80 )", "10.2.5.5:50000", nil},
		{"comma in the text", "Well, here (10,2,5,5,195,80), client", "10.2.5.5:50000", nil},
		{"number in the text before", "IPv4 mode 2 (10,2,5,5,195,80)", "10.2.5.5:50000", nil},
		{"number in the text after", "ok (10,2,5,5,195,80) for 30 s", "10.2.5.5:50000", nil},

		{"two addresses", "(10,2,5,5,195,80) (10,2,5,5,0,22)", "", ftp.ErrAmbiguous},
		{"the same address twice", "(10,2,5,5,195,80) (10,2,5,5,195,80)", "", ftp.ErrAmbiguous},
		{"half an address after", "(10,2,5,5,195,80) (10,2)", "", ftp.ErrAmbiguous},
		{"half an address before", "(10,2) (10,2,5,5,195,80)", "", ftp.ErrNotSix},
		{"a large number after", "(10,2,5,5,195,80), 10,000 users", "", ftp.ErrAmbiguous},
		{"a number and a comma before", "user 7, (10,2,5,5,195,80)", "", ftp.ErrNotSix},
		{"an address that scanf reads further left", "9, 10,2,5,5,195,80", "", ftp.ErrNotSix},
		{"spaces after all commas", "(10, 2, 5, 5, 195, 80)", "", ftp.ErrNotSix},
		{"sign before", "-10,2,5,5,195,80", "", ftp.ErrNotSix},
		{"dotted number before", "1.10,2,5,5,195,80", "", ftp.ErrNotSix},
		{"comma before", ",10,2,5,5,195,80", "", ftp.ErrNotSix},
		{"colon before", "here:10,2,5,5,195,80", "", ftp.ErrNotSix},
		{"letter after", "10,2,5,5,195,80x", "", ftp.ErrNotSix},
		{"no numbers", "Entering Passive Mode", "", ftp.ErrNotSix},
		{"form of 229", "Entering Extended Passive Mode (|||50000|)", "", ftp.ErrNotSix},
		{"form of 228", "Entering Long Passive Mode (4,4,10,2,5,5,2,195,80)", "", ftp.ErrNotSix},
	} {
		tt.check(t, ftp.ParsePasv)
	}
}

func TestPortRoundTrip(t *testing.T) {
	if err := quick.Check(func(a [4]byte, port uint16) bool {
		port = max(port, 1)
		ap := netip.AddrPortFrom(netip.AddrFrom4(a), port)
		p, err := ftp.ParsePort(ftp.AppendPort(nil, ap))
		q, err2 := ftp.ParsePasv(ftp.AppendPasv([]byte("Entering Passive Mode "), ap))
		return err == nil && err2 == nil && p == ap && q == ap
	}, nil); err != nil {
		t.Error(err)
	}
}

func TestAppendPort(t *testing.T) {
	for _, tt := range []struct{ ap, port, pasv string }{
		{"10.1.4.4:46197", "x10,1,4,4,180,117", "x(10,1,4,4,180,117)"},
		{"[::ffff:10.1.4.4]:46197", "x10,1,4,4,180,117", "x(10,1,4,4,180,117)"},
		{"[2001:db8::1]:46197", "x", "x"},
		{"", "x", "x"},
	} {
		ap, _ := netip.ParseAddrPort(tt.ap)
		if got := string(ftp.AppendPort([]byte("x"), ap)); got != tt.port {
			t.Errorf("AppendPort(%v) = %q", ap, got)
		}
		if got := string(ftp.AppendPasv([]byte("x"), ap)); got != tt.pasv {
			t.Errorf("AppendPasv(%v) = %q", ap, got)
		}
	}
}
