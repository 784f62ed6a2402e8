package ftp_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/quick"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

func TestParseEprt(t *testing.T) {
	for _, tt := range []announcement{
		{"RFC 2428, IPv4", "|1|132.235.1.2|6275|", "132.235.1.2:6275", nil},
		{"RFC 2428, IPv6", "|2|1080::8:800:200C:417A|5282|", "[1080::8:800:200c:417a]:5282", nil},
		{"another delimiter", "!1!10.0.0.1!1025!", "10.0.0.1:1025", nil},
		{"first delimiter of the range", "\x211\x2110.0.0.1\x211025\x21", "10.0.0.1:1025", nil},
		{"last delimiter of the range", "~1~10.0.0.1~1025~", "10.0.0.1:1025", nil},
		{"letter as delimiter", "z2z::1z1025z", "[::1]:1025", nil},
		{"largest port", "|1|10.0.0.1|65535|", "10.0.0.1:65535", nil},
		{"smallest port", "|1|10.0.0.1|1|", "10.0.0.1:1", nil},
		{"low port is the policy's affair", "|1|10.0.0.1|22|", "10.0.0.1:22", nil},
		{"link-local address", "|2|fe80::1|1025|", "[fe80::1]:1025", nil},
		{"dotted end of an IPv6 address", "|2|64:ff9b::10.0.0.1|1025|", "[64:ff9b::a00:1]:1025", nil},
		{"IPv4-compatible address", "|2|::10.0.0.1|1025|", "[::a00:1]:1025", nil},

		{"nothing", "", "", ftp.ErrForm},
		{"one delimiter", "|", "", ftp.ErrForm},
		{"delimiters alone", "||||", "", ftp.ErrForm},
		{"no last delimiter", "|1|10.0.0.1|1025", "", ftp.ErrForm},
		{"text after", "|1|10.0.0.1|1025|x", "", ftp.ErrForm},
		{"CR after", "|1|10.0.0.1|1025|\r", "", ftp.ErrForm},
		{"another field", "|1|10.0.0.1|1025|1|", "", ftp.ErrForm},
		{"space before", " |1|10.0.0.1|1025|", "", ftp.ErrForm},
		{"space as delimiter", " 1 10.0.0.1 1025 ", "", ftp.ErrForm},
		{"control character as delimiter", "\x011\x0110.0.0.1\x011025\x01", "", ftp.ErrForm},
		{"DEL as delimiter", "\x7f1\x7f10.0.0.1\x7f1025\x7f", "", ftp.ErrForm},
		{"8-bit delimiter", "\xff1\xff10.0.0.1\xff1025\xff", "", ftp.ErrForm},
		{"digit as delimiter", "71710.0.0.1710257", "", ftp.ErrForm},
		{"delimiter that the address contains", ".1.10.0.0.1.1025.", "", ftp.ErrForm},
		{"two delimiters", "|1!10.0.0.1!1025|", "", ftp.ErrForm},
		{"form of PORT", "10,0,0,1,4,1", "", ftp.ErrForm},

		{"no family", "||10.0.0.1|1025|", "", ftp.ErrFamily},
		{"family 0", "|0|10.0.0.1|1025|", "", ftp.ErrFamily},
		{"family 3", "|3|10.0.0.1|1025|", "", ftp.ErrFamily},
		{"family with a leading zero", "|01|10.0.0.1|1025|", "", ftp.ErrFamily},
		{"family with a space", "| 1|10.0.0.1|1025|", "", ftp.ErrFamily},

		{"IPv6 address of family 1", "|1|::1|1025|", "", ftp.ErrAddress},
		{"IPv4 address of family 2", "|2|10.0.0.1|1025|", "", ftp.ErrAddress},
		{"no address", "|1||1025|", "", ftp.ErrAddress},
		{"no IPv6 address", "|2||1025|", "", ftp.ErrAddress},
		{"number above 255 in the address", "|1|10.0.0.256|1025|", "", ftp.ErrAddress},
		{"leading zero in the address", "|1|010.0.0.1|1025|", "", ftp.ErrAddress},
		{"three numbers", "|1|10.0.1|1025|", "", ftp.ErrAddress},
		{"five numbers", "|1|10.0.0.0.1|1025|", "", ftp.ErrAddress},
		{"comma in the address", "|1|10,0,0,1|1025|", "", ftp.ErrAddress},
		{"host name", "|1|localhost|1025|", "", ftp.ErrAddress},
		{"space in the address", "|1|10.0.0.1 |1025|", "", ftp.ErrAddress},
		{"zone", "|2|fe80::1%eth0|1025|", "", ftp.ErrAddress},
		{"brackets", "|2|[::1]|1025|", "", ftp.ErrAddress},
		{"two gaps", "|2|1::2::3|1025|", "", ftp.ErrAddress},
		{"five hexadecimal digits", "|2|::10000|1025|", "", ftp.ErrAddress},
		{"nine groups", "|2|1:2:3:4:5:6:7:8:9|1025|", "", ftp.ErrAddress},
		{"seven groups", "|2|1:2:3:4:5:6:7|1025|", "", ftp.ErrAddress},
		{"prefix length", "|2|2001:db8::/32|1025|", "", ftp.ErrAddress},
		{"IPv4-mapped, dotted", "|2|::ffff:10.0.0.1|1025|", "", ftp.ErrMapped},
		{"IPv4-mapped, hexadecimal", "|2|::FFFF:a00:1|1025|", "", ftp.ErrMapped},

		{"port above 65535", "|1|10.0.0.1|65558|", "", ftp.ErrPort},
		{"port of 65536", "|1|10.0.0.1|65536|", "", ftp.ErrPort},
		{"port that wraps at 64 bits", "|1|10.0.0.1|18446744073709552641|", "", ftp.ErrPort},
		{"port of 100 kB", "|1|10.0.0.1|1" + strings.Repeat("0", 100000) + "|", "", ftp.ErrPort},
		{"port 0", "|1|10.0.0.1|0|", "", ftp.ErrPortZero},
		{"no port", "|1|10.0.0.1||", "", ftp.ErrForm},
		{"leading zero in the port", "|1|10.0.0.1|01025|", "", ftp.ErrForm},
		{"port 00", "|1|10.0.0.1|00|", "", ftp.ErrForm},
		{"plus sign before the port", "|1|10.0.0.1|+1025|", "", ftp.ErrForm},
		{"minus sign before the port", "|1|10.0.0.1|-1|", "", ftp.ErrForm},
		{"space before the port", "|1|10.0.0.1| 1025|", "", ftp.ErrForm},
		{"NUL after the port", "|1|10.0.0.1|1025\x00|", "", ftp.ErrForm},
		{"hexadecimal port", "|1|10.0.0.1|0x401|", "", ftp.ErrForm},
	} {
		tt.check(t, ftp.ParseEprt)
	}
}

