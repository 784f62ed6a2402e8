package dialogue_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// reread writes a dialogue down and reads it back.
func reread(t interface{ Fatalf(string, ...any) }, d *dialogue.Dialogue) dialogue.Dialogue {
	b, err := d.AppendBinary([]byte("before"))
	if err != nil || !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("written down: %q, %v", b, err)
	}
	var again dialogue.Dialogue
	if err := again.UnmarshalBinary(b[len("before"):]); err != nil {
		t.Fatalf("reading %q: %v", b, err)
	}
	return again
}

// clientSays and serverSays are the pieces of honest dialogues, and some of others.
var (
	clientSays = []string{
		"USER u", "PASS p", "ACCT a", "REIN", port, "EPRT |1|10.1.4.4|46198|", "PORT 10,1,4,5,4,1", "PASV", "EPSV", "EPSV ALL",
		"EPSV 2", "RETR x", "STOR x", "LIST", "MLSD", "ABOR", "\xff\xf4\xff\xf2ABOR", "NOOP", "STAT", "STAT x", "MLST x", "PWD", "",
		"AUTH TLS", "ADAT x", "QUIT", "TYPE I", "SITE PORT x", "PORT\x00", "XYZZY",
	}
	serverSays = []string{
		"220 hello", "120 soon", "331 p", "230 in", "530 no", "332 a", "202 x", ok200, "500 no", "501 no", "425 no", "150 here", "125 here",
		"226 done", "426 broken", "225 x", "250 x", ok227, ok229, "227 x (10,2,5,5,195,81)", "211-x", "211 x", "213 x", "421 bye",
		"221 bye", "234 x", "235 x", "334 x", `257 "/"`, `257 "/`, "hello", "", "451 x", "550 x",
	}
)

// step is one thing that happens to a dialogue.
func step(terms *dialogue.Terms, what string, line []byte, d *dialogue.Dialogue, out []dialogue.Decision) []dialogue.Decision {
	l := dialogue.Line{Text: line}
	switch what {
	case "client":
		return d.Command(terms, l, out)
	case "urgent":
		l.Urgent = true
		return d.Command(terms, l, out)
	case "long":
		l.Long = true
		return d.Command(terms, l, out)
	case "server":
		return d.Reply(terms, l, out)
	case "longReply":
		l.Long = true
		return d.Reply(terms, l, out)
	case "came":
		d.Came()
	case "loseClient":
		return d.LoseClient(out)
	case "loseServer":
		return d.LoseServer(out)
	case "withdraw":
		return d.Withdraw("time", out)
	case "suspend":
		d.Suspend()
	}
	return out
}

// A copy, and what was written down and read back, are the same value, and go on the same.
func TestADialogueIsAPlainValue(t *testing.T) {
	kinds := []string{"client", "client", "client", "client", "server", "server", "server", "server", "came", "urgent", "long", "longReply"}
	rare := []string{"loseClient", "loseServer", "withdraw", "suspend"}
	rapid.Check(t, func(t *rapid.T) {
		r := rules()
		r.OpenOnPort = rapid.Bool().Draw(t, "open on port")
		terms := dialogue.Terms{Client: addr("10.1.4.4"), Server: addr("10.2.5.5"), Rules: r}
		var d dialogue.Dialogue
		switch rapid.IntRange(0, 3).Draw(t, "begins") {
		case 0:
			d = dialogue.TakenUp()
		case 1, 2:
			for i, text := range []string{"220 hello", "USER u", "331 p", "PASS p", "230 in"} {
				step(&terms, []string{"server", "client"}[i%2], []byte(text), &d, nil)
			}
		}
		other := d
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			what := rapid.SampledFrom(kinds).Draw(t, "what")
			if rapid.IntRange(0, 40).Draw(t, "rare") == 40 {
				what = rapid.SampledFrom(rare).Draw(t, "what then")
			}
			says := clientSays
			if what == "server" || what == "longReply" {
				says = serverSays
			}
			line := []byte(rapid.SampledFrom(says).Draw(t, "says"))
			one := step(&terms, what, line, &d, nil)
			written := reread(t, &other)
			two := step(&terms, what, line, &other, nil)
			three := step(&terms, what, line, &written, nil)
			if !slices.Equal(one, two) || !slices.Equal(one, three) {
				t.Fatalf("after %s %q: %v, of a copy %v, of what was written %v", what, line, one, two, three)
			}
			if d != other || d != written {
				t.Fatalf("after %s %q: the values differ: %+v, %+v, %+v", what, line, d, other, written)
			}
			check(t, &d, one)
		}
	})
}

