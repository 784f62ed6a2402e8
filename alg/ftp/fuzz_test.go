package ftp_test

import (
	"bytes"
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		"PORT 10,1,4,4,180,117\r", "PASV", "\xff\xf4\xff\xf2ABOR", "\xf2ABOR", "RETR a HTTP/1.1", "GET / HTTP/1.1",
		"XSHA256 f", "XYZZY", "SITE PORT 10,0,0,1,4,1", "SSH-2.0-x", "Host: x", "", "\xff\xfd\x06NOOP", "RETR \x00\r",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		cmd, err := ftp.ParseCommand(line)
		m := commandOracle.FindStringSubmatch(latin1(line))
		if err != nil {
			if cmd.Verb != ftp.Other || cmd.Arg != nil || m != nil {
				t.Fatalf("%q: %v, with the value %v", line, err, cmd)
			}
			return
		}
		if m == nil || m[3] != latin1(cmd.Arg) || cmd.Verb != ftp.Other && cmd.Verb.String() != strings.ToUpper(m[1]) {
			t.Fatalf("%q: read as %v", line, cmd)
		}
		ftp.Announces(cmd.Arg)
		// The meaning survives a change of case, a Telnet command and a CR.
		again := []byte("\xff\xf4\xff\xf2" + strings.ToLower(m[1]))
		if m[2] != "" {
			again = append(append(again, ' '), cmd.Arg...)
		}
		cmd2, err := ftp.ParseCommand(append(again, '\r'))
		if err != nil || cmd2.Verb != cmd.Verb || !bytes.Equal(cmd2.Arg, cmd.Arg) {
			t.Fatalf("%q is %v, and %q is %v (%v)", line, cmd, again, cmd2, err)
		}
	})
}

// commandOracle is the shape of a command line said another way: Telnet commands,
// the verb, and the argument.
var commandOracle = regexp.MustCompile(`(?s)^(?:\xff[\xf0-\xf9\xff]|\xff[\xfb-\xfe].|\xf2)*` +
	`([A-Za-z][A-Za-z0-9]{2,11})( (.*?))?\r?$`)

// latin1 makes each byte one character, as package regexp wants it.
func latin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"220 (vsFTPd 3.0.3)\r\n", "211-Features:\r\n EPRT\r\n211 End\r\n", "226-a\r\n226\r\n226 \r\n",
		"227-x\r\n227 (10,0,0,1,4,1)\r\n", "hello\r\n", "120 a\r\n220 b\r\n", "600 x\r\n099 y\r\n200\r\n",
		"211-a\r\n227 x (10,0,0,1,4,1)\r\n212 b\r\n211-c\r\n211 d\r\n200\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var replies ftp.Replies
		open := 0 // the code of the multi-line reply, told from the text alone
		for line := range bytes.SplitSeq(stream, []byte("\r\n")) {
			skipping, before := replies, replies
			r, done, err := replies.Line(line)
			m := replyOracle.FindStringSubmatch(latin1(line))
			switch {
			case open != 0: // all is text but the code with a space
				if ends := m != nil && m[1] == strconv.Itoa(open) && m[2] == " "; done != ends || err != nil {
					t.Fatalf("%q: %d is open, and then %v, %v", line, open, done, err)
				}
			case m == nil:
				if done || !errors.Is(err, ftp.ErrNotReply) || replies != before {
					t.Fatalf("%q: taken for a reply: %v, %v", line, done, err)
				}
			case done != (m[2] != "-") || (err != nil) != (m[2] == ""):
				t.Fatalf("%q: %v, %v", line, done, err)
			}
			if done {
				if m == nil || strconv.Itoa(r.Code) != m[1] || latin1(r.Text) != m[3] {
					t.Fatalf("%q: not the reply %d %q", line, r.Code, r.Text)
				}
				open = 0
			} else if m != nil && open == 0 {
				open, _ = strconv.Atoi(m[1])
			}
			if replies.Open() != open {
				t.Fatalf("%q: %d is open, not %d", line, replies.Open(), open)
			}
			if again, ok := ftp.InReply(open); !ok || again != replies {
				t.Fatalf("%q: taken up again it is %v", line, again)
			}
			// A line of which only the start was kept has the same effect.
			if len(line) < 4 {
				continue
			}
			s, sdone, serr := skipping.Skip(line[:4])
			if s.Code != r.Code || sdone != done || s.Text != nil || (serr == nil) != (err == nil) || skipping != replies {
				t.Fatalf("%q: %v %v %v, skipped %v %v %v", line, r, done, err, s, sdone, serr)
			}
		}
	})
}