// The address is read as net/netip reads it, but for zones and mapped addresses.
func TestEprtAddress(t *testing.T) {
	for _, addr := range []string{
		"", ":", "::", ":::", "::1", "1::", "::1::", ":1", "1:", "1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:",
		"1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:", ":2:3:4:5:6:7:8", "00001::", "0001::", "abcd::ABCD", "g::", "::g",
		"1.2.3.4", "::1.2.3.4", "1::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
		"1:2:3:4:5:1.2.3.4", "1:2:3:4:5::1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "::1.2.3.4:5", "1.2.3.4::", "::1.2.3",
		"::1.2.3.256", "::01.2.3.4", "::a.2.3.4", "::1.2.3.4.", "::1..3.4", "fe80::1%eth0", "1:2:3:4:5:6:7:%",
	} {
		want, wantErr := netip.ParseAddr(addr)
		if want.Is4() || want.Zone() != "" {
			wantErr = ftp.ErrAddress
		}
		ap, err := ftp.ParseEprt([]byte("|2|" + addr + "|1025|"))
		if (err == nil) != (wantErr == nil) || err == nil && ap.Addr() != want {
			t.Errorf("%q: got %v, %v; want %v, %v", addr, ap, err, want, wantErr)
		}
	}
}

func TestParseEpsv(t *testing.T) {
	tests := []struct {
		name string
		text string
		want uint16
		err  error
	}{
		{"RFC 2428", "Entering Extended Passive Mode (|||6446|)", 6446, nil},
		{"vsftpd", "Entering Extended Passive Mode (|||50000|)", 50000, nil},
		{"ProFTPD", "Entering Extended Passive Mode (|||50000|)", 50000, nil},
		{"Pure-FTPd", "Extended Passive mode OK (|||50000|)", 50000, nil},
		{"pyftpdlib", "Entering extended passive mode (|||50000|).", 50000, nil},
		{"Serv-U", "Entering Extended Passive Mode (|||50006|).", 50006, nil},
		{"z/OS and IBM i", "Entering Extended Passive Mode (!!!46934!).", 46934, nil},
		{"group alone", "(|||1025|)", 1025, nil},
		{"largest port", "(|||65535|)", 65535, nil},
		{"low port is the policy's affair", "(|||22|)", 22, nil},
		{"parenthesis as delimiter", "((((1025()", 1025, nil},
		{"closing parenthesis in the text before", "a) b (|||1025|)", 1025, nil},
		{"numbers in the text", "mode 2: 1,2,3,4,5,6 (|||1025|) 7", 1025, nil},

		{"nothing", "", 0, ftp.ErrEpsvForm},
		{"text alone", "Entering Extended Passive Mode", 0, ftp.ErrEpsvForm},
		{"no parentheses", "Entering Extended Passive Mode |||6446|", 0, ftp.ErrEpsvForm},
		{"not closed", "(|||6446|", 0, ftp.ErrEpsvForm},
		{"not open", "|||6446|)", 0, ftp.ErrEpsvForm},
		{"BulletProof FTP Server: a delimiter less", "Entering Extended Passive Mode (||6446|)", 0, ftp.ErrEpsvForm},
		{"a delimiter more", "(||||6446|)", 0, ftp.ErrEpsvForm},
		{"no last delimiter", "(|||6446)", 0, ftp.ErrEpsvForm},
		{"two delimiters", "(|!|6446|)", 0, ftp.ErrEpsvForm},
		{"another last delimiter", "(|||6446!)", 0, ftp.ErrEpsvForm},
		{"space before the group", "( |||6446|)", 0, ftp.ErrEpsvForm},
		{"space after the group", "(|||6446| )", 0, ftp.ErrEpsvForm},
		{"space before the port", "(||| 6446|)", 0, ftp.ErrEpsvForm},
		{"digit as delimiter", "(11122221)", 0, ftp.ErrEpsvForm},
		{"plus sign", "(|||+6446|)", 0, ftp.ErrEpsvForm},
		{"minus sign", "(|||-1|)", 0, ftp.ErrEpsvForm},
		{"leading zero", "(|||06446|)", 0, ftp.ErrEpsvForm},
		{"no port", "(||||)", 0, ftp.ErrEpsvForm},
		{"NUL in the port", "(|||6446\x00|)", 0, ftp.ErrEpsvForm},
		{"bare CR in the port", "(|||64\r46|)", 0, ftp.ErrEpsvForm},
		{"numbers of 227", "Entering Passive Mode (10,0,0,1,4,1)", 0, ftp.ErrEpsvForm},
		{"another group first", "ok (really) (|||6446|)", 0, ftp.ErrEpsvForm},
		{"family and address", "(|1|10.0.0.1|6446|)", 0, ftp.ErrEpsvAddress},
		{"family alone", "(|1||6446|)", 0, ftp.ErrEpsvAddress},
		{"address alone", "(||10.0.0.1|6446|)", 0, ftp.ErrEpsvAddress},
		{"two groups", "(|||6446|) (|||22|)", 0, ftp.ErrAmbiguous},
		{"the same group twice", "(|||6446|) (|||6446|)", 0, ftp.ErrAmbiguous},
		{"a group with other text", "(|||6446|) (ok)", 0, ftp.ErrAmbiguous},
		{"port 0", "(|||0|)", 0, ftp.ErrPortZero},
		{"port above 65535", "(|||65558|)", 0, ftp.ErrPort},
		{"port that wraps at 64 bits", "(|||18446744073709552641|)", 0, ftp.ErrPort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			port, err := ftp.ParseEpsv([]byte(tt.text))
			if port != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%q: got %d, %v; want %d, %v", tt.text, port, err, tt.want, tt.err)
			}
		})
	}
}

