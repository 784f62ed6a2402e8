package dialogue_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// What a dialogue is read from may be anything. What is accepted works, and is what would
// be written of it.
func FuzzDialogueBinary(f *testing.F) {
	var d dialogue.Dialogue
	add := func() {
		b, _ := d.AppendBinary(nil)
		f.Add(b, []byte("RETR x"), []byte("226 x"))
	}
	add()
	d = dialogue.TakenUp()
	add()
	terms := dialogue.Terms{Client: addr("10.1.4.4"), Server: addr("10.2.5.5"), Rules: rules()}
	d = dialogue.Dialogue{}
	for i, text := range []string{"220 hello", "USER u", "331 p", "PASS p", "230 in", "PASV", ok227, "RETR x", "150 x", "NOOP"} {
		step(&terms, []string{"server", "client"}[i%2], []byte(text), &d, nil)
		add()
	}
	f.Fuzz(func(t *testing.T, b, command, reply []byte) {
		var d dialogue.Dialogue
		if err := d.UnmarshalBinary(b); err != nil {
			if !errors.Is(err, dialogue.ErrEncoding) || d != (dialogue.Dialogue{}) {
				t.Fatalf("%q is refused: %v, and is %+v", b, err, d)
			}
			return
		}
		if again, _ := d.AppendBinary(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q becomes %q", b, again)
		}
		for _, what := range []string{"client", "server", "client", "came", "server", "loseServer", "withdraw"} {
			line := command
			if what == "server" {
				line = reply
			}
			other := reread(t, &d)
			one, two := step(&terms, what, line, &d, nil), step(&terms, what, line, &other, nil)
			if !slices.Equal(one, two) || d != other {
				t.Fatalf("%s: %v, and read back %v", what, one, two)
			}
		}
		d.State()
		d.Live()
	})
}

// Lines of any kind, in any order: nothing opens that the client did not announce, or the
// server in answer to it, and all that opens is closed before another opens.
func FuzzDialogue(f *testing.F) {
	f.Add([]byte("s220 hello\nCUSER u\ns331 x\ncPASS p\ns230 x\ncPORT 10,1,4,4,180,117\ns200 x\ncRETR x\ns150 x\ns226 x\n"))
	f.Add([]byte("s220 x\ncUSER u\ns230 x\ncPASV\ns227 (10,2,5,5,195,80)\n!\ncLIST\ns226 x\ncSTAT q\ncPASV\ns227 (10,2,5,5,195,81)\n"))
	f.Add([]byte("s220 x\ncUSER u\ns230 x\ncEPSV\ns229 (|||50000|)\ncABOR\ncAUTH TLS\ns234 x\n"))
	f.Add([]byte("c\ncNOOP\ns211-x\ns220 x\n"))
	f.Fuzz(func(t *testing.T, story []byte) {
		terms := dialogue.Terms{Client: addr("10.1.4.4"), Server: addr("10.2.5.5"), Rules: rules()}
		var d dialogue.Dialogue
		var said []dialogue.Decision
		opened := false
		var asked bool // PASV or EPSV was said since the last passive pinhole
		for line := range bytes.SplitSeq(story, []byte("\n")) {
			if len(line) == 0 {
				continue
			}
			who, text := line[0], line[1:]
			said = said[:0]
			switch who {
			case 'c':
				said = d.Command(&terms, dialogue.Line{Text: text}, said)
				word := bytes.ToUpper(text[:min(4, len(text))])
				asked = asked || bytes.HasPrefix(word, []byte("PASV")) || bytes.HasPrefix(word, []byte("EPSV")) || bytes.ContainsAny(text, "\xff\xf2")
			case 's':
				said = d.Reply(&terms, dialogue.Line{Text: text}, said)
			default:
				d.Came()
			}
			for _, one := range said {
				switch one.Act {
				case dialogue.Open:
					if opened {
						t.Fatalf("%q opens a second one", line)
					}
					opened = true
					if a := one.Announcement; a.Mode == dialogue.Passive {
						if standing := who == 'c'; !standing && !asked {
							t.Fatalf("%q opens %v, and nobody asked", line, a)
						}
						asked = asked && who == 'c'
					}
				case dialogue.Close:
					opened = false
				}
			}
			if opened != (d.Live().State == dialogue.Opened) {
				t.Fatalf("%q: open by the decisions is %v, and live is %+v", line, opened, d.Live())
			}
		}
		again := reread(t, &d)
		if again != d {
			t.Fatalf("%+v becomes %+v", d, again)
		}
	})
}
