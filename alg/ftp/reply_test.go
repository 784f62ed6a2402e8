package ftp_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// got writes down what became of a line: "code text" of a complete reply, "..."
// for a line of a reply that is not complete, "!" for ErrNotReply, and "code!" for a
// code alone, which is both.
func got(r ftp.Reply, done bool, err error) string {
	switch {
	case errors.Is(err, ftp.ErrNotReply) && !done && r.Code == 0:
		return "!"
	case errors.Is(err, ftp.ErrNotReply) && done && len(r.Text) == 0:
		return strconv.Itoa(r.Code) + "!"
	case err != nil:
		return err.Error()
	case !done && r.Code == 0 && r.Text == nil:
		return "..."
	case !done:
		return "an incomplete reply with a value"
	}
	return strconv.Itoa(r.Code) + " " + string(r.Text)
}

func TestReplies(t *testing.T) {
	tests := []struct {
		name  string
		lines string // each ends in CR LF or LF
		want  string
	}{
		{"greeting", "220 (vsFTPd 3.0.3)\r\n", "220 (vsFTPd 3.0.3)\n"},
		{"bare LF", "220 ready\n", "220 ready\n"},
		{"code and space", "200 \r\n", "200 \n"},
		{"code alone", "200\r\n", "200!\n"},
		{"code alone and then another reply", "200\r\n226 x\r\n", "200!\n226 x\n"},
		{"delayed greeting", "120 soon\r\n220 ready\r\n", "120 soon\n220 ready\n"},
		{"text is not changed", "257 \"a\"  \x00\xff\r\r\n", "257 \"a\"  \x00\xff\r\n"},
		{"lowest and highest code", "100 a\n599 b\n", "100 a\n599 b\n"},

		{"not a code", "hello\n\r\n \n22\n", "!\n!\n!\n!\n"},
		{"code below 100", "099 x\n000 x\n", "!\n!\n"},
		{"code above 599", "600 x\n999 x\n", "!\n!\n"},
		{"four digits", "2200 x\n", "!\n"},
		{"leading space", " 220 x\n", "!\n"},
		{"no space", "220x\n220\tx\n220\x00\n220\rx\n", "!\n!\n!\n!\n"},
		{"digit of another script", "22\xd9\xa0 x\n", "!\n"},
		{"Telnet before a reply", "\xff\xf2220 x\n", "!\n"},
		{"HTTP", "HTTP/1.1 200 OK\r\n", "!\n"},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", "!\n"},

		{"multi-line", "211-Features:\r\n EPRT\r\n EPSV\r\n211 End\r\n", "...\n...\n...\n211 End\n"},
		{"opened without text", "211-\n211 End\n", "...\n211 End\n"},
		{"closed without text", "211-x\n211 \n", "...\n211 \n"},
		{"a code alone does not close", "211-x\n211\n211 y\n", "...\n...\n211 y\n"},
		{"a CR after the code does not close", "211-x\n211\r\r\n211 y\n", "...\n...\n211 y\n"},
		{"every line with code and hyphen", "230-a\n230-b\n230 c\n", "...\n...\n230 c\n"},
		{"another code does not close", "211-a\n212 b\n226 c\n211 d\n", "...\n...\n...\n211 d\n"},
		{"another code does not open", "211-a\n226-b\n211 c\n226 d\n", "...\n...\n211 c\n226 d\n"},
		{"an indented code does not close", "211-a\n 211 b\n211 c\n", "...\n...\n211 c\n"},
		{"code without space does not close", "211-a\n211b\n2110 c\n211 d\n", "...\n...\n...\n211 d\n"},
		{"empty lines inside", "220-a\r\n\r\n\n220 b\r\n", "...\n...\n...\n220 b\n"},
		{"text inside that is no reply", "220-a\nGET / HTTP/1.1\n220 b\n", "...\n...\n220 b\n"},
		{"announcement inside", "211-a\n227 x (10,0,0,1,4,1)\n229 x (|||1025|)\n211 b\n", "...\n...\n...\n211 b\n"},
		{"announcement in a file listing", "213-x\n227 x (10,0,0,1,0,22)\n213 End\n", "...\n...\n213 End\n"},
		{"announcement in the last line", "227-listen socket created\n227 (127,0,0,1,154,21)\n", "...\n227 (127,0,0,1,154,21)\n"},
		{"announcement in the first line", "227-(10,0,0,1,4,1)\n227 done\n", "...\n227 done\n"},
		{"never closed", "220-a\n226 b\n227 c\n421 d\n", "...\n...\n...\n...\n"},
		{"after a line that is no reply", "x\n211-a\n211 b\n", "!\n...\n211 b\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var replies ftp.Replies
			var out strings.Builder
			for line := range strings.Lines(tt.lines) {
				line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
				out.WriteString(got(replies.Line([]byte(line))) + "\n")
			}
			if out.String() != tt.want {
				t.Errorf("got\n%swant\n%s", out.String(), tt.want)
			}
		})
	}
}

