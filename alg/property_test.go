package alg_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
)

// The words that dialogues are made of: what a session reacts to, and what looks
// like it.
var (
	clientWords = []string{
		"USER u\r\n", "PASS p\r\n", "ACCT a\r\n", "REIN\r\n", "QUIT\r\n", "ABOR\r\n", "\xff\xf4\xff\xf2ABOR\r\n",
		port46197 + "\r\n", "PORT 10,1,4,4,190,1\n", "PORT 10,1,4,5,190,1\r\n", "PORT 10,1,4,4,0,22\r\n", "PORT \r\n",
		"EPRT |1|10.1.4.4|46197|\r\n", "PASV\r\n", "EPSV\r\n", "EPSV ALL\r\n", "EPSV 2\r\n", "LPRT x\r\n",
		"RETR x\r\n", "LIST\r\n", "STOR x\r\n", "NOOP\r\n", "AUTH TLS\r\n", "SITE PORT 1\r\n", "STAT x\r\n", "PWD\r\n", "\r\n",
		"SITE " + strings.Repeat("A", 5000) + "\r\n", "PORT 10,1,4,4,1\r80,117\r\n",
	}
	serverWords = []string{
		"220 hello\r\n", "120 wait\r\n", "331 p\r\n", "230 in\r\n", "332 a\r\n", "200 ok\r\n", "200-a\r\n227 (10,2,5,5,1,1)\r\n200 b\r\n",
		"227 (10,2,5,5,180,117)\r\n", "227 =10,2,5,5,180,118\n", "229 (|||46199|)\r\n", "229 (|||22|)\r\n", "150 x\r\n", "226 x\r\n", "226 x\r\n",
		"425 x\r\n", "426 x\r\n", "500 x\r\n", "530 x\r\n", "421 x\r\n", "502-x\r\n502 x\r\n", "211-x\r\n", "211 x\r\n", "noise\r\n",
		"257 \"/\" x\r\n", "257 \"/a\r\n", "226 x\n", "234 x\r\n", "550 " + strings.Repeat("B", 5000) + "\r\n",
	}
)

// turn is what one side says before the other speaks again.
type turn struct {
	d    side
	text string
}

// anyDialogue draws a dialogue that begins well more often than not.
func anyDialogue(t *rapid.T) []turn {
	var turns []turn
	if rapid.IntRange(0, 9).Draw(t, "start") > 0 {
		turns = append(turns, turn{fromServer, "220 hello\r\n"}, turn{fromClient, "USER u\r\n"}, turn{fromServer, "230 in\r\n"})
	}
	for range rapid.IntRange(1, 12).Draw(t, "turns") {
		d := side(rapid.IntRange(0, 1).Draw(t, "side"))
		words := clientWords
		if d == fromServer {
			words = serverWords
		}
		n := rapid.IntRange(1, 3).Draw(t, "words")
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), n, n).Draw(t, "text"), "")
		turns = append(turns, turn{d, text})
	}
	return turns
}

// decisions is all that a worker decided: what it told, and what it had committed. That
// acknowledgements are watched is no decision about the dialogue.
func (x *wire) decisions() string {
	ops := slices.DeleteFunc(slices.Clone(x.kernel.log), func(op alg.Op) bool { return op.Kind == alg.OpWatch })
	told := slices.Compact(strings.Split(x.told(), "\n")) // where nothing is read, each packet is told by itself
	return fmt.Sprintf("%s\n%v", strings.Join(told, "\n"), ops)
}

func TestAnySplitGivesTheSameDecisions(t *testing.T) {
	for _, tls := range []bool{false, true} {
		rapid.Check(t, func(rt *rapid.T) {
			turns := anyDialogue(rt)
			policy := func(p *alg.Policy) { p.DenyTLS = tls }
			whole, split := newWire(rt, policy).connect(), newWire(rt, policy).connect()
			var sent, arrived [2]bytes.Buffer
			for _, tn := range turns {
				whole.say(tn.d, tn.text)
				for rest := tn.text; rest != ""; {
					n := rapid.IntRange(1, min(len(rest), 40)).Draw(rt, "n")
					if len(rest) > 200 {
						n = rapid.IntRange(1, len(rest)).Draw(rt, "n")
					}
					id := split.say(tn.d, rest[:n])
					split.wantPass(id)
					arrived[tn.d].WriteString(split.payload(id, rest[:n]))
					rest = rest[n:]
				}
				id := whole.id
				sent[tn.d].WriteString(whole.payload(id, tn.text))
			}
			whole.wantTold()
			split.wantTold()
			if whole.decisions() != split.decisions() {
				rt.Fatalf("%q\nwhole:\n%s\nsplit:\n%s", turns, whole.decisions(), split.decisions())
			}
			for d := range sent {
				if !bytes.Equal(sent[d].Bytes(), arrived[d].Bytes()) {
					rt.Fatalf("whole, %q arrived; split, %q", sent[d].String(), arrived[d].String())
				}
			}
		})
	}
}