// replyOracle is the shape of a reply line said another way: the code, a space, a hyphen
// or nothing, and the text.
var replyOracle = regexp.MustCompile(`(?s)^([1-5][0-9]{2})(?:([ -])(.*))?$`)

// sixOracle is the rule of PORT said another way.
var sixOracle = regexp.MustCompile(`^(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})$`)

func FuzzPort(f *testing.F) {
	for _, tt := range sixTests {
		if len(tt.text) < 100 {
			f.Add([]byte(tt.text))
		}
	}
	f.Fuzz(func(t *testing.T, arg []byte) {
		ap, err := ftp.ParsePort(arg)
		valid := false
		if m := sixOracle.FindSubmatch(arg); m != nil && !bytes.HasSuffix(arg, []byte("\n")) {
			valid = true
			for _, n := range m[1:] {
				v, _ := strconv.Atoi(string(n))
				valid = valid && v <= 255
			}
			valid = valid && strings.Trim(string(m[5])+string(m[6]), "0") != ""
		}
		if valid != (err == nil) {
			t.Fatalf("%q: %v, %v", arg, ap, err)
		}
		sane(t, ap, err)
		if err == nil {
			if again, err := ftp.ParsePort(ftp.AppendPort(nil, ap)); err != nil || again != ap {
				t.Fatalf("%v becomes %v, %v", ap, again, err)
			}
		}
	})
}

// The ways in which clients find the address: the first six numbers with commas
// (curl, ftplib), the last, those in parentheses, and those of scanf, which skips
// white space and reads signs.
var pasvClients = []*regexp.Regexp{
	regexp.MustCompile(`(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)`),
	regexp.MustCompile(`(?s).*\b(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)`),
	regexp.MustCompile(`\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)`),
	regexp.MustCompile(`([+-]?\d+),\s*([+-]?\d+),\s*([+-]?\d+),\s*([+-]?\d+),\s*([+-]?\d+),\s*([+-]?\d+)`),
}

func FuzzPasv(f *testing.F) {
	for _, seed := range []string{
		"Entering Passive Mode (10,2,5,5,195,80).", "=10,2,5,5,195,80", "10,2,5,5,195,80", "ok 10,2,5,5,195,80.",
		"(10,2,5,5,195,80) (10,2,5,5,0,22)", "9, 10,2,5,5,195,80", "-10,2,5,5,195,80", "1.10,2,5,5,195,80",
		"(10,2) (10,2,5,5,195,80)", "(10, 2, 5, 5, 195, 80)", "(10,2,5,5,0,0)", "(10,2,5,5,456,1)", "x\x00(10,2,5,5,195,80",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ap, err := ftp.ParsePasv(text)
		sane(t, ap, err)
		if err != nil {
			return
		}
		for _, client := range pasvClients {
			m := client.FindSubmatch(text)
			if m == nil {
				continue
			}
			var n [6]byte
			for i := range n {
				v, err := strconv.ParseUint(string(m[i+1]), 10, 8)
				if err != nil {
					t.Fatalf("%q is read as %v, and by %v as %q", text, ap, client, m[0])
				}
				n[i] = byte(v)
			}
			port := uint16(n[4])<<8 | uint16(n[5])
			if netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), port) != ap {
				t.Fatalf("%q is read as %v, and by %v as %q", text, ap, client, m[0])
			}
		}
		if again, err := ftp.ParsePasv(ftp.AppendPasv([]byte("Entering Passive Mode "), ap)); err != nil || again != ap {
			t.Fatalf("%v becomes %v, %v", ap, again, err)
		}
	})
}

