package alg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

const (
	port46197 = "PORT 10,1,4,4,180,117"
	ok200     = "200 PORT command successful. Consider using PASV."
	ok227     = "227 Entering Passive Mode (10,2,5,5,180,117)."
)

func TestActiveTransferOpensAtTheTransferCommandAndClosesAt226(t *testing.T) {
	x := newWire(t).login()
	x.c(port46197)
	x.wantOpen()
	x.s(ok200)
	x.wantOpen()
	x.c("RETR R1.cfg")
	x.wantOpen(x.hole(46197))
	x.kernel.use(x.hole(46197))
	x.s("150 Opening BINARY mode data connection for R1.cfg (38 bytes).")
	x.s("226 Transfer complete.")
	x.wantOpen()
	var kinds []string
	for _, e := range x.events {
		kinds = append(kinds, string(e.Kind))
	}
	want := "session.start pinhole.announced pinhole.open pinhole.used pinhole.closed"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	x.c("RETR R1.cfg") // one data connection per announcement
	x.wantOpen()
}

func TestEveryTransferCommandOpens(t *testing.T) {
	for _, verb := range []string{"RETR x", "STOR x", "STOU", "APPE x", "LIST", "NLST", "MLSD", "retr x"} {
		x := newWire(t).login()
		x.c(port46197)
		x.s(ok200)
		x.c(verb)
		if !x.kernel.open(x.hole(46197)) {
			t.Errorf("%s opened nothing", verb)
		}
	}
	for _, verb := range []string{"SIZE x", "MDTM x", "REST 5", "NOOP", "ALLO 48", "TYPE I", "STAT x", "MLST x", "HELP RETR"} {
		x := newWire(t).login()
		x.c(port46197)
		x.s(ok200)
		x.c(verb)
		x.wantNever()
	}
}

func TestWhatClosesAnUnusedPinhole(t *testing.T) {
	for name, end := range map[string]func(x *wire){
		"226":         func(x *wire) { x.s("150 Here.", "226 Done.") },
		"250":         func(x *wire) { x.s("250 Done.") },
		"425":         func(x *wire) { x.s("425 Failed to establish connection.") },
		"426":         func(x *wire) { x.s("150 Here.", "426 Broken.") },
		"550":         func(x *wire) { x.s("550 No such file.") },
		"421":         func(x *wire) { x.s("421 Timeout.") },
		"ABOR":        func(x *wire) { x.c("ABOR") },
		"urgent ABOR": func(x *wire) { x.say(fromClient, "\xff\xf4\xff\xf2ABOR\r\n") },
		"QUIT":        func(x *wire) { x.c("QUIT") },
		"REIN":        func(x *wire) { x.c("REIN") },
		"USER":        func(x *wire) { x.c("USER other") },
		"client FIN":  func(x *wire) { x.flags(fromClient, tcp.FIN|tcp.ACK) },
		"server FIN":  func(x *wire) { x.flags(fromServer, tcp.FIN|tcp.ACK) },
		"client RST":  func(x *wire) { x.flags(fromClient, tcp.RST) },
		"server RST":  func(x *wire) { x.flags(fromServer, tcp.RST|tcp.ACK) },
		"a new PORT":  func(x *wire) { x.c("PORT 10,1,4,4,190,1") },
		"PASV":        func(x *wire) { x.c("PASV") },
		"time":        func(x *wire) { x.wait(30 * time.Second) },
		"not FTP":     func(x *wire) { x.c("Host: example.org") },
		"TLS":         func(x *wire) { x.c("AUTH TLS"); x.s("150 x", "226 x", "234 Proceed.") },
		"Stop":        func(x *wire) { x.take(x.w.Stop(x.now)) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			x.c(port46197)
			x.s(ok200)
			x.c("RETR R1.cfg")
			x.wantOpen(x.hole(46197))
			end(x)
			x.wantOpen()
			if x.count(alg.PinholeClosed) != 1 {
				t.Errorf("not told once that it closed:\n%s", x.told())
			}
		})
	}
}

func TestARefusedPortOpensNothing(t *testing.T) {
	for _, reply := range []string{"500 Illegal PORT command.", "530 Please login.", "421 Timeout.", "425 x", "501-No\r\n501 x"} {
		x := newWire(t).login()
		x.c(port46197)
		x.s(reply)
		x.c("RETR R1.cfg")
		x.wantNever()
	}
}

func TestPipelinedPortAndTransferInOneSegment(t *testing.T) {
	x := newWire(t).login()
	x.c(port46197 + "\r\nRETR R1.cfg")
	x.wantOpen(x.hole(46197))
	x.s(ok200)
	x.wantOpen(x.hole(46197))
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	if x.count(alg.PinholeUsed) != 1 {
		t.Error(x.told())
	}

	x = newWire(t).login()
	x.c(port46197 + "\r\nRETR R1.cfg")
	x.s("500 Illegal PORT command.")
	x.wantOpen()
}

func TestAnAnswerToAReplacedPortIsNotTheNewOnes(t *testing.T) {
	x := newWire(t).login()
	x.c("PORT 10,1,4,4,190,1", port46197)
	x.s("500 x", ok200)
	x.c("RETR R1.cfg")
	x.wantOpen(x.hole(46197))

	x = newWire(t).login()
	x.c("PORT 10,1,4,4,190,1", port46197)
	x.s(ok200, "500 x")
	x.c("RETR R1.cfg")
	x.wantNever()
}