func TestParseEpsvArg(t *testing.T) {
	for arg, want := range map[string]ftp.EpsvArg{
		"": ftp.EpsvAny, "1": ftp.EpsvIPv4, "2": ftp.EpsvIPv6, "ALL": ftp.EpsvAll, "aLl": ftp.EpsvAll,
	} {
		if got, err := ftp.ParseEpsvArg([]byte(arg)); got != want || err != nil {
			t.Errorf("%q: got %v, %v", arg, got, err)
		}
	}
	for _, arg := range []string{" ", "0", "3", "01", "12", "1 ", " 1", "AL", "ALLO", "ALL ", "\x00", "-1", "\u017fALL"} {
		if got, err := ftp.ParseEpsvArg([]byte(arg)); got != ftp.EpsvAny || !errors.Is(err, ftp.ErrEpsvArg) {
			t.Errorf("%q: got %v, %v", arg, got, err)
		}
	}
}

func TestEprtRoundTrip(t *testing.T) {
	if err := quick.Check(func(v4 [4]byte, v6 [16]byte, delim byte, port uint16) bool {
		port = max(port, 1)
		for _, addr := range []netip.Addr{netip.AddrFrom4(v4), netip.AddrFrom16(v6).Unmap()} {
			ap := netip.AddrPortFrom(addr, port)
			if got, err := ftp.ParseEprt(ftp.AppendEprt(nil, delim, ap)); err != nil || got != ap {
				return false
			}
		}
		got, err := ftp.ParseEpsv(ftp.AppendEpsv([]byte("Entering Extended Passive Mode "), port))
		return err == nil && got == port
	}, &quick.Config{MaxCount: 10000}); err != nil {
		t.Error(err)
	}
}

