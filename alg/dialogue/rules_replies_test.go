package dialogue_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// The rule book: whose reply a reply is. What the servers named here do is recorded in
// testdata.

// transferring is a download that is under way.
func transferring(t *testing.T) *script {
	t.Helper()
	return loggedIn(t).c(port).s(ok200).c("RETR big").opens(active).connected().s("150 here it comes")
}

func TestRepliesComeInTheOrderOfTheCommands(t *testing.T) {
	x := loggedIn(t).c("TYPE I", "NOOP", port, "SYST", "RETR x").opens(active)
	x.s("200 type").s("200 noop").s("500 no such PORT").follows("close").opensNothing()
	x.s("215 UNIX").s("425 no").isHelped()
}

func TestA1xxReplyIsNotFinal(t *testing.T) {
	x := loggedIn(t).c(port).s(ok200).c("RETR x").opens(active)
	x.s("150 here").follows("under way").opens(active).s("150 again", "125 x", "110 restart", "199 x").saysNothing().opens(active)
	x.s("226 done").follows("close").opensNothing().isHelped()
}

// That a transfer is under way is told once, and of the live announcement alone.
func TestA150IsOfTheFirstTransferThatHasNotBegun(t *testing.T) {
	loggedIn(t).c("RETR x").s("150 here").saysNothing()
	loggedIn(t).c("NOOP").s("150 here").saysNothing()
	x := transferring(t).c(port, "RETR x").opens(active)
	x.s("226 done").opens(active).s(ok200).s("150 here").follows("under way").s("226 done").opensNothing()
}

func TestA421MayComeAtAnyTime(t *testing.T) {
	loggedIn(t).s("421 time is up").isHelped()
	loggedIn(t).c("NOOP").s("421 closing").s("200 ok").isHelped()
	loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).s("421 closing").follows("close").opensNothing()
	loggedIn(t).c("PASV").s(ok227).opens(passive).s("421 closing").opensNothing()
}

// vsftpd: 226 or 426, then 225. proftpd: the same, then 226. pyftpdlib: 426 and 226.
func TestAnABORBesideATransferGetsTwoReplies(t *testing.T) {
	for _, replies := range [][]string{
		{"226 done", "225 nothing to abort"},
		{"426 broken off", "225 x"},
		{"426 broken off", "226 aborted"},
		{"226 done", "226 aborted"},
		{"451 x", "226 aborted"},
		{"426 broken off", "451 x"},
		{"426 broken off", "500 ABOR?"},
	} {
		transferring(t).c("ABOR").follows("close").opensNothing().s(replies...).saysNothing().isHelped()
	}
}

// pure-ftpd where the client closes the data connection, pyftpdlib beside an upload.
func TestAnABORBesideATransferMayGetOneReply(t *testing.T) {
	for _, reply := range []string{"226 aborted", "225 aborted", "426 broken off"} {
		transferring(t).c("ABOR").s(reply).saysNothing().isHelped()
		transferring(t).c("ABOR").s(reply).c("NOOP").s("200 ok").c("PASV").s(ok227).opens(passive)
		transferring(t).c("ABOR").s(reply).c(port).s(ok200).c("RETR x").opens(active).s("550 x").opensNothing()
	}
}

// pure-ftpd after an ABOR with the telnet sequence.
func TestAnABORMayGetNoReply(t *testing.T) {
	abor := "\xff\xf4\xff\xf2ABOR"
	transferring(t).c(abor).c("NOOP").s("200 ok").isHelped()
	loggedIn(t).c(abor).c("NOOP").s("200 ok").c(abor).c("SYST").s("215 UNIX").isHelped()
}

func TestAnABORWithoutATransferLeavesThePORTStanding(t *testing.T) {
	for _, reply := range []string{"225 no transfer", "226 aborted"} {
		loggedIn(t).c(port).s(ok200).c("ABOR").saysNothing().s(reply).c("RETR x").opens(active)
	}
	loggedIn(t).c("PASV").s(ok227).opens(passive).c("ABOR").follows("close").opensNothing()
}

// vsftpd and proftpd, which read nothing beside a transfer.
func TestNOOPAndSTATBesideATransferMayBeAnsweredAfterIt(t *testing.T) {
	x := transferring(t).c("NOOP", "STAT", "NOOP").opens(active)
	x.s("226 done").follows("close").s("200 noop", "211-status", "211 end", "200 noop").saysNothing().isHelped()
}

// pyftpdlib; proftpd answers STAT so.
func TestNOOPAndSTATBesideATransferMayBeAnsweredBeforeItsEnd(t *testing.T) {
	x := transferring(t).c("NOOP").s("200 noop").c("STAT").s("211-status", "211 end").c("NOOP").s("200 noop").opens(active)
	x.s("226 done").follows("close").isHelped()

	x = loggedIn(t).c("PASV").s(ok227).c("RETR x", "STAT").s("211 status").opens(passive) // before the 150 too
	x.connected().s("150 here", "226 done").opensNothing().isHelped()
}

// pure-ftpd answers what it has read in one go with one 500.
func TestCommandsBesideATransferMayGetOneReplyInAll(t *testing.T) {
	x := transferring(t).c("NOOP", "NOOP", "NOOP").s("500 Unknown command").opens(active)
	x.s("226 done").follows("close").opensNothing().c("NOOP").s("200 ok").isHelped()

	transferring(t).c("STAT", "NOOP").s("500 Unknown command").opens(active).s("226 done").opensNothing().isHelped()

	// The others are not due any more when another reply comes.
	x = transferring(t).c("NOOP", "NOOP", "NOOP").s("500 Unknown command", "226 done")
	x.c("USER other").s("331 password?").c("PASS p").s("530 wrong").c(port).s("530 who?").c("RETR x").opensNothing()

	// What it does not do then is not open.
	x = transferring(t).c(port).s("500 Unknown command").opensNothing().s("226 done").c("RETR x").opensNothing()
	x.s("425 no data connection").isHelped()
	transferring(t).c("PASV").s("500 Unknown command", "226 done").opensNothing().isHelped()
}

