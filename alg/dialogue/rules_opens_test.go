package dialogue_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

// The rule book: what opens, when, and when it closes.

func TestATransferCommandOpensWhatPORTAnnounced(t *testing.T) {
	for _, command := range []string{"RETR x", "STOR x", "STOU", "APPE x", "LIST", "NLST", "MLSD", "list -la"} {
		x := loggedIn(t).c(port).follows("announced " + active).opensNothing().s(ok200).opensNothing()
		x.c(command).follows("open " + active).opens(active).s("150 here").follows("under way " + active).opens(active)
		x.s("226 done").follows("close " + active + ": transfer complete").opensNothing()
	}
	for _, command := range []string{"NOOP", "STAT", "MLST", "SIZE x", "TYPE I", "REST 5", "SITE x", "ALLO 5", "PROT P"} {
		loggedIn(t).c(port).s(ok200).c(command).opensNothing()
	}
}

func TestEPRTAnnouncesAsPORTDoes(t *testing.T) {
	loggedIn(t).c("EPRT |1|10.1.4.4|46197|").s(ok200).opensNothing().c("RETR x").opens(active)
	x := loggedIn(t)
	x.terms.Client, x.terms.Server = addr("fd00:1::4"), addr("fd00:2::5")
	x.c("EPRT |2|fd00:1:0::4|46197|").s(ok200).c("RETR x").opens("active [fd00:1::4]:46197 from 20")
}

func TestThePinholeOpensThoughThe200IsStillToCome(t *testing.T) {
	loggedIn(t).c(port, "RETR x").opens(active).s(ok200).opens(active).s("150 here", "226 done").opensNothing()
	loggedIn(t).c(port, "RETR x").opens(active).s("500 no").follows("close").opensNothing().s("425 no").opensNothing()
}

func TestAPORTThatTheServerRefusesIsDiscarded(t *testing.T) {
	for _, refusal := range []string{"500 Illegal PORT command.", "425 x", "501 x", "331 x"} {
		loggedIn(t).c(port).s(refusal).follows("close").c("RETR x").opensNothing()
	}
}

// The whole login, PORT and RETR in one segment.
func TestThePinholeOpensWithTheReplyThatLetsTheClientIn(t *testing.T) {
	x := greeted(t).c("USER u", "PASS p", port, "RETR x").opensNothing().s("331 password?").opensNothing()
	x.s("230 welcome").opens(active).s(ok200, "150 here", "226 done").opensNothing().isHelped()

	x = talk(t).c("USER u", "PASS p", port, "RETR x").s("220 hello").opensNothing().s("331 password?").opensNothing()
	x.s("230 welcome").opens(active)
}

func TestAndNeverIfItDoesNot(t *testing.T) {
	x := greeted(t).c("USER u", "PASS p", port, "RETR x").s("331 password?").opensNothing()
	x.s("530 wrong").follows("refused").opensNothing().s("530 who are you?", "530 who are you?").opensNothing()

	greeted(t).c("USER u", "PASS p", port, "RETR x", "ABOR").s("331 x", "230 welcome").opensNothing()
}

// Before the login the port may be announced, and the login comes after it.
func TestWithoutALoginNothingOpens(t *testing.T) {
	greeted(t).c(port).follows("refused " + active + ": nobody is logged in").s(ok200).c("RETR x").opensNothing()
	greeted(t).c("PASV").s(ok227).follows("refused").opensNothing()
	greeted(t).c("USER u").s("331 x").c(port).s(ok200).c("RETR x").opensNothing()
	greeted(t).c("USER u").s("331 x").c("PASS p").s("530 x").c(port, "RETR x").opensNothing()
	greeted(t).c("USER u").s("331 x").c("PASS p").s("332 account?").c(port, "RETR x").opensNothing()
}

func TestAnOperatorMayDoWithoutLogin(t *testing.T) {
	anybody := func(r *dialogue.Rules) { r.RequireLogin = false }
	greeted(t, anybody).isHelped()
	talk(t, anybody).c(port, "RETR x").opensNothing().s("220 hello").opens(active)
}

func TestAny2xxToUSERPASSOrACCTIsALogin(t *testing.T) {
	greeted(t).c("USER u").s("230 in").isHelped()
	greeted(t).c("USER u").s("232 in").isHelped()
	greeted(t).c("USER u").s("331 x").c("PASS p").s("202 not needed").isHelped()
	greeted(t).c("USER u").s("331 x").c("PASS p").s("332 account?").c("ACCT a").s("230 in").isHelped()
}