// check checks what holds of every decision.
func check(t *rapid.T, d *dialogue.Dialogue, said []dialogue.Decision) {
	live := d.Live()
	if live.State == dialogue.None && live != (dialogue.Announcement{}) || live.State != dialogue.None && !live.At.IsValid() {
		t.Fatalf("live is %+v", live)
	}
	if !d.Followed() && live.State != dialogue.None {
		t.Fatalf("live is %+v, and the dialogue is not followed", live)
	}
	for i, one := range said {
		if one.Act == dialogue.Open {
			a := one.Announcement
			switch {
			case a.State != dialogue.Opened, a.At.Port() < 1024:
				t.Fatalf("opens %+v", a)
			case a.Mode == dialogue.Active && a.At.Addr() != addr("10.1.4.4"), a.Mode == dialogue.Passive && a.At.Addr() != addr("10.2.5.5"):
				t.Fatalf("opens %+v", a)
			case !d.LoggedIn() || !d.Greeted():
				t.Fatalf("opens %+v, and nobody is logged in", a)
			case i == len(said)-1 && live != a:
				t.Fatalf("opens %+v, and %+v is live", a, live)
			}
		}
		if one.Act == dialogue.Refused && one.Reason == "" || one.Act == dialogue.Over && one.Reason == "" {
			t.Fatalf("no reason: %+v", one)
		}
	}
}

// everything is a dialogue with something of all that is written down.
func everything(t *testing.T) dialogue.Dialogue {
	t.Helper()
	x := loggedIn(t).c("STAT").s("211-x").c("NOOP", "", "ABOR", port, "RETR x").c("QUIT")
	return x.opens(active).d
}

func TestOtherBytesAreNoDialogue(t *testing.T) {
	whole := everything(t)
	b, _ := whole.AppendBinary(nil)
	d := loggedIn(t).d
	before := d
	refused := func(b []byte, what string) {
		t.Helper()
		if err := d.UnmarshalBinary(b); !errors.Is(err, dialogue.ErrEncoding) || d != before {
			t.Errorf("%s: %v, changed %v", what, err, d != before)
		}
	}
	for n := range b {
		refused(b[:n], "cut")
	}
	refused(append(slices.Clone(b), 0), "more than it is")
	for at, value := range map[int]byte{0: 0, 1: 4, 2: 0x80, 3: 0xff, 4: 49, 5: 0xff, 7: 0xff, 8: 0xff} {
		other := slices.Clone(b)
		other[at] = value
		refused(other, "changed")
	}
	if err := d.UnmarshalBinary(b); err != nil || d != whole {
		t.Errorf("the whole: %v", err)
	}
}

// One transfer after the other allocates nothing.
func TestADialogueAllocatesNothing(t *testing.T) {
	x := loggedIn(t)
	said := make([]dialogue.Decision, 0, 8)
	var lines [][2]any
	for _, l := range []string{
		"cNOOP", "s200 ok", "c" + port, "s" + ok200, "cRETR x", "s150 here", "cNOOP", "s226 done", "s200 ok", "cPASV", "s" + ok227, "cLIST",
		"s150 here", "s226-x", "s226 done", "cEPRT |1|10.1.4.4|46197|", "s" + ok200, "cSTOR x", "s550 no", "cEPSV", "s" + ok229, "cABOR", "s226 x",
		"cPORT 10,1,4,5,1,1", "s500 no", "cPASV", "s227 (10,2,5,5,0,22)", "c\xff\xf4\xff\xf2ABOR", "s225 x", "c", "cPWD", `s257 "/"`,
	} {
		lines = append(lines, [2]any{l[0] == 'c', dialogue.Line{Text: []byte(l[1:])}})
	}
	var d dialogue.Dialogue
	n := testing.AllocsPerRun(100, func() {
		d = x.d
		for _, l := range lines {
			if line := l[1].(dialogue.Line); l[0].(bool) {
				said = d.Command(&x.terms, line, said[:0])
			} else {
				said = d.Reply(&x.terms, line, said[:0])
			}
		}
	})
	if n != 0 || !d.Followed() || d.Live().State != dialogue.None {
		t.Errorf("%v allocations; %+v", n, d)
	}
}

func BenchmarkTransfer(b *testing.B) {
	terms := dialogue.Terms{Client: addr("10.1.4.4"), Server: addr("10.2.5.5"), Rules: rules()}
	var d dialogue.Dialogue
	for i, text := range []string{"220 hello", "USER u", "331 p", "PASS p", "230 in"} {
		step(&terms, []string{"server", "client"}[i%2], []byte(text), &d, nil)
	}
	lines := [][]byte{[]byte(port), []byte(ok200), []byte("RETR x"), []byte("150 here"), []byte("226 done")}
	said := make([]dialogue.Decision, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		for i, text := range lines {
			if l := (dialogue.Line{Text: text}); i%2 == 0 && i < 4 {
				said = d.Command(&terms, l, said[:0])
			} else {
				said = d.Reply(&terms, l, said[:0])
			}
		}
	}
}
