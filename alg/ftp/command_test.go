package ftp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

func TestParseCommand(t *testing.T) {
	tests := []struct {
		name string
		line string
		verb ftp.Verb
		arg  string
		err  error
	}{
		{"verb alone", "PASV", ftp.Pasv, "", nil},
		{"verb of three letters", "CWD /pub", ftp.Cwd, "/pub", nil},
		{"lower case", "port 10,1,4,4,180,117", ftp.Port, "10,1,4,4,180,117", nil},
		{"mixed case", "rEtR R1.cfg", ftp.Retr, "R1.cfg", nil},
		{"empty argument", "PASV ", ftp.Pasv, "", nil},
		{"only one space separates", "PORT  1,2,3,4,5,6", ftp.Port, " 1,2,3,4,5,6", nil},
		{"spaces at the end are argument", "STOR a ", ftp.Stor, "a ", nil},
		{"a space inside the argument", "RETR a b", ftp.Retr, "a b", nil},
		{"any byte in the argument", "RETR \x00\xff\r\t\x80", ftp.Retr, "\x00\xff\r\t\x80", nil},
		{"digits in a verb", "XSHA256 f", ftp.Xsha256, "f", nil},
		{"AUTH TLS", "AUTH TLS", ftp.Auth, "TLS", nil},
		{"EPSV ALL", "EPSV ALL", ftp.Epsv, "ALL", nil},

		{"unknown verb", "XYZZY", ftp.Other, "", nil},
		{"unknown verb with argument", "XYZZY a b", ftp.Other, "a b", nil},
		{"the name of Other is no verb", "OTHER", ftp.Other, "", nil},
		{"longest verb", "ABCDEFGHIJKL x", ftp.Other, "x", nil},
		{"verb one too long", "ABCDEFGHIJKLM x", 0, "", ftp.ErrNotCommand},
		{"known verb as the start of another", "PORTS 1,2,3,4,5,6", ftp.Other, "1,2,3,4,5,6", nil},
		{"verb too short", "LS", 0, "", ftp.ErrNotCommand},
		{"part of a verb", "P", 0, "", ftp.ErrNotCommand},

		{"CR before LF is the terminator", "PASV\r", ftp.Pasv, "", nil},
		{"CR after an argument", "PORT 1,2,3,4,5,6\r", ftp.Port, "1,2,3,4,5,6", nil},
		{"only one CR is", "RETR a\r\r", ftp.Retr, "a\r", nil},
		{"CR twice after a verb", "PASV\r\r", 0, "", ftp.ErrNotCommand},
		{"CR in the verb", "PA\rSV", 0, "", ftp.ErrNotCommand},
		{"CR in place of the space", "PORT\r1,2,3,4,5,6", 0, "", ftp.ErrNotCommand},

		{"empty line", "", 0, "", ftp.ErrNotCommand},
		{"CR alone", "\r", 0, "", ftp.ErrNotCommand},
		{"space alone", " ", 0, "", ftp.ErrNotCommand},
		{"leading space", " PASV", 0, "", ftp.ErrNotCommand},
		{"leading tab", "\tPASV", 0, "", ftp.ErrNotCommand},
		{"tab in place of the space", "PORT\t1,2,3,4,5,6", 0, "", ftp.ErrNotCommand},
		{"NUL before the verb", "\x00PASV", 0, "", ftp.ErrNotCommand},
		{"NUL in the verb", "PA\x00SV", 0, "", ftp.ErrNotCommand},
		{"NUL after the verb", "PASV\x00", 0, "", ftp.ErrNotCommand},
		{"digit first", "1PASV", 0, "", ftp.ErrNotCommand},
		{"hyphen", "P-ASV", 0, "", ftp.ErrNotCommand},
		{"8-bit letter", "PAS\xd6 x", 0, "", ftp.ErrNotCommand},
		{"reply line", "227 Entering Passive Mode (10,0,0,1,4,1)", 0, "", ftp.ErrNotCommand},
		{"HTTP header", "Host: x", 0, "", ftp.ErrNotCommand},
		{"HTTP header with a hyphen", "Content-Length: 5", 0, "", ftp.ErrNotCommand},
		{"SSH", "SSH-2.0-OpenSSH_9.6", 0, "", ftp.ErrNotCommand},
		{"TLS ClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0, "", ftp.ErrNotCommand},
		{"boundary of a form", "------WebKitFormBoundary7MA4YWxkTrZu0gW", 0, "", ftp.ErrNotCommand},

		{"DELE is not DELETE", "DELE x", ftp.Dele, "x", nil},
		{"OPTS is not OPTIONS", "OPTS UTF8 ON", ftp.Opts, "UTF8 ON", nil},
		{"file named as a version", "RETR HTTP/1.1", ftp.Retr, "HTTP/1.1", nil},
		{"file name that ends in a version", "STOR a SIP/2.0", ftp.Stor, "a SIP/2.0", nil},
		{"version in the middle", "XYZZY HTTP/1.1 x", ftp.Other, "HTTP/1.1 x", nil},
		{"version without a digit", "XYZZY HTTP/x", ftp.Other, "HTTP/x", nil},
		{"version without anything", "XYZZY HTTP/", ftp.Other, "HTTP/", nil},
		{"word that ends as a version", "XYZZY xHTTP/1", ftp.Other, "xHTTP/1", nil},
		{"another path", "XYZZY a/1", ftp.Other, "a/1", nil},

		{"IAC IP IAC DM", "\xff\xf4\xff\xf2ABOR", ftp.Abor, "", nil},
		{"IAC IP DM, the IAC sent as urgent data", "\xff\xf4\xf2ABOR", ftp.Abor, "", nil},
		{"DM alone", "\xf2ABOR", ftp.Abor, "", nil},
		{"IAC AO", "\xff\xf5STAT", ftp.Stat, "", nil},
		{"IAC WILL", "\xff\xfb\x06NOOP", ftp.Noop, "", nil},
		{"IAC DONT with a letter for an option", "\xff\xfeXNOOP", ftp.Noop, "", nil},
		{"IAC IAC", "\xff\xffNOOP", ftp.Noop, "", nil},
		{"IAC SB is left", "\xff\xfaNOOP", 0, "", ftp.ErrNotCommand},
		{"IAC before a letter", "\xffNOOP", 0, "", ftp.ErrNotCommand},
		{"IAC alone", "\xff", 0, "", ftp.ErrNotCommand},
		{"IAC DO without an option", "\xff\xfd", 0, "", ftp.ErrNotCommand},
		{"IAC IP alone", "\xff\xf4", 0, "", ftp.ErrNotCommand},
		{"IAC in the verb", "AB\xff\xf4OR", 0, "", ftp.ErrNotCommand},

		{"a long line", "RETR " + strings.Repeat("a", 5000), ftp.Retr, strings.Repeat("a", 5000), nil},
		{"100 kB without a space", strings.Repeat("A", 100000), 0, "", ftp.ErrNotCommand},
		{"100 kB of Telnet", strings.Repeat("\xff\xf4", 50000), 0, "", ftp.ErrNotCommand},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd, err := ftp.ParseCommand([]byte(tt.line))
			if !errors.Is(err, tt.err) || cmd.Verb != tt.verb || string(cmd.Arg) != tt.arg {
				t.Errorf("got %v %q, %v; want %v %q, %v", cmd.Verb, cmd.Arg, err, tt.verb, tt.arg, tt.err)
			}
		})
	}
}

