package dialogue_test

import (
	"net/netip"
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// violated reports whether something was said that no honest client or server says.
func (x *script) violated() bool {
	for _, one := range x.all {
		if one.Act == dialogue.Refused && one.Violation {
			return true
		}
	}
	return false
}

// The rule book: encryption, and dialogues that are taken up again.

func TestAfterAUTHAndIts234NothingIsRead(t *testing.T) {
	x := greeted(t).c("AUTH TLS").saysNothing().s("234 proceed").follows("secured")
	if !x.d.Encrypted() || x.d.Followed() || x.count(dialogue.Over) > 0 {
		t.Errorf("encrypted %v, followed %v", x.d.Encrypted(), x.d.Followed())
	}
	x.c("\x16\x03\x01", port, "RETR x").saysNothing().opensNothing().s(ok227).saysNothing()

	loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c("AUTH TLS").s("150 x", "226 x", "234 x").follows("secured").opensNothing()
	loggedIn(t).c("PASV").s(ok227).opens(passive).c("AUTH TLS").s("234 x").follows("close", "secured").opensNothing()
	loggedIn(t).c("NOOP", "AUTH TLS").s("200 ok", "234 x").follows("secured")
}

func TestAnAUTHThatIsRefusedChangesNothing(t *testing.T) {
	loggedIn(t).c("AUTH TLS").s("500 what?").isHelped()
	loggedIn(t).c("AUTH TLS").s("534 no").c("AUTH SSL").s("504 no").isHelped()
	loggedIn(t).c("AUTH GSSAPI").s("334 go on").c("ADAT x").s("535 failed").isHelped()
}

func TestAfterADATAndIts235NothingIsRead(t *testing.T) {
	loggedIn(t).c("AUTH GSSAPI").s("334 go on").c("ADAT x").s("335 more").saysNothing().c("ADAT y").s("235 done").follows("secured")
	loggedIn(t).s("235 done").isDoubted("no command")
}

// It would release the flow for a server that only says so.
func TestA234ThatNobodyAskedForEndsHelp(t *testing.T) {
	talk(t).s("220 x", "234 x").isOver()
	loggedIn(t).s("234 x").isOver()
	loggedIn(t).c("NOOP").s("234 x").isOver()
	loggedIn(t).c("NOOP", "AUTH TLS").s("234 x").isOver() // it answers the NOOP
	loggedIn(t).c("AUTH TLS").s("500 no", "234 x").isOver()
	loggedIn(t).c("AUTH TLS\x00").s("234 x").isOver() // a line that is not acted on
}

// takenUp is a dialogue that was taken up after a crash.
func takenUp(t *testing.T, change ...func(*dialogue.Rules)) *script {
	t.Helper()
	x := talk(t, change...)
	x.d = dialogue.TakenUp()
	return x
}

func TestTakenUpAfterACrashOneCommandAndItsReplyComeFirst(t *testing.T) {
	takenUp(t).c(port).opensNothing().c("RETR x").opensNothing() // its first line may be the rest of one
	takenUp(t).c("NOOP", port, "RETR x").opensNothing()          // no reply yet
	takenUp(t).c("NOOP").s("200 ok").follows("began").c(port).s(ok200).c("RETR x").opens(active)
	takenUp(t).c("NOOP", port).s("200 ok").follows("began").c("RETR x").opens(active)
	takenUp(t, func(r *dialogue.Rules) { r.OpenOnPort = true }).c("NOOP", port).opensNothing()
	takenUp(t).s("226 done").c(port, "RETR x").opensNothing() // the end of what was before
}

func TestTakenUpAfterACrashItIsHelpedInActiveModeAlone(t *testing.T) {
	x := takenUp(t).c("NOOP").s("200 ok").c("PASV").s(ok227).follows("refused").opensNothing()
	x.c("EPSV").s(ok229).follows("refused").opensNothing().c(port).s(ok200).c("RETR x").opens(active)
	if n := x.count(dialogue.Doubted); n != 0 {
		t.Errorf("doubted %d times: it never was believed", n)
	}
}

func TestTakenUpAfterACrashItIsFTPAndLoggedIn(t *testing.T) {
	for _, line := range []string{"POST / HTTP/1.1", "<html>", "USER u", "PASS p", "ACCT a", "REIN", "AUTH TLS", "ADAT x", "ORT 10,1,4,4,180,117"} {
		takenUp(t).c(line).isOver()
	}
	takenUp(t).c("NOOP").s("200 ok").c("USER u").s("331 x").c(port, "RETR x").opensNothing()
}

// What is vouched for is a dialogue that may be taken up though its last lines were not seen.
func TestADialogueIsTrustedWhileItIsLoggedInAndBelieved(t *testing.T) {
	for name, tc := range map[string]struct {
		x    *script
		want bool
	}{
		"not greeted":            {talk(t), false},
		"greeted":                {greeted(t), false},
		"logged in":              {loggedIn(t), true},
		"with a pinhole":         {loggedIn(t).c("PASV").s(ok227), true},
		"doubted":                {loggedIn(t).c("STAT x"), false},
		"a USER that is not due": {loggedIn(t).c("USER x").s("530 no"), true},
		"a USER that is due":     {loggedIn(t).c("USER x"), false},
		"a REIN that is due":     {loggedIn(t).c("REIN"), false},
		"an AUTH that is due":    {loggedIn(t).c("AUTH TLS"), false},
		"logged out":             {loggedIn(t).c("USER x").s("331 x"), false},
		"encrypted":              {loggedIn(t).c("AUTH TLS").s("234 x"), false},
		"over":                   {loggedIn(t).c("Host: x"), false},
		"taken up after a crash": {takenUp(t).c("NOOP").s("200 ok"), false}, // but see Resting
	} {
		if got := tc.x.d.Trusted(); got != tc.want {
			t.Errorf("%s: trusted is %v", name, got)
		}
	}
	if x := takenUp(t); !x.d.Resting() || loggedIn(t).d.Resting() {
		t.Error("what rests on somebody's word")
	}
	if x := takenUp(t).c("Host: x"); x.d.Resting() {
		t.Error("what is over rests")
	}
}

// After a clean stop it goes on exactly; but a connection that may come meanwhile does not
// find its pinhole.
func TestADialogueThatIsSuspendedOpensNothingByItself(t *testing.T) {
	x := loggedIn(t).c("PASV").s(ok227).opens(passive)
	x.d.Suspend()
	if a := x.d.Live(); a.State != dialogue.None {
		t.Errorf("%v is live", a)
	}
	x = loggedIn(t).c(port).s(ok200)
	x.d.Suspend()
	x.c("RETR x").opens(active)
}

func TestADialogueThatIsTakenUpAgainIsJudgedByTheRulesOfToday(t *testing.T) {
	revised := func(x *script, change func(*dialogue.Rules)) *script {
		change(x.terms.Rules)
		x.d.Suspend()
		x.d.Revise(&x.terms, nil)
		return x
	}
	announced := func() *script { return loggedIn(t).c(port).s(ok200) }
	revised(announced(), func(*dialogue.Rules) {}).c("RETR x").opens(active)
	revised(announced(), func(r *dialogue.Rules) { r.SourcePort = dialogue.Ports{} }).c("RETR x").opens("active 10.1.4.4:46197 from any")
	revised(announced(), func(r *dialogue.Rules) { r.MinPort = 50000 }).c("RETR x").opensNothing()
	revised(announced(), func(r *dialogue.Rules) { r.Modes = nil }).c("RETR x").opensNothing()

	refused := func() *script { return loggedIn(t).c("PASV").s(ok227).c("RETR x").s("550 x").opensNothing() }
	revised(refused(), func(*dialogue.Rules) {}).c("RETR y").opens(passive)
	revised(refused(), func(r *dialogue.Rules) { r.PassivePorts = dialogue.Port(50001) }).c("RETR y").opensNothing()
}

func TestADialogueMayBeEndedFromOutside(t *testing.T) {
	x := loggedIn(t).c("PASV").s(ok227).opens(passive)
	x.heard(x.d.End("the policy changed", nil)).follows("close", "over: the policy changed").opensNothing().isOver()
	if more := x.d.End("again", nil); len(more) > 0 {
		t.Errorf("told again: %v", more)
	}
}

func TestTheStateOfADialogueInAWord(t *testing.T) {
	for want, x := range map[string]*script{
		"greeting": talk(t), "dialogue": greeted(t), "encrypted": greeted(t).c("AUTH TLS").s("234 x"), "unhelped": greeted(t).c("Host: x"),
	} {
		if got := x.d.State(); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	if loggedIn(t).d.LoggedIn() != true || greeted(t).d.LoggedIn() != false || !greeted(t).d.Greeted() || talk(t).d.Greeted() {
		t.Error("logged in, greeted")
	}
}