func TestANewUSERLogsOut(t *testing.T) {
	loggedIn(t).c("USER other").s("331 x").c(port, "RETR x").opensNothing()
	loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c("USER other").follows("close").opensNothing()
	loggedIn(t).c("USER other").c(port, "RETR x").opensNothing().s("331 x").opensNothing() // it may be a while
	loggedIn(t).c("USER other").s("530 stay").isHelped()                                   // refused: all is as before
}

func TestREINLogsOut(t *testing.T) {
	loggedIn(t).c("REIN").s("220 anew").c(port, "RETR x").opensNothing()
	loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c("REIN").follows("close").opensNothing()
	loggedIn(t).c("REIN", port, "RETR x").opensNothing() // it may be done already
	loggedIn(t).c("REIN").s("502 not here").isHelped()
	loggedIn(t).c("REIN").s("220 anew").c("USER u").s("331 x").c("PASS p").s("230 x").isHelped()
}

func TestTheAddressOfPORTIsTheClientsOwn(t *testing.T) {
	for _, foreign := range []string{
		"PORT 10,1,4,5,180,117", "PORT 10,2,5,5,180,117", "PORT 127,0,0,1,180,117", "PORT 0,0,0,0,180,117",
		"EPRT |1|10.1.4.5|46197|", "EPRT |2|fd00::1|46197|",
	} {
		x := loggedIn(t).c(foreign).s(ok200).c("RETR x").opensNothing()
		if !x.violated() {
			t.Errorf("%s is no violation:\n%s", foreign, x.transcript())
		}
	}
}

// Clients connect there, whatever address a 227 names. It is told.
func TestA227IsHelpedTowardsTheServersOwnAddress(t *testing.T) {
	loggedIn(t).c("PASV").s(ok227).follows("announced "+passive, "open "+passive)
	for _, named := range []string{"0,0,0,0", "127,0,0,1", "192,168,7,7", "10,1,4,4"} {
		x := loggedIn(t).c("PASV").s("227 Entering Passive Mode (" + named + ",195,80).")
		x.follows("announced "+passive+": the 227 names another address", "open "+passive).opens(passive)
	}
}

func TestPortsThatThePolicyDeniesDoNotOpen(t *testing.T) {
	for _, asked := range [][2]string{
		{"PORT 10,1,4,4,3,255", ""},
		{"PORT 10,1,4,4,0,22", ""},
		{"PORT 10,1,4,4,23,112", ""},
		{"EPRT |1|10.1.4.4|3306|", ""},
		{"PASV", "227 x (10,2,5,5,3,255)"},
		{"PASV", "227 x (10,2,5,5,23,112)"},
		{"EPSV", "229 x (|||22|)"},
		{"EPSV", "229 x (|||3306|)"},
	} {
		x := loggedIn(t).c(asked[0]).s(asked[1]).c("RETR x").opensNothing()
		if !x.violated() {
			t.Errorf("%s is no violation:\n%s", asked, x.transcript())
		}
	}
	loggedIn(t).c("PORT 10,1,4,4,4,0").s(ok200).c("RETR x").opens("active 10.1.4.4:1024 from 20")
}

func TestA227OutsideOfTheServersPassivePortsDoesNotOpen(t *testing.T) {
	some := func(r *dialogue.Rules) { r.PassivePorts = dialogue.Ports{First: 50000, Last: 50100} }
	loggedIn(t, some).c("PASV").s(ok227).opens(passive)
	loggedIn(t, some).c("EPSV").s("229 x (|||50100|)").opens("passive 10.2.5.5:50100")
	loggedIn(t, some).c("PASV").s("227 x (10,2,5,5,195,79)").follows("refused").opensNothing()
	loggedIn(t, some).c("EPSV").s("229 x (|||50101|)").follows("refused").opensNothing()
	loggedIn(t, some).c(port).s(ok200).c("RETR x").opens(active)
}

func TestAModeThatIsNotAllowedDoesNotOpen(t *testing.T) {
	loggedIn(t, func(r *dialogue.Rules) { r.Modes = []dialogue.Mode{dialogue.Passive} }).c(port).s(ok200).c("RETR x").opensNothing().
		s("425 x").c("PASV").s(ok227).opens(passive)
	loggedIn(t, func(r *dialogue.Rules) { r.Modes = []dialogue.Mode{dialogue.Active} }).c("PASV").s(ok227).opensNothing().
		c(port).s(ok200).c("RETR x").opens(active)
}