// The argument is a view of the line, so that a caller can rewrite it in place.
func TestArgAliasesLine(t *testing.T) {
	line := []byte("PORT 1,2,3,4,5,6\r")
	cmd, err := ftp.ParseCommand(line)
	if err != nil || &cmd.Arg[0] != &line[5] {
		t.Errorf("the argument %q is a copy (%v)", cmd.Arg, err)
	}
	if cmd, _ = ftp.ParseCommand([]byte("PASV")); cmd.Arg != nil {
		t.Errorf("a verb alone has the argument %q", cmd.Arg)
	}
}

func TestAnnounces(t *testing.T) {
	tests := []struct {
		arg  string
		want bool
	}{
		{"PORT 10,0,0,1,4,1", true},
		{"port", true},
		{"EPRT |1|10.0.0.1|1025|", true},
		{"EPRT|1|10.0.0.1|1025|", true},
		{"PASV", true},
		{"EPSV 2", true},
		{"LPRT 4,4,10,0,0,1,2,4,1", true},
		{"LPSV", true},
		{"  PORT 10,0,0,1,4,1", true},
		{"", false},
		{"PORTS", false},
		{"PORT1", false},
		{"REPORT", false},
		{"HELP PORT", false},
		{"CHMOD 644 PORT", false},
		{"10,0,0,1,4,1", false},
		{"GET", false},
	}
	for _, tt := range tests {
		if got := ftp.Announces([]byte(tt.arg)); got != tt.want {
			t.Errorf("Announces(%q) = %v", tt.arg, got)
		}
	}
}