func TestOpenOnPort(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.OpenOnPort = true }).login()
	x.c(port46197)
	x.wantOpen(x.hole(46197))
	x.s("500 no")
	x.wantOpen()
}

func TestPolicyOfAnnouncements(t *testing.T) {
	for _, tc := range []struct {
		name, port, reason string
		change             func(*alg.Policy)
	}{
		{"bounce", "PORT 10,1,4,5,200,1", "foreign", nil},
		{"the server itself", "PORT 10,2,5,5,200,1", "foreign", nil},
		{"low port", "PORT 10,1,4,4,0,22", "lowest|min_port", nil},
		{"1023", "PORT 10,1,4,4,3,255", "lowest|min_port", nil},
		{"min_port", "PORT 10,1,4,4,180,117", "lowest|min_port", func(p *alg.Policy) { p.MinPort = 50000 }},
		{"X11", "PORT 10,1,4,4,23,112", "denied|deny_ports", nil},
		{"mode", "PORT 10,1,4,4,180,117", "not allowed|modes", func(p *alg.Policy) { p.Modes = []alg.Mode{alg.Passive} }},
		{"octet above 255", "PORT 10,1,4,4,456,1", "above 255", nil},
		{"empty octet", "PORT 10,1,4,4,,1", "not six numbers", nil},
		{"seven numbers", "PORT 10,1,4,4,4,1,5", "not six numbers", nil},
		{"port 0", "PORT 10,1,4,4,0,0", "port 0", nil},
		{"EPRT low", "EPRT |1|10.1.4.4|22|", "lowest|min_port", nil},
		{"EPRT too high", "EPRT |1|10.1.4.4|65558|", "above 65535", nil},
		{"EPRT foreign", "EPRT |1|10.1.4.5|46197|", "foreign", nil},
		{"EPRT of the other family", "EPRT |2|fd00::1|46197|", "foreign", nil},
		{"SITE", "SITE PORT 10,1,4,4,180,117", "inside another command", nil},
		{"LPRT", "LPRT 4,4,10,1,4,4,2,180,117", "not helped", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := newWire(t)
			if tc.change != nil {
				x = newWire(t, tc.change)
			}
			x.login()
			x.c(tc.port)
			x.s(ok200)
			x.c("RETR R1.cfg")
			x.wantNever()
			x.wantReason(alg.PinholeRefused, tc.reason)
			// The session itself is helped as before.
			if tc.change == nil {
				x.s("425 x")
				x.c(port46197)
				x.s(ok200)
				x.c("RETR R1.cfg")
				x.wantOpen(x.hole(46197))
			}
		})
	}
}

func TestSourcePortOfThePolicy(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.SourcePort = alg.Ports{} }).login()
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	h := x.hole(46197)
	h.SourcePorts = alg.Ports{}
	x.wantOpen(h)
}

func TestRequireLogin(t *testing.T) {
	dialogue := func(x *wire) {
		x.connect()
		x.s("220 hello")
		x.c("USER u")
		x.s("331 password")
		x.c(port46197)
		x.s(ok200)
		x.c("RETR x")
	}
	x := newWire(t)
	dialogue(x)
	x.wantNever()
	x.wantReason(alg.PinholeRefused, "logged in|login")

	x = newWire(t, func(p *alg.Policy) { p.RequireLogin = false })
	dialogue(x)
	x.wantOpen(x.hole(46197))
}

func TestWhatLogsInAndOut(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   bool
		say  func(x *wire)
	}{
		{"USER alone", true, func(x *wire) { x.c("USER u"); x.s("230 in") }},
		{"202 to PASS", true, func(x *wire) { x.c("USER u"); x.s("331 p"); x.c("PASS p"); x.s("202 not needed") }},
		{"232", true, func(x *wire) { x.c("USER u"); x.s("232 in") }},
		{"ACCT", true, func(x *wire) {
			x.c("USER u")
			x.s("331 p")
			x.c("PASS p")
			x.s("332 a")
			x.c("ACCT a")
			x.s("230 in")
		}},
		{"no ACCT", false, func(x *wire) { x.c("USER u"); x.s("331 p"); x.c("PASS p"); x.s("332 a") }},
		{"wrong password", false, func(x *wire) { x.c("USER u"); x.s("331 p"); x.c("PASS p"); x.s("530 no") }},
		{"530 to something else", true, func(x *wire) { x.c("USER u"); x.s("230 in"); x.c("SITE x"); x.s("530 no") }},
		{"230 to something else", false, func(x *wire) { x.c("NOOP"); x.s("230 in") }},
		{"230 unasked", false, func(x *wire) { x.s("230 in") }},
		{"a second USER", false, func(x *wire) { x.c("USER u"); x.s("230 in"); x.c("USER v"); x.s("331 p") }},
		{"a second USER refused", true, func(x *wire) { x.c("USER u"); x.s("230 in"); x.c("USER v"); x.s("530 Can't change user.") }},
		{"REIN", false, func(x *wire) { x.c("USER u"); x.s("230 in"); x.c("REIN"); x.s("120 wait", "220 ready") }},
		{"REIN refused", true, func(x *wire) { x.c("USER u"); x.s("230 in"); x.c("REIN"); x.s("502 no") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := newWire(t).connect()
			x.s("220 hello")
			tc.say(x)
			x.c(port46197)
			x.s(ok200)
			x.c("RETR x")
			if got := len(x.kernel.opened) > 0; got != tc.in {
				t.Errorf("opened: %v, want %v\n%s", got, tc.in, x.told())
			}
		})
	}
}