func TestTheSourcePortIsTheRules(t *testing.T) {
	for want, ports := range map[string]dialogue.Ports{"any": {}, "1-1023": {First: 1, Last: 1023}, "20": dialogue.Port(20)} {
		x := loggedIn(t, func(r *dialogue.Rules) { r.SourcePort = ports }).c(port).s(ok200).c("RETR x")
		x.opens("active 10.1.4.4:46197 from " + want)
	}
}

// For servers that connect before they answer PORT.
func TestAPinholeMayOpenAtTheAnnouncement(t *testing.T) {
	early := func(r *dialogue.Rules) { r.OpenOnPort = true }
	loggedIn(t, early).c(port).follows("announced", "open").opens(active).s(ok200).c("RETR x").opens(active).
		s("150 x", "226 done").opensNothing()
	loggedIn(t, early).c(port).opens(active).s("500 no").opensNothing()
	greeted(t, early).c(port).opensNothing()
	greeted(t, early).c("USER u", "PASS p", port).opensNothing().s("331 x").opensNothing().s("230 x").opens(active)
}

// The grammar is exact: where two programs could read a line otherwise, it opens nothing.
func TestAnAnnouncementThatIsNotExactDoesNotOpen(t *testing.T) {
	for _, asked := range [][2]string{
		{"PORT", ok200},
		{"PORT 10,1,4,4,180", ok200},
		{"PORT 10,1,4,4,180,117,1", ok200},
		{"PORT 10,1,4,4,180,373", ok200},
		{"PORT  10,1,4,4,180,117", ok200},
		{"PORT 10,1,4,4,180,117 ", ok200},
		{"PORT 10,1,4,4,180,117\r", ok200},
		{"PORT 10,1,4,4,0,0", ok200},
		{"EPRT |1|10.1.4.4|46197", ok200},
		{"EPRT |2|10.1.4.4|46197|", ok200},
		{"EPRT |1|10.1.4.4|65558|", ok200},
		{"PASV", "227 ok"},
		{"PASV", "227 x (10,2,5,5,195,80) (10,2,5,5,0,22)"},
		{"PASV", "227 x (10,2,5,5,195,336)"},
		{"EPSV", "229 x (|1|10.2.5.5|50000|)"},
		{"EPSV", "229 x (||50000|)"},
		{"EPSV", "229 x |||50000|"},
	} {
		loggedIn(t).c(asked[0]).s(asked[1]).c("RETR x").opensNothing()
	}
}

func TestThereIsOneLiveAnnouncement(t *testing.T) {
	second := "active 10.1.4.4:48641 from 20"
	loggedIn(t).c(port).s(ok200).c("PORT 10,1,4,4,190,1").s(ok200).c("RETR x").opens(second)
	loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c("PORT 10,1,4,4,190,1").follows("close", "announced").opensNothing()
	loggedIn(t).c(port).s(ok200).c("PASV").s(ok227).opens(passive)
	loggedIn(t).c("PASV").s(ok227).opens(passive).c(port).follows("close", "announced").opensNothing()
	loggedIn(t).c("PASV").s(ok227).c("EPSV").opensNothing().s(ok229).opens(passive)
	loggedIn(t).c("PASV", "PASV").s("227 x (10,2,5,5,195,79)").opensNothing().s(ok227).opens(passive) // the second counts
	loggedIn(t).c("PASV", port).s(ok227).opensNothing().s(ok200).c("RETR x").opens(active)
	loggedIn(t).c(port).s(ok200).c("PORT 1,2").c("RETR x").opensNothing() // one that is refused takes its place too
}

// RFC 959, section 5.4: a refused transfer leaves it as it was.
func TestARefusedTransferLeavesTheAnnouncementStandingClosed(t *testing.T) {
	for _, refusal := range []string{"550 no such file", "425 x", "450 x", "501 x"} {
		x := loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).s(refusal).follows("close " + active + ", standing").opensNothing()
		x.c("RETR y").opens(active).s("150 here", "226 done").opensNothing().c("RETR z").opensNothing()
	}
	x := loggedIn(t).c("PASV").s(ok227).opens(passive).c("RETR x").s("550 x").opensNothing()
	x.c("RETR y").opens(passive)
}