func TestSkip(t *testing.T) {
	tests := []struct {
		name string
		seq  []string // "~" marks a line that was too long to keep
		want []string
	}{
		{"completes a reply", []string{"~226 aaaa"}, []string{"226 "}},
		{"the announcement in it is not read", []string{"~227 x (10,0,0,1,4,1)"}, []string{"227 "}},
		{"four bytes are enough", []string{"~226 "}, []string{"226 "}},
		{"opens a multi-line reply", []string{"~226-aaaa", "150 x", "226 x"}, []string{"...", "...", "226 x"}},
		{"closes a multi-line reply", []string{"226-a", "~226 aaaa", "150 x"}, []string{"...", "226 ", "150 x"}},
		{"is text inside", []string{"226-a", "~150 aaaa", "~aaaa", "226 x"}, []string{"...", "...", "...", "226 x"}},
		{"is no reply", []string{"~aaaa", "150 x"}, []string{"!", "150 x"}},
		{"a CR is no terminator here", []string{"~226\raaaa"}, []string{"!"}},
		{"a CR cut off the rest", []string{"~226\r"}, []string{"!"}},
		{"too little is no reply", []string{"~226", "~22", "~"}, []string{"!", "!", "!"}},
		{"too little closes nothing", []string{"226-a", "~226", "226 x"}, []string{"...", "...", "226 x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var replies ftp.Replies
			for i, line := range tt.seq {
				step := replies.Line
				if strings.HasPrefix(line, "~") {
					step, line = replies.Skip, line[1:]
				}
				if out := got(step([]byte(line))); out != tt.want[i] {
					t.Errorf("line %d: got %q, want %q", i, out, tt.want[i])
				}
			}
		})
	}
}

func TestQuoteCloses(t *testing.T) {
	for text, want := range map[string]bool{
		`257 "/"`:                              true,
		`257 "/up" is the current directory`:   true,
		`257 "/a""b" is the current directory`: true,
		`257 "/a"b" created`:                   true, // pure-ftpd does not double: it ends at the first
		`257 """" created`:                     true, // a directory whose name is one quote
		`257 "" created`:                       true, // an empty name
		`257 "/a`:                              false,
		`257 "`:                                false,
		`257 "/a""`:                            false,
		`257 "/a""b`:                           false,
		`257 """`:                              false,
		`257 """ created`:                      false,
		`257 directory created`:                true, // no name that could go on
		`257`:                                  true,
		``:                                     true,
	} {
		if got := ftp.QuoteCloses([]byte(text)); got != want {
			t.Errorf("QuoteCloses(%s) = %v", text, got)
		}
	}
}

func TestRepliesTakenUpInTheMiddle(t *testing.T) {
	for _, code := range []int{0, 100, 211, 599} {
		r, ok := ftp.InReply(code)
		if !ok || r.Open() != code {
			t.Errorf("in the middle of %d: %d, %v", code, r.Open(), ok)
		}
	}
	for _, code := range []int{-1, 1, 99, 600, 1 << 16, 1<<16 + 211} {
		if r, ok := ftp.InReply(code); ok || r.Open() != 0 {
			t.Errorf("%d is a code: %d, %v", code, r.Open(), ok)
		}
	}
	r, _ := ftp.InReply(211)
	for _, line := range []string{"226 x", "211-y"} {
		if out := got(r.Line([]byte(line))); out != "..." {
			t.Errorf("%q in the middle of a reply is %q", line, out)
		}
	}
	if out := got(r.Line([]byte("211 End"))); out != "211 End" {
		t.Errorf("its end is %q", out)
	}
}

func TestReplyClass(t *testing.T) {
	for code := 100; code <= 599; code++ {
		r := ftp.Reply{Code: code}
		is := [...]bool{1: r.Preliminary(), r.Completed(), r.Intermediate(), r.Failed(), r.Failed()}
		n := 0
		for _, b := range []bool{r.Preliminary(), r.Completed(), r.Intermediate(), r.Failed()} {
			if b {
				n++
			}
		}
		if !is[code/100] || n != 1 {
			t.Errorf("%d is of the wrong class", code)
		}
	}
}

func TestRepliesIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(ftp.Replies{}); size > 4 {
		t.Errorf("the state of a direction takes %d bytes", size)
	}
}
