package dialogue_test

import (
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// The rule book: when 227 and 229 are not believed any more. Servers write names of files
// and directories as they are, and these can hold CR LF and a 227.

func TestSTATWithAnArgumentEndsBelief(t *testing.T) {
	loggedIn(t).c("STAT q").follows("doubted: STAT").s("213-x", "213 end").isDoubted("STAT")
	loggedIn(t).c("stat -la").isDoubted("STAT")
	loggedIn(t).c("STAT").s("211-status", "211 end").isHelped()
}

// The name of a directory ends the reply to STAT, and answers the PASV: vsftpd 3.0.3.
func TestANameInSTATAnswersNoPASV(t *testing.T) {
	x := loggedIn(t).c("STAT q", "PASV")
	x.s("213-Status follows:", "drwxr-xr-x    2 1000     1000           40 Jan 01 00:00 a", "213 x", ok227).opensNothing()
	x.s("213 End of status", ok227).opensNothing()
}

func TestTheReplyToMLSTEndsBelief(t *testing.T) {
	for _, reply := range [][]string{{"250-x", " type=file; x", "250 end"}, {"550 'x' cannot be listed"}, {"501 x"}} {
		x := loggedIn(t).c("MLST x").saysNothing().s(reply...).follows("doubted: MLST").isDoubted("MLST")
		x.c("MLST x").s("250 x").saysNothing()
	}
	loggedIn(t).c("MLST q", "PASV").s("250-x", " type=file; a", "250 x", ok227).opensNothing()
	loggedIn(t).c("MLST q", "PASV").s(ok227).opensNothing() // it may be a part of the name
	loggedIn(t).c("PASV").s(ok227).opens(passive).c("MLST x").follows("close", "doubted").opensNothing()

	loggedIn(t).c("PASV").s(ok227).c("MLSD").s("150 here", "226 done").isHelped() // its names go another way
}

// ncftp asks so before each transfer.
func TestTheReplyOfAServerThatDoesNotKnowMLSTHasNoNameInIt(t *testing.T) {
	loggedIn(t).c("MLST x").s("500 Unknown command").isHelped()
	loggedIn(t).c("MLST x").s("502 not here").isHelped()
}

// Then no 227 can lead to anything but the ports on which the server waits for data.
func TestMLSTEndsNoBeliefWhereTheServerHasPassivePorts(t *testing.T) {
	some := func(r *dialogue.Rules) { r.PassivePorts = dialogue.Ports{First: 50000, Last: 50100} }
	loggedIn(t, some).c("MLST x").s("250-x", " type=file; x", "250 end").isHelped()
	loggedIn(t, some).c("PASV").s(ok227).opens(passive).c("MLST x").s("250 x").isHelped()
	loggedIn(t, some).c("STAT x").isDoubted("STAT")
}

// A name with CR LF in it: proftpd 1.3.8 shows it so.
func TestA257ThatDoesNotCloseItsQuoteEndsBelief(t *testing.T) {
	loggedIn(t).c("PWD").s(`257 "/up/a`).follows("doubted: the name in a 257").isDoubted("257")
	loggedIn(t).c("PWD", "PASV").s(`257 "/a`, ok227).opensNothing()
	loggedIn(t).c("MKD x").s(`257 "/a""`).isDoubted("257")
	loggedIn(t).c("MKD x").s(`257 "`).isDoubted("257")
	loggedIn(t).c("MKD x").s(`257-"/a`, "257 end").isDoubted("257")
	loggedIn(t).c("MKD x").s(`257 "` + strings.Repeat("a", 5000) + `"`).isDoubted("257") // nobody knows

	for _, honest := range []string{`257 "/"`, `257 "/a""b" created`, `257 "/a"b" created`, `257 """" created`, `257 directory created`, `257 ""`} {
		loggedIn(t).c("PWD").s(honest).isHelped()
	}
	loggedIn(t).c("STAT").s("211-x", `257 "/a`, "211 end").isHelped() // text
}

func TestALineOfTheServerThatIsNoReplyEndsBelief(t *testing.T) {
	for _, line := range []string{"hello", "", "2000 x", "600 x", "200x", "200", "22", " 200 x", "200\tx", "\xff\xfe\x01250 x"} {
		loggedIn(t).c("NOOP").s(line).follows("doubted: a line of the server")
	}
	loggedIn(t).c("NOOP").s("hello").s("200 ok").isDoubted("no reply")
	loggedIn(t).c("NOOP").s("200").isDoubted("no reply") // to some clients it is one
	loggedIn(t).c("STAT").s("211-status", "hello", "", "200", "211 end").isHelped()
}

func TestAReplyToNoCommandEndsBelief(t *testing.T) {
	loggedIn(t).s("200 ok").follows("doubted: a reply to no command").isDoubted("no command")
	loggedIn(t).s("500 what?").isDoubted("no command")
	loggedIn(t).c("NOOP").s("200 ok", "200 ok").isDoubted("no command")
	transferring(t).s("226 done", "226 done").isDoubted("no command")
	loggedIn(t).s("150 x").saysNothing().isHelped() // not final
	loggedIn(t).s("421 x").saysNothing().isHelped() // at any time
	loggedIn(t).s("220-x", "220").saysNothing()     // not complete
	greeted(t).s("230 come in").c(port, "RETR x").opensNothing()
}

func TestA227OrA229ThatWasNotAskedForEndsBelief(t *testing.T) {
	loggedIn(t).s(ok227).follows("refused: an announcement that was not asked for", "doubted").isDoubted("not asked for")
	loggedIn(t).s(ok229).isDoubted("not asked for")
	loggedIn(t).c("NOOP").s(ok227).isDoubted("not asked for")
}

func TestA227AnswersNothingElse(t *testing.T) {
	greeted(t).c("USER u").s(ok227).c(port, "RETR x").opensNothing() // it lets nobody in
	greeted(t).c("USER u").s("331 x").c("PASS p").s(ok229).c(port, "RETR x").opensNothing()
}

func TestASecond227ForOnePASVEndsBelief(t *testing.T) {
	loggedIn(t).c("PASV").s(ok227).opens(passive).s(ok227).opensNothing().isDoubted("not asked for")
	loggedIn(t).c("EPSV").s(ok229).opens(passive).s(ok229).opensNothing().isDoubted("not asked for")
	loggedIn(t).c("PASV", "NOOP").s(ok227).opens(passive).s("227 x (10,2,5,5,31,145)").opensNothing()
}

func TestA227CountsOnlyAfterPASV(t *testing.T) {
	loggedIn(t).c("EPSV").s(ok227).opensNothing()
	loggedIn(t).c("CWD x").s(ok227).opensNothing()
	loggedIn(t).s(ok227).opensNothing()
	loggedIn(t).c("PASV").s(ok227).opens(passive)
}

func TestA229CountsOnlyAfterEPSV(t *testing.T) {
	loggedIn(t).c("PASV").s(ok229).opensNothing()
	loggedIn(t).c("CWD x").s(ok229).opensNothing()
	loggedIn(t).s(ok229).opensNothing()
	loggedIn(t).c("EPSV").s(ok229).opens(passive)
}

func TestWhereBeliefEndsAnOpenPassivePinholeCloses(t *testing.T) {
	for _, doubt := range []func(x *script){
		func(x *script) { x.c("STAT q") },
		func(x *script) { x.c("MLST") },
		func(x *script) { x.client.Urgent(); x.c("CWD x") },
		func(x *script) { x.s("200 ok") },
		func(x *script) { x.s("hello") },
		func(x *script) { x.s(`257 "x`) },
		func(x *script) { x.s(ok227) },
	} {
		x := loggedIn(t).c("PASV").s(ok227).opens(passive)
		doubt(x)
		x.opensNothing()
		if x.count(dialogue.Close) != 1 || x.count(dialogue.Doubted) != 1 {
			t.Errorf("told of what closes and why:\n%s", x.transcript())
		}
	}
}

// What the client says of itself no name of a file can say.
func TestWhereBeliefEndsActiveModeGoesOn(t *testing.T) {
	x := loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).s("hello").opens(active)
	x.s("150 here", "226 done").opensNothing().isDoubted("no reply")
}