func TestTheNextTransferCommandMayBeThereAlready(t *testing.T) {
	x := loggedIn(t).c(port, "RETR missing", "RETR x").s(ok200).opens(active).s("550 no such file").opens(active)
	x.s("150 here").follows("under way").s("226 done").opensNothing()
	x = loggedIn(t).c(port, "RETR missing", "RETR gone").s(ok200, "550 x").opens(active).s("550 x").opensNothing()
	x.c("RETR x").opens(active)
}

func TestAnAnnouncementIsUsedOnce(t *testing.T) {
	x := loggedIn(t).c(port).s(ok200).c("RETR x").connected().s("150 here", "226 done").c("RETR y").opensNothing()
	x.s("425 use PORT first").isHelped()
	loggedIn(t).c(port).s(ok200).c("RETR x").connected().s("426 broken").follows("close").c("RETR y").opensNothing()
	loggedIn(t).c("PASV").s(ok227).connected().c("RETR x").s("550 x").opensNothing().c("RETR y").opensNothing()
}

func TestWhatClosesAPinhole(t *testing.T) {
	for _, end := range []string{"226 done", "250 done", "425 x", "426 x", "450 x", "451 x", "550 x"} {
		loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).s(end).opensNothing()
		loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).s("150 here", end).opensNothing()
		loggedIn(t).c("PASV").s(ok227).c("RETR x").opens(passive).s("150 here", end).opensNothing()
	}
	for _, end := range []string{"ABOR", "\xff\xf4\xff\xf2ABOR", "REIN", "USER x", "PASV", "EPSV", port, "LPRT 4", "LPSV", "CPSV", "Host: x"} {
		loggedIn(t).c(port).s(ok200).c("RETR x").opens(active).c(end).opensNothing()
	}
	x := loggedIn(t).c("PASV").s(ok227).opens(passive)
	x.heard(x.d.Withdraw("time", nil)).follows("close " + passive + ": time").opensNothing()
}

func TestAfterEPSVALLNothingElseIsHelped(t *testing.T) {
	all := func() *script { return loggedIn(t).c("EPSV ALL").s("200 ok") }
	all().c(port).follows("refused").s(ok200).c("RETR x").opensNothing()
	all().c("EPRT |1|10.1.4.4|46197|").follows("refused").s(ok200).c("RETR x").opensNothing()
	all().c("PASV").follows("refused").s(ok227).opensNothing()
	all().c("EPSV").s(ok229).opens(passive)
	all().c("PASV").s(ok227).c("EPSV").s(ok229).opens(passive) // pure-ftpd answers, and that is no doubt
	loggedIn(t).c("EPSV ALL").s("502 not here").isHelped()
	loggedIn(t).c("epsv all").s("200 ok").c("USER u").s("331 x").c("PASS p").s("230 x").c(port).follows("refused")
	loggedIn(t).c("EPSV ALL").s("200 ok").c("REIN").s("220 x").c("USER u").s("331 x").c("PASS p").s("230 x").isHelped()
}

// Servers answer it, and that is no doubt; but who knows where the client connects.
func TestAnEPSVForAnotherFamilyIsNotHelped(t *testing.T) {
	loggedIn(t).c("EPSV 2").follows("refused").s(ok229).opensNothing().isHelped()
	loggedIn(t).c("EPSV 1").s(ok229).opens(passive)
	loggedIn(t).c("EPSV 3").follows("refused").s(ok229).opensNothing().isHelped()
	loggedIn(t).c("EPSV x").follows("refused").s("501 x").isHelped()
	x := loggedIn(t)
	x.terms.Client, x.terms.Server = addr("fd00:1::4"), addr("fd00:2::5")
	x.c("EPSV 1").s(ok229).opensNothing().c("EPSV 2").s(ok229).opens("passive [fd00:2::5]:50000")
}

func TestAnnouncementsThatAreNotHelpedAreTold(t *testing.T) {
	for _, line := range []string{
		"LPRT 4,4,10,1,4,4,2,180,117", "LPSV", "CPSV", "SITE PORT 10,1,4,4,180,117", "SITE PASV", "SITE  EPSV",
	} {
		loggedIn(t).c(line).follows("refused").s("200 ok").c("RETR x").opensNothing()
	}
	loggedIn(t).c("SITE CHMOD 644 PORT").saysNothing()
}