// The verbs of RFC 5797, of the extensions after it, and of clients' practice, by name.
func TestVerbs(t *testing.T) {
	const known = `ABOR ACCT ADAT ALGS ALLO APPE AUTH AVBL CCC CDUP CLNT COMB CONF CPSV CSID CWD DELE DSIZ ENC EPRT
		EPSV ESTA ESTP FEAT HASH HELP HOST LANG LIST LPRT LPSV MACB MD5 MDTM MFCT MFF MFMT MIC MKD MLSD MLST
		MMD5 MODE NLST NOOP OPTS PASS PASV PBSZ PORT PRET PROT PWD QUIT RANG REIN REST RETR RMD RMDA RNFR RNTO
		SITE SIZE SMNT SSCN STAT STOR STOU STRU SYST THMB TYPE USER XCRC XCUP XCWD XMD5 XMKD XPWD XRMD XSHA
		XSHA1 XSHA256 XSHA384 XSHA512`
	const transfer = " RETR STOR STOU APPE LIST NLST MLSD "
	const announcing = " PORT EPRT LPRT PASV EPSV LPSV CPSV "
	seen := map[ftp.Verb]bool{ftp.Other: true}
	for _, name := range strings.Fields(known) {
		cmd, err := ftp.ParseCommand([]byte(strings.ToLower(name)))
		if err != nil || cmd.Verb.String() != name || seen[cmd.Verb] {
			t.Errorf("%s is read as %v, %v", name, cmd.Verb, err)
		}
		seen[cmd.Verb] = true
		if want := strings.Contains(transfer, " "+name+" "); cmd.Verb.Transfer() != want {
			t.Errorf("%s.Transfer() = %v", name, !want)
		}
		if want := strings.Contains(announcing, " "+name+" "); cmd.Verb.Announces() != want {
			t.Errorf("%s.Announces() = %v", name, !want)
		}
	}
	for v := ftp.Verb(0); v < 255; v++ {
		if named := v.String() != "OTHER"; named && !seen[v] {
			t.Errorf("%v is not in the list", v)
		}
	}
	if ftp.Other.Transfer() || ftp.Other.Announces() || ftp.Verb(255).String() != "OTHER" {
		t.Error("what is not in the table has a meaning")
	}
}

// A first word of other protocols looks like a verb, but is in no list of verbs.
func TestWordsOfOtherProtocolsAreOther(t *testing.T) {
	for _, line := range []string{
		"GET / HTTP/1.1", "POST / HTTP/1.1", "PUT /x HTTP/1.1", "HEAD / HTTP/1.0", "DELETE /x HTTP/1.1",
		"CONNECT x:443 HTTP/1.1", "OPTIONS sip:x SIP/2.0", "INVITE sip:x SIP/2.0", "REGISTER sip:x SIP/2.0",
		"HELO x", "EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA", "STARTTLS", "NICK x", "JOIN x",
		"RETRY", "PORTABLE 10,0,0,1,4,1", "PASVX", "XPORT 1", "SET x 1", "FLUSHALL", "SELECT 1",
	} {
		if cmd, err := ftp.ParseCommand([]byte(line)); err != nil || cmd.Verb != ftp.Other {
			t.Errorf("%q is read as %v, %v", line, cmd.Verb, err)
		}
	}
}

// The word is a view of the line too: whoever asks for more verbs compares it.
func TestWord(t *testing.T) {
	for line, want := range map[string]string{
		"xyzzy": "xyzzy", "XYZZY a b\r": "XYZZY", "\xff\xf4\xff\xf2abor\r": "abor", "NOOP ": "NOOP",
	} {
		cmd, err := ftp.ParseCommand([]byte(line))
		if err != nil || string(cmd.Word) != want {
			t.Errorf("the word of %q is %q, %v", line, cmd.Word, err)
		}
	}
}

func TestHasTelnet(t *testing.T) {
	for line, want := range map[string]bool{
		"": false, "NOOP": false, "\xff\xf4\xff\xf2ABOR": true, "RETR a\xff": true, "\xf2ABOR": false, "RETR \xc3\xbf": false,
	} {
		if got := ftp.HasTelnet([]byte(line)); got != want {
			t.Errorf("HasTelnet(%q) = %v", line, got)
		}
	}
}
