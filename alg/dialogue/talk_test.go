package dialogue_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// The rule book (rules_*_test.go) tells small stories: what the client says (c), what the
// server says (s), and what follows. The client is 10.1.4.4, the server 10.2.5.5.

// script is a dialogue that goes on line by line.
type script struct {
	t      *testing.T
	terms  dialogue.Terms
	d      dialogue.Dialogue
	client dialogue.Splitter
	server dialogue.Splitter
	last   []dialogue.Decision // of the last line, or whatever else happened last
	all    []dialogue.Decision
	open   dialogue.Announcement // as the decisions have it
}

// rules are those of a policy that says nothing.
func rules() *dialogue.Rules {
	return &dialogue.Rules{
		Modes:        []dialogue.Mode{dialogue.Active, dialogue.Passive},
		SourcePort:   dialogue.Port(20),
		MinPort:      1024,
		DenyPorts:    []uint16{3306, 6000},
		RequireLogin: true,
	}
}

// talk begins a dialogue in which nothing has been said.
func talk(t *testing.T, change ...func(*dialogue.Rules)) *script {
	t.Helper()
	r := rules()
	for _, f := range change {
		f(r)
	}
	return &script{t: t, terms: dialogue.Terms{
		Client: netip.MustParseAddr("10.1.4.4"), Server: netip.MustParseAddr("10.2.5.5"), Rules: r,
	}}
}

// greeted is a dialogue in which the server has greeted.
func greeted(t *testing.T, change ...func(*dialogue.Rules)) *script {
	t.Helper()
	return talk(t, change...).s("220 hello")
}

// loggedIn is a dialogue in which the client is logged in.
func loggedIn(t *testing.T, change ...func(*dialogue.Rules)) *script {
	t.Helper()
	return greeted(t, change...).c("USER u").s("331 password?").c("PASS p").s("230 welcome")
}

// What is said and meant again and again.
const (
	port    = "PORT 10,1,4,4,180,117"
	ok200   = "200 PORT command successful."
	active  = "active 10.1.4.4:46197 from 20"
	ok227   = "227 Entering Passive Mode (10,2,5,5,195,80)."
	ok229   = "229 Entering Extended Passive Mode (|||50000|)"
	passive = "passive 10.2.5.5:50000"
)

// c has the client say lines.
func (x *script) c(lines ...string) *script {
	x.t.Helper()
	for _, l := range lines {
		x.fromClient(l + "\r\n")
	}
	return x
}

// s has the server say lines.
func (x *script) s(lines ...string) *script {
	x.t.Helper()
	for _, l := range lines {
		x.fromServer(l + "\r\n")
	}
	return x
}

// fromClient has bytes come from the client, whatever lines they are.
func (x *script) fromClient(b string) *script {
	x.t.Helper()
	return x.heard(feed(&x.client, true, b, nil, func(l dialogue.Line, out []dialogue.Decision) []dialogue.Decision {
		return x.d.Command(&x.terms, l, out)
	}))
}

// fromServer has bytes come from the server.
func (x *script) fromServer(b string) *script {
	x.t.Helper()
	return x.heard(feed(&x.server, false, b, nil, func(l dialogue.Line, out []dialogue.Decision) []dialogue.Decision {
		return x.d.Reply(&x.terms, l, out)
	}))
}

// connected has the announced data connection come.
func (x *script) connected() *script {
	x.d.Came()
	return x
}

// heard notes what follows. An announcement is open between the decisions Open and Close.
func (x *script) heard(said []dialogue.Decision) *script {
	x.t.Helper()
	x.last = said
	x.all = append(x.all, said...)
	for _, one := range said {
		switch one.Act {
		case dialogue.Open:
			x.open = one.Announcement
		case dialogue.Close:
			x.open = dialogue.Announcement{}
		}
	}
	if live := x.d.Live(); (live.State == dialogue.Opened) != (x.open.State == dialogue.Opened) || x.open.At.IsValid() && live.At != x.open.At {
		x.t.Errorf("open is %v by the decisions, and %v is live", x.open, live)
	}
	return x
}

// opens says which data connection may come now: as in "active 10.1.4.4:46197 from 20".
func (x *script) opens(want string) *script {
	x.t.Helper()
	got := "nothing"
	if x.open.State == dialogue.Opened {
		got = x.open.String()
	}
	if got != want {
		x.t.Errorf("open is %s, and should be %s:\n%s", got, want, x.transcript())
	}
	return x
}

// opensNothing says that no data connection may come now.
func (x *script) opensNothing() *script { x.t.Helper(); return x.opens("nothing") }

// follows says what follows from the last line: the beginnings of all the decisions.
func (x *script) follows(want ...string) *script {
	x.t.Helper()
	got := make([]string, len(x.last))
	for i, one := range x.last {
		got[i] = one.String()
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		x.t.Errorf("what follows is %q, and should be %q:\n%s", got, want, x.transcript())
	}
	return x
}

// saysNothing says that nothing follows from the last line.
func (x *script) saysNothing() *script { x.t.Helper(); return x.follows() }

// isHelped says that the dialogue is followed, and that 227 and 229 are believed: it has an
// active and a passive transfer now.
func (x *script) isHelped() *script {
	x.t.Helper()
	if !x.d.Followed() || x.count(dialogue.Doubted) > 0 || x.count(dialogue.Over) > 0 {
		x.t.Errorf("not helped:\n%s", x.transcript())
		return x
	}
	x.c(port).s(ok200).c("RETR x").opens(active).s("150 here", "226 done").opensNothing()
	return x.c("PASV").s(ok227).opens(passive).c("RETR x").s("150 here", "226 done").opensNothing()
}

// isDoubted says that 227 and 229 are not believed, that it was told once, and that active
// mode goes on.
func (x *script) isDoubted(why string) *script {
	x.t.Helper()
	told := x.all[slices.IndexFunc(x.all, func(d dialogue.Decision) bool { return d.Act == dialogue.Doubted })+1:]
	if x.count(dialogue.Doubted) != 1 || len(told) == len(x.all) {
		x.t.Fatalf("doubted %d times:\n%s", x.count(dialogue.Doubted), x.transcript())
	}
	if one := x.all[len(x.all)-len(told)-1]; !strings.Contains(one.Reason, why) {
		x.t.Errorf("doubted since %q, not %q", one.Reason, why)
	}
	x.c("PASV").s(ok227).opensNothing().c("RETR x").opensNothing().s("425 no")
	x.c("EPSV").s(ok229).opensNothing().c("RETR x").opensNothing().s("425 no")
	return x.c(port).s(ok200).c("RETR x").opens(active).s("150 here", "226 done").opensNothing()
}

// isOver says that the dialogue is not followed any more: nothing opens, whatever is said.
func (x *script) isOver() *script {
	x.t.Helper()
	if x.d.Followed() || x.count(dialogue.Over) != 1 || x.d.Encrypted() {
		x.t.Errorf("followed %v, told %d times:\n%s", x.d.Followed(), x.count(dialogue.Over), x.transcript())
	}
	return x.c(port).s(ok200).c("RETR x").opensNothing().c("PASV").s(ok227).opensNothing().saysNothing()
}

func (x *script) count(act dialogue.Act) (n int) {
	for _, one := range x.all {
		if one.Act == act {
			n++
		}
	}
	return n
}

// transcript is all that was decided.
func (x *script) transcript() string {
	var b strings.Builder
	for _, one := range x.all {
		fmt.Fprintf(&b, "\t%v\n", one)
	}
	return b.String()
}