func TestAHundredNOOPsBesideATransfer(t *testing.T) {
	noops := slices.Repeat([]string{"NOOP"}, 100)
	answers := slices.Repeat([]string{"200 noop"}, 100)
	transferring(t).c(noops...).s("226 done").opensNothing().s(answers...).isHelped()
	transferring(t).c(noops...).s(answers...).opens(active).s("226 done").opensNothing().isHelped()
	transferring(t).c(noops...).s("226 done").isHelped() // not one is answered
}

// pyftpdlib does at once what comes beside a transfer.
func TestPORTAndPASVBesideATransferMayBeAnsweredAtOnce(t *testing.T) {
	x := transferring(t).c("PASV").opensNothing().s(ok227).opens(passive).s("226 done").opens(passive)
	x.c("RETR x").s("150 here", "226 done").follows("close").isHelped()

	x = transferring(t).c(port).s(ok200).c("RETR y").opens(active).s("150 here").opens(active)
	x.s("226 done").opensNothing().isHelped()
}

// vsftpd and pure-ftpd do not answer it, proftpd and pyftpdlib say 500.
func TestAnEmptyLineMayBeAnsweredOrNot(t *testing.T) {
	for _, answer := range [][]string{{}, {"500 Invalid command"}} {
		loggedIn(t).c("").s(answer...).isHelped()
		loggedIn(t).c("", "NOOP", "").s(answer...).s("200 ok").s(answer...).c("SYST").s("215 UNIX").isHelped()
		transferring(t).c("", "NOOP").s(answer...).s("200 ok").opens(active).s("226 done").opensNothing().isHelped()
		transferring(t).c("", "NOOP").s("226 done").opensNothing().s(answer...).s("200 ok").isHelped()
	}
}

func TestTwoTransferCommandsAreTwo(t *testing.T) {
	x := loggedIn(t).c(port, "RETR x", "RETR y").s(ok200, "150 here", "226 done").opensNothing()
	x.c(port).s("503 there is no PORT for y").s(ok200).c("RETR z").opens(active)
}

// pyftpdlib answers PORT when it has connected, and RETR before.
func TestA150MayComeBeforeThe200ToPORT(t *testing.T) {
	x := loggedIn(t).c(port, "RETR x").opens(active).connected()
	x.s("150 here").follows("under way").s(ok200).opens(active).s("226 done").follows("close").isHelped()
}

func TestAfterA150WhatStandsBeforeItIsNotAnsweredAnyMore(t *testing.T) {
	x := loggedIn(t).c("NOOP", "NOOP", port, "RETR x").s("150 here").opens(active) // the first three got no reply
	x.s("226 done").follows("close").isHelped()
}

// pure-ftpd where the client breaks off a download.
func TestATransferThatWasBrokenOffMayGetNoReply(t *testing.T) {
	x := transferring(t).c(port).s(ok200).c("RETR y").opens(active)
	x.s("150 here").follows("under way").s("226 done").follows("close").opensNothing().isHelped()
}

func TestA227FindsItsPASVBehindOthers(t *testing.T) {
	x := loggedIn(t).c("NOOP", "SYST", "PASV").s(ok227).opens(passive) // two replies stay away
	x.c("RETR x").s("150 here", "226 done").opensNothing().isHelped()
}

func TestA229FindsItsEPSVBehindOthers(t *testing.T) {
	x := loggedIn(t).c("NOOP", "SYST", "EPSV").s(ok229).opens(passive)
	x.c("RETR x").s("150 here", "226 done").opensNothing().isHelped()
}

// RFC 959, section 4.1.1: it is for the end of the transfer.
func TestQUITLetsATransferComeToItsEnd(t *testing.T) {
	x := loggedIn(t).c(port, "RETR x", "QUIT").opens(active).s(ok200, "150 here").opens(active)
	x.s("226 done").follows("close").s("221 bye").opensNothing()

	loggedIn(t).c(port, "RETR x", "QUIT").opens(active).s("221 bye").follows("close").opensNothing()
	loggedIn(t).c(port).s(ok200).c("QUIT").c("RETR x").opensNothing()
	loggedIn(t).c("PASV").s(ok227).opens(passive).c("QUIT").opensNothing()
	transferring(t).c("QUIT").s("500 Unknown command", "426 broken off").opensNothing().isHelped() // pure-ftpd stays
}

// A client that sends ahead without end is not followed.
func TestManyCommandsWithoutAReply(t *testing.T) {
	x := loggedIn(t).c(slices.Repeat([]string{"NOOP"}, 60000)...) // of one kind they are counted
	if !x.d.Followed() {
		t.Error("NOOPs are not followed")
	}
	x = loggedIn(t).c(slices.Repeat([]string{"NOOP", "STAT"}, 10)...).isFollowed()
	x.c("NOOP").isOver()
	x = loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c(slices.Repeat([]string{"NOOP", "STAT"}, 10)...).isOver()
	if !strings.Contains(x.transcript(), "too many commands") {
		t.Error(x.transcript())
	}
}

func (x *script) isFollowed() *script {
	x.t.Helper()
	if !x.d.Followed() || x.count(dialogue.Over) > 0 {
		x.t.Errorf("not followed:\n%s", x.transcript())
	}
	return x
}