// The server takes the urgent byte out of the stream, so what it read is not known.
func TestUrgentDataInACommandEndsBelief(t *testing.T) {
	x := loggedIn(t)
	x.client.Urgent()
	x.c("CWD x").follows("doubted: a command with urgent data").s("250 ok").isDoubted("urgent")
	x = transferring(t)
	x.client.Urgent()
	x.c("\xff\xf4\xff\xf2ABOR").s("426 x", "226 x").isHelped() // where it belongs
}

// One end says that it has bytes which were never seen here.
func TestBytesThatSomebodyElseReadEndBelief(t *testing.T) {
	x := loggedIn(t).c("PASV").s(ok227).opens(passive)
	x.heard(x.d.Unread(nil)).follows("close", "doubted: bytes").c("NOOP").s("200 ok").isDoubted("not read")
	x = loggedIn(t).c(port).s(ok200).c("RETR x").opens(active)
	x.heard(x.d.Unread(nil)).opens(active) // it may lie
	x = talk(t).c("USER u")
	x.heard(x.d.Unread(nil)).follows("doubted").s("220 hello", "331 x").c("PASS p").s("230 in").isDoubted("not read")
}

func TestThatBeliefEndsIsToldOnce(t *testing.T) {
	x := loggedIn(t).c("STAT q", "MLST q").s("hello", "hello").s("213 x", "250 x", "200 x", ok227)
	if n := x.count(dialogue.Doubted); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// A PASV may have been among them, or what makes a server write names.
func TestAfterLostBytesOfTheClientNo227IsBelieved(t *testing.T) {
	x := loggedIn(t)
	x.heard(x.d.LoseClient(nil)).follows("doubted: bytes").c("NOOP").s("200 ok").isDoubted("not read")

	x = loggedIn(t).c("PASV").s(ok227).opens(passive)
	x.heard(x.d.LoseClient(nil)).follows("close", "doubted").opensNothing()

	x = loggedIn(t).c(port).s(ok200).c("RETR x").opens(active)
	x.heard(x.d.LoseClient(nil)).opensNothing()
}

func TestAfterLostBytesOfTheServerNo227IsBelieved(t *testing.T) {
	x := loggedIn(t).c("STAT").s("211-status")
	x.heard(x.d.LoseServer(nil)).c("NOOP").s("200 ok").isDoubted("not read")
}

func TestLostBytesBeforeTheFirstCommandEndHelp(t *testing.T) {
	x := greeted(t)
	x.heard(x.d.LoseClient(nil)).isOver()
	x = talk(t)
	x.heard(x.d.LoseClient(nil)).isOver()
}

func TestALostGreetingEndsHelp(t *testing.T) {
	x := talk(t).c("USER u")
	x.heard(x.d.LoseServer(nil)).isOver()
}

// The login stays: that bytes were not read proves nothing.
func TestAfterLostBytesACommandAndItsReplyComeFirst(t *testing.T) {
	for _, lose := range []func(d *dialogue.Dialogue) []dialogue.Decision{
		func(d *dialogue.Dialogue) []dialogue.Decision { return d.LoseClient(nil) },
		func(d *dialogue.Dialogue) []dialogue.Decision { return d.LoseServer(nil) },
	} {
		x := loggedIn(t)
		x.heard(lose(&x.d)).c(port, "RETR x").opensNothing()

		x = loggedIn(t)
		x.heard(lose(&x.d)).c(port).s(ok200).c("RETR x").opens(active)
	}
}
