package dialogue_test

import (
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// The rule book: lines, and what is FTP.

func TestAClientsLineEndsWithLF(t *testing.T) {
	loggedIn(t).fromClient(port + "\nRETR x\n").opens(active)
	loggedIn(t).fromClient(port + "\r\nRETR x\r\n").opens(active)
	loggedIn(t).fromClient(port + "\rRETR x\r\n").opensNothing() // one line: a PORT with nonsense behind it
	loggedIn(t).c(port).fromClient("RETR x\r").opensNothing().fromClient("\n").opens(active)
}

func TestAServersLineEndsWithCRLFAlone(t *testing.T) {
	x := loggedIn(t).c("CWD x", "PASV")
	x.fromServer("550 x\n" + ok227 + ": no such directory\r\n").opensNothing() // proftpd echoes it so
	x.s(ok227).opens(passive)

	x = loggedIn(t).c("PASV").fromServer(ok227 + "\n").opensNothing()
	x.fromServer("\r\n").opens(passive)
}

// Some servers end a line at a NUL, and vsftpd makes a line feed of it.
func TestALineWithANULInItIsNotActedOn(t *testing.T) {
	loggedIn(t).c(port + "\x00").follows("refused").c("RETR x").opensNothing()
	loggedIn(t).c(port).s(ok200).c("RETR x\x00y").opensNothing()
	loggedIn(t).c("PASV\x00x").isOver() // not even a command
	loggedIn(t).c("PASV \x00").s(ok227).opensNothing()
	loggedIn(t).c("MKD a\x00b").s(`257 "a\x00b" created`).isHelped()
}

// What it takes away, it takes away all the same.
func TestALineWithANULInItClosesAsAnyOther(t *testing.T) {
	for _, line := range []string{"ABOR \x00", "QUIT \x00", "USER \x00", "REIN \x00", "PORT \x00", "PASV \x00"} {
		loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c(line).opensNothing()
	}
	loggedIn(t).c("STAT x\x00").isDoubted("STAT")
	loggedIn(t).c("MLST x\x00").s("250 x").isDoubted("MLST")
}

// A line too long to keep may say anything after its beginning.
func TestALineLongerThanIsReadIsNotActedOn(t *testing.T) {
	long := strings.Repeat(" ", 5000)
	loggedIn(t).c(port + long).follows("refused").c("RETR x").opensNothing()
	loggedIn(t).c(port).s(ok200).c("RETR " + long).opensNothing()
	loggedIn(t).c("MKD " + long).s("257 created").isHelped()
	loggedIn(t).c("PASV").s(ok227 + long).opensNothing()
}

// The receiver takes an urgent byte out of the line, or not.
func TestALineWithUrgentDataIsNotActedOn(t *testing.T) {
	urgent := func(x *script, line string) *script { x.client.Urgent(); return x.c(line) }
	urgent(loggedIn(t), port).follows("doubted", "refused").c("RETR x").opensNothing()
	urgent(loggedIn(t).c(port).s(ok200), "RETR x").opensNothing()
	urgent(loggedIn(t).c(port).s(ok200).c("RETR x").opens(active), "\xff\xf4\xff\xf2ABOR").opensNothing()
}

// Servers take Telnet commands out at different moments, so they do not agree on the line.
func TestATelnetCommandInALineEndsHelp(t *testing.T) {
	loggedIn(t).c("MKD a\r\xff\xfb\x01").isOver()
	loggedIn(t).c("\xff\xf4\xff\xf2STAT").isOver()
	loggedIn(t).c("ABOR \xff\xf4").isOver()
	loggedIn(t).c("P\xff\xf4ORT 10,1,4,4,180,117").isOver()
	loggedIn(t).c("\xff\xf4\xff\xf2PORT 10,1,4,4,180,117").isOver()
}

func TestTheTelnetSequenceBeforeABORDoesNot(t *testing.T) {
	for _, abor := range []string{"\xff\xf4\xff\xf2ABOR", "\xf2ABOR", "\xff\xf4\xf2ABOR"} {
		loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c(abor).opensNothing().s("426 broken off", "226 aborted").isHelped()
	}
}

// Whatever stands inside a multi-line reply is text.
func TestOnlyItsOwnCodeAndASpaceEndAMultiLineReply(t *testing.T) {
	x := loggedIn(t).c("FEAT", "PASV")
	x.s("211-features", " PASV", ok227, "229 x (|||50000|)", "211-more", "211", "211x", " 211 x", "212 x").saysNothing().opensNothing()
	x.s("211 end").saysNothing()
	x.s(ok227).opens(passive)
}

// Some clients read the first line of a reply, and some the last.
func TestA227OfManyLinesIsReadFromItsLastLine(t *testing.T) {
	loggedIn(t).c("PASV").s("227-" + ok227[4:]).opensNothing().s("227 ok").opensNothing()
	loggedIn(t).c("PASV").s("227-ok").opensNothing().s(ok227).opens(passive)
}

func TestTextBeforeTheGreetingIsSkipped(t *testing.T) {
	x := talk(t).s("Welcome.", "", "2200 not yet", "*** 227 users ***").saysNothing()
	if x.d.Greeted() {
		t.Error("greeted by text")
	}
	x.s("220 hello").follows("began").c("USER u").s("331 x").c("PASS p").s("230 x").isHelped()
}

func TestTheGreetingIs220(t *testing.T) {
	talk(t).s("220 hello").follows("began")
	talk(t).s("220-hello", "220-all", "227 x").saysNothing().s("220 of you").follows("began")
	for _, other := range []string{"200 ok", "230 in", "234 x", ok227, "331 x", "257 \"/\""} {
		talk(t).s(other).isOver()
	}
}

func TestTheGreetingMayBeDelayed(t *testing.T) {
	talk(t).s("120 in a minute").saysNothing().s("220 now").follows("began")
}

// A server that is busy closes the connection; nothing is FTP before it has greeted.
func TestAServerThatIsBusyDoesNotGreet(t *testing.T) {
	for _, busy := range []string{"421 too many users", "530 go away", "500 x"} {
		x := talk(t).c("USER u", port, "RETR x").s(busy)
		if x.opensNothing(); x.d.Greeted() {
			t.Errorf("greeted by %q", busy)
		}
	}
}

// lftp with sync-mode off does so.
func TestTheClientMaySpeakBeforeTheGreeting(t *testing.T) {
	x := talk(t).c("FEAT", "USER u", "PASS p").saysNothing()
	x.s("220 hello").follows("began").s("211-features", "211 end", "331 password?", "230 welcome").isHelped()
}

func TestNothingOpensBeforeTheGreeting(t *testing.T) {
	talk(t, func(r *dialogue.Rules) { r.RequireLogin = false; r.OpenOnPort = true }).c(port, "RETR x").opensNothing()
}

// Which words are FTP is told by a list, not by their shape.
func TestEveryLineOfTheClientIsACommandOfFTP(t *testing.T) {
	for _, line := range []string{
		"POST / HTTP/1.1", "Host: x", "GET / HTTP/1.1", "PUT /x", "EHLO x", "SSH-2.0-x", "XYZZY", "FOO", "HELLO world",
		" NOOP", "\tNOOP", "-", "227 x", "\x16\x03\x01", "{}", "NOOP\tx", "NOO-P",
	} {
		loggedIn(t).c(line).isOver()
		greeted(t).c(line).isOver()
		talk(t).c(line).isOver() // before the greeting too
	}
	for _, line := range []string{
		"SITE CHMOD 644 x", "XCRC x", "CLNT x", "OPTS UTF8 ON", "FEAT", "LANG en", "MFMT 1 x", "ALLO 5", "SYST", "SIZE x", "noop", "PRET LIST",
	} {
		loggedIn(t).c(line).s("200 x").isHelped()
	}
}

func TestAnOperatorMayNameMoreCommands(t *testing.T) {
	named := func(r *dialogue.Rules) { r.Verbs = []string{"XYZZY", "FROB"} }
	loggedIn(t, named).c("xyzzy 1", "FROB").s("200 x", "500 x").isHelped()
	loggedIn(t, named).c("XYZZ").isOver()
	loggedIn(t, named).c("XYZZY: x").isOver()
}

func TestAnEmptyLineIsNoCommand(t *testing.T) {
	greeted(t).fromClient("\r\n\n\r\n").c("USER u").s("331 x").c("PASS p").s("230 x").isHelped()
	loggedIn(t).c("").isHelped()
}
