package ftp_test

import (
	"fmt"
	"net/netip"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

func ExampleParseCommand() {
	c, err := ftp.ParseCommand([]byte("port 10,1,4,4,180,117\r"))
	fmt.Printf("%v %q %v\n", c.Verb, c.Arg, err)

	c, err = ftp.ParseCommand([]byte("POST / HTTP/1.1\r"))
	fmt.Printf("%v %q %v\n", c.Verb, c.Word, err)

	_, err = ftp.ParseCommand([]byte("Host: example.org\r"))
	fmt.Println(err)
	// Output:
	// PORT "10,1,4,4,180,117" <nil>
	// OTHER "POST" <nil>
	// not an FTP command
}

func ExampleParsePort() {
	at, err := ftp.ParsePort([]byte("10,1,4,4,180,117"))
	fmt.Println(at, err)

	_, err = ftp.ParsePort([]byte("10,1,4,4,180,373"))
	fmt.Println(err)
	// Output:
	// 10.1.4.4:46197 <nil>
	// a number above 255
}

func ExampleParsePasv() {
	at, err := ftp.ParsePasv([]byte("Entering Passive Mode (10,2,5,5,195,80)."))
	fmt.Println(at, err)

	_, err = ftp.ParsePasv([]byte("(10,2,5,5,195,80) (10,2,5,5,0,22)"))
	fmt.Println(err)
	// Output:
	// 10.2.5.5:50000 <nil>
	// an ambiguous announcement
}

func ExampleParseEprt() {
	at, err := ftp.ParseEprt([]byte("|2|2001:db8::4|46197|"))
	fmt.Println(at, err)

	_, err = ftp.ParseEprt([]byte("|2|10.1.4.4|46197|"))
	fmt.Println(err)
	// Output:
	// [2001:db8::4]:46197 <nil>
	// not an address of the announced family
}

func ExampleParseEpsv() {
	port, err := ftp.ParseEpsv([]byte("Entering Extended Passive Mode (|||50000|)"))
	fmt.Println(port, err)
	// Output: 50000 <nil>
}

func ExampleAppendPasv() {
	at := netip.MustParseAddrPort("10.2.5.5:50000")
	fmt.Printf("%s\n", ftp.AppendPasv([]byte("227 Entering Passive Mode "), at))
	// Output: 227 Entering Passive Mode (10,2,5,5,195,80)
}

// A server's line ends with CR LF alone, however it was cut into segments.
func ExampleSplitter() {
	var s ftp.Splitter
	for _, segment := range []string{"220 hel", "lo\r", "\n550 a\nb: No such file\r\n331"} {
		for b := []byte(segment); ; {
			line, n, ok := s.Next(b, ftp.CRLF)
			if !ok {
				break
			}
			fmt.Printf("%q\n", line.Text)
			b = b[n:]
		}
	}
	// Output:
	// "220 hello"
	// "550 a\nb: No such file"
}

// Inside of a multi-line reply everything is text but the line that ends it.
func ExampleReplies() {
	var replies ftp.Replies
	for _, line := range []string{"211-Features:", " EPSV", "227 (10,2,5,5,0,22)", "211 End", "227 (10,2,5,5,195,80)"} {
		if reply, complete, _ := replies.Line([]byte(line)); complete {
			fmt.Printf("%d %s\n", reply.Code, reply.Text)
		}
	}
	// Output:
	// 211 End
	// 227 (10,2,5,5,195,80)
}
