package ftp_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// parsers are the paths on which a packet waits, with good input and bad.
var parsers = []struct {
	name  string
	run   func([]byte)
	input []string
}{
	{"Command", func(b []byte) { _, _ = ftp.ParseCommand(b) }, []string{
		"port 10,1,4,4,180,117\r", "\xff\xf4\xff\xf2ABOR", "XYZZY x", "GET / HTTP/1.1", "FROB / SIP/2.0", "SSH-2.0-x",
	}},
	{"Announces", func(b []byte) { ftp.Announces(b) }, []string{"PORT 10,0,0,1,4,1", "CHMOD 644 x"}},
	{"Reply", func(b []byte) {
		var r ftp.Replies
		_, _, _ = r.Line(b)
		_, _, _ = r.Skip(b)
	}, []string{"226 Transfer complete.\r", "211-Features:", "hello"}},
	{"Port", func(b []byte) { _, _ = ftp.ParsePort(b) }, []string{"10,1,4,4,180,117", "10,0,0,1,456,1", ""}},
	{"Pasv", func(b []byte) { _, _ = ftp.ParsePasv(b) }, []string{
		"Entering Passive Mode (10,2,5,5,195,80).", "(10,2,5,5,195,80) (10,2,5,5,0,22)", "",
	}},
	{"EprtIPv4", func(b []byte) { _, _ = ftp.ParseEprt(b) }, []string{"|1|10.1.4.4|46197|", "|1|10.1.4.456|1|", "|1|"}},
	{"EprtIPv6", func(b []byte) { _, _ = ftp.ParseEprt(b) }, []string{
		"|2|2001:db8:1234:5678:9abc:def0:1234:5678|46197|", "|2|::ffff:10.0.0.1|1025|", "|2|fe80::1%eth0|1025|",
	}},
	{"Epsv", func(b []byte) { _, _ = ftp.ParseEpsv(b) }, []string{"Entering Extended Passive Mode (|||6446|)", "(|1|x|6446|)"}},
	{"EpsvArg", func(b []byte) { _, _ = ftp.ParseEpsvArg(b) }, []string{"", "all", "3"}},
}

func TestNoAllocations(t *testing.T) {
	for _, p := range parsers {
		for _, in := range p.input {
			line := []byte(in)
			if n := testing.AllocsPerRun(100, func() { p.run(line) }); n != 0 {
				t.Errorf("%s of %q allocates %v times", p.name, in, n)
			}
		}
	}
}

// The time is of the first input of each parser, the usual one.
func BenchmarkParse(b *testing.B) {
	for _, p := range parsers {
		b.Run(p.name, func(b *testing.B) {
			line := []byte(p.input[0])
			b.ReportAllocs()
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				p.run(line)
			}
		})
	}
}