func TestAppendEprt(t *testing.T) {
	for _, tt := range []struct {
		addr  string
		delim byte
		want  string
	}{
		{"10.0.0.1", '|', "x|1|10.0.0.1|1025|"},
		{"10.0.0.1", '!', "x!1!10.0.0.1!1025!"},
		{"2001:DB8::1", '|', "x|2|2001:db8::1|1025|"},
		{"::ffff:10.0.0.1", '|', "x|1|10.0.0.1|1025|"},
		{"fe80::1%eth0", '|', "x|2|fe80::1|1025|"},
		{"", '|', "x"},
		{"10.0.0.1", '.', "x|1|10.0.0.1|1025|"},
		{"2001:db8::1", ':', "x|2|2001:db8::1|1025|"},
		{"2001:db8::1", 'D', "x|2|2001:db8::1|1025|"},
		{"10.0.0.1", '1', "x|1|10.0.0.1|1025|"},
		{"10.0.0.1", ' ', "x|1|10.0.0.1|1025|"},
		{"10.0.0.1", 0, "x|1|10.0.0.1|1025|"},
		{"10.0.0.1", 127, "x|1|10.0.0.1|1025|"},
	} {
		addr, _ := netip.ParseAddr(tt.addr)
		if got := string(ftp.AppendEprt([]byte("x"), tt.delim, netip.AddrPortFrom(addr, 1025))); got != tt.want {
			t.Errorf("%q with %q: got %q, want %q", tt.addr, tt.delim, got, tt.want)
		}
	}
}