func FuzzEprt(f *testing.F) {
	for _, seed := range []string{
		"|1|132.235.1.2|6275|", "|2|1080::8:800:200C:417A|5282|", "!1!10.0.0.1!1025!", "z2z::1z1025z", "|1|10.0.0.1|65558|",
		"|2|::ffff:10.0.0.1|1025|", "|2|fe80::1%eth0|1025|", "|2|1::3:4:5:1.2.3.4|1025|", "|2|1:2:3:4:5:6:7::|1|", ".1.1.1.1.1.1.",
		"|1|10.0.0.1|0|", "|3|10.0.0.1|1|", "||||", "|1|010.0.0.1|1|", "|2|:::|1|", "|2|1:2:3:4:5:6:7:8:9|1|",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, arg []byte) {
		ap, err := ftp.ParseEprt(arg)
		sane(t, ap, err)
		// What a server does that splits at the first character and leaves the rest to its library.
		var want netip.AddrPort
		if len(arg) > 0 && arg[0] > ' ' && arg[0] < 0x7f && (arg[0] < '0' || arg[0] > '9') {
			field := strings.Split(string(arg), string(arg[:1]))
			if len(field) == 5 && field[0] == "" && field[4] == "" {
				addr, aerr := netip.ParseAddr(field[2])
				port, perr := strconv.ParseUint(field[3], 10, 16)
				family := map[string]bool{"1": addr.Is4(), "2": addr.Is6() && !addr.Is4In6() && addr.Zone() == ""}
				if aerr == nil && perr == nil && family[field[1]] && !strings.HasPrefix(field[3], "0") {
					want = netip.AddrPortFrom(addr, uint16(port))
				}
			}
		}
		if ap != want {
			t.Fatalf("%q: %v (%v), and by the library %v", arg, ap, err, want)
		}
		if err != nil {
			return
		}
		if again, err := ftp.ParseEprt(ftp.AppendEprt(nil, arg[0], ap)); err != nil || again != ap {
			t.Fatalf("%v becomes %v, %v", ap, again, err)
		}
	})
}

func FuzzEpsv(f *testing.F) {
	for _, seed := range []string{
		"Entering Extended Passive Mode (|||6446|)", "(!!!46934!).", "(|1|10.0.0.1|6446|)", "(|||6446|) (|||22|)", "(||6446|)",
		"((((1025()", "()))1025))", "(|||0|)", "(|||65536|)", "(|||+1|)", "(|||01|)", "a(b)(|||1|)", "(|||64\r46|)", "(|||1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		port, err := ftp.ParseEpsv(text)
		if (port != 0) != (err == nil) {
			t.Fatalf("%q: port %d, %v", text, port, err)
		}
		if err != nil {
			return
		}
		// curl: at the first "(", three equal characters, a number, and the character again.
		_, group, _ := strings.Cut(string(text), "(")
		d := group[:1]
		number, _, _ := strings.Cut(strings.TrimLeft(group, d), d)
		if v, err := strconv.Atoi(number); err != nil || v != int(port) || !strings.HasPrefix(group, d+d+d+number+d+")") {
			t.Fatalf("%q is read as %d, and by a client as %q", text, port, number)
		}
		if again, err := ftp.ParseEpsv(ftp.AppendEpsv(nil, port)); err != nil || again != port {
			t.Fatalf("%d becomes %d, %v", port, again, err)
		}
	})
}

// sane checks what every announcement promises.
func sane(t *testing.T, ap netip.AddrPort, err error) {
	t.Helper()
	if err != nil && ap != (netip.AddrPort{}) {
		t.Fatalf("an error with the value %v", ap)
	}
	if err == nil && (ap.Port() == 0 || !ap.IsValid() || ap.Addr().Is4In6() || ap.Addr().Zone() != "") {
		t.Fatalf("the announcement %v", ap)
	}
}
