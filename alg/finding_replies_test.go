package alg_test

import (
	"slices"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

func TestFinding15TheClientMaySpeakBeforeTheGreeting(t *testing.T) {
	x := newWire(t).connect() // lftp with sync-mode off
	x.c("FEAT", "USER u", "PASS p")
	x.s("220 hello", "211-Features:\r\n EPSV\r\n211 End", "331 p", "230 in")
	x.wantHelp()
	x.wantPassive()

	x = newWire(t).connect()
	x.s("220-hello")
	x.c("USER u")
	x.s("220 x", "230 in")
	x.wantHelp()
	x.wantPassive()

	x = newWire(t).connect() // nothing is FTP before the server has greeted
	x.c("USER u\r\n" + port46197 + "\r\nRETR x")
	x.wantNever()
	x.s("530 busy")
	x.wantNever()
}

func TestFinding18AnEmptyLineMayBeAnswered(t *testing.T) {
	for _, empty := range []string{"\r\n", "\n", "\r\n\r\n"} {
		for _, answered := range []bool{false, true} {
			for name, begin := range map[string]func(t tb) *wire{
				"logged in":         func(t tb) *wire { return newWire(t).login() },
				"before its answer": func(t tb) *wire { x := newWire(t).login(); x.c("NOOP"); return x },
			} {
				x := begin(t)
				x.say(fromClient, empty)
				if name != "logged in" {
					x.s("200 x")
				}
				if answered {
					for range len(empty)/2 + len(empty)%2 {
						x.s("500 Invalid command: try being more creative")
					}
				}
				x.c("NOOP")
				x.s("200 x")
				x.wantHelp()
				x.wantPassive()
				if x.count(alg.NotFTP, alg.PassiveOff, alg.Overload) != 0 {
					t.Errorf("%s, %q, answered %v:\n%s", name, empty, answered, x.told())
				}
			}
		}
	}
}

func TestFinding20PASSAnswered202(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	x.c("USER u")
	x.s("331 p")
	x.c("PASS p")
	x.s("202 not needed")
	x.wantHelp()
}

// transfer begins an active transfer whose data connection has come.
func (x *wire) transfer() {
	x.port()
	x.retr()
	x.kernel.use(x.hole(46197))
	x.s("150 x")
}

func TestFinding21ManyNOOPsInATransfer(t *testing.T) {
	for name, answer := range map[string]func(x *wire, noops int){
		"behind it": func(x *wire, noops int) {
			x.s("226 x")
			for range noops {
				x.s("200 NOOP ok.")
			}
		},
		"before its end": func(x *wire, noops int) {
			for range noops {
				x.s("200 NOOP ok.")
			}
			x.s("226 x")
		},
		"some before, some behind": func(x *wire, noops int) {
			for i := range noops {
				if i == noops/2 {
					x.s("226 x")
				}
				x.s("200 NOOP ok.")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, noops := range []int{1, 64, 100} {
				x := newWire(t).login()
				x.transfer()
				for range noops {
					x.c("NOOP")
				}
				answer(x, noops)
				if x.count(alg.Overload, alg.NotFTP, alg.PassiveOff) != 0 {
					t.Errorf("%d NOOPs:\n%s", noops, x.told())
				}
				x.wantReason(alg.PinholeClosed, "complete")
				x.wantHelp()
				x.wantPassive()
			}
		})
	}
}

func TestFinding22RepliesToABOR(t *testing.T) {
	for name, answer := range map[string][]string{
		"one for both":            {"226 ABOR successful."},
		"one for both, as broken": {"426 Failure writing network stream."},
		"one each":                {"426 Failure writing network stream.", "226 ABOR successful."},
		"it was done already":     {"226 Transfer complete.", "225 No transfer to ABOR."},
		"both done":               {"226 Transfer complete.", "226 ABOR successful."},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			for range 3 {
				x.transfer()
				x.c("ABOR")
				x.s(answer...)
				before := len(x.kernel.opened)
				x.wantPassive()
				x.c("LIST")
				x.kernel.use(x.passive(46197))
				x.s("150 x", "226 x")
				if len(x.kernel.opened) == before {
					t.Fatalf("passive mode is dead:\n%s", x.told())
				}
			}
			x.wantCount(alg.PassiveOff, 0)
			x.wantHelp()
		})
	}
}

func TestFinding23STATAnsweredWhileTheDataConnectionIsAwaited(t *testing.T) {
	for command, reply := range map[string]string{"STAT": "211-Status\r\n waiting\r\n211 End", "NOOP": "200 NOOP ok."} {
		x := newWire(t).login()
		x.port()
		x.retr()
		x.c(command)
		x.s(reply)
		x.wantOpen(x.hole(46197))
		x.kernel.use(x.hole(46197))
		x.s("150 x", "226 x")
		x.wantReason(alg.PinholeClosed, "complete")
		x.wantPassive()
		x.wantCount(alg.PassiveOff, 0)
	}
}

func TestFinding24TextBeforeTheGreeting(t *testing.T) {
	for _, text := range []string{"Welcome", "Welcome\r\n\r\nto this\r\n", "\r\n", " 220", "ftpd: cannot resolve 10.1.4.4"} {
		x := newWire(t).connect()
		x.s(text, "220 hello")
		x.c("USER u")
		x.s("230 in")
		x.wantHelp()
		x.wantPassive()
		x.wantCount(alg.PassiveOff, 0)
	}
}

func TestFinding25ASecondTransferCommandAfterARefusal(t *testing.T) {
	for _, refusal := range []string{"550 No such file.", "450 Busy.", "425 Cannot open data connection."} {
		x := newWire(t).login()
		x.port()
		x.c("RETR missing")
		x.s(refusal)
		x.wantOpen()
		x.c("NOOP")
		x.s("200 x")
		x.wantOpen()
		x.c("RETR here")
		x.wantOpen(x.hole(46197))
		x.kernel.use(x.hole(46197))
		x.s("150 x", "226 x")
		x.wantReason(alg.PinholeClosed, "complete")
		x.c("RETR again") // one connection an announcement
		x.wantOpen()
	}
	x := newWire(t).login() // it had been used
	x.transfer()
	x.s("550 read error")
	x.c("RETR here")
	x.wantOpen()
	x = newWire(t).login() // two in one segment
	x.port()
	x.c("RETR missing\r\nRETR here")
	x.wantOpen(x.hole(46197))
	x.s("550 x")
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	x.wantOpen()
}

func TestFinding26TwoSessionsThatAnnounceTheSame(t *testing.T) {
	for name, end := range map[string]func(y *wire){
		"refused":  func(y *wire) { y.s("550 x") },
		"QUIT":     func(y *wire) { y.c("QUIT"); y.s("221 x") },
		"reset":    func(y *wire) { y.flags(fromClient, 0x04) },
		"complete": func(y *wire) { y.s("226 x") },
		"new PORT": func(y *wire) { y.c("PORT 10,1,4,4,190,1") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			y := x.another(5000).login()
			for _, z := range []*wire{x, y} {
				z.port()
				z.retr()
			}
			x.wantOpen(x.hole(46197))
			end(y)
			x.wantOpen(x.hole(46197))
			x.s("550 x")
			x.wantOpen()
		})
	}
	x := newWire(t).login() // in passive mode, too
	y := x.another(5000).login()
	x.wantPassive()
	y.wantPassive()
	y.c("QUIT")
	x.wantOpen(x.passive(46197))
	x.c("QUIT")
	x.wantOpen()
}

func TestFinding27LoginPORTAndRETRInOneSegment(t *testing.T) {
	text := "USER u\r\nPASS p\r\n" + port46197 + "\r\nRETR x"
	for name, tc := range map[string]struct {
		replies []string
		open    bool
	}{
		"let in":                {[]string{"331 p", "230 in"}, true},
		"let in by USER":        {[]string{"230 in", "202 not needed"}, true},
		"refused":               {[]string{"331 p", "530 no"}, false},
		"refused, then 230":     {[]string{"331 p", "530 no", "230 in"}, false},
		"an account is wanted":  {[]string{"331 p", "332 a", ok200}, false},
		"PORT is refused first": {[]string{"331 p", "530 no", "530 no", "530 no"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).connect()
			x.s("220 hello")
			x.c(text)
			x.wantNever()
			x.s(tc.replies[0])
			if len(tc.replies) > 1 {
				if name != "let in by USER" { // the reply to PASS may be waited for, too
					x.wantNever()
				}
				x.s(tc.replies[1:]...)
			}
			if got := slices.Contains(x.kernel.opened, x.hole(46197)); got != tc.open {
				t.Fatalf("opened %v\n%s", got, x.told())
			}
			if tc.open && name == "let in" {
				x.s(ok200)
				x.kernel.use(x.hole(46197))
				x.s("150 x", "226 x")
				x.wantReason(alg.PinholeClosed, "complete")
				x.wantPassive()
			}
		})
	}
}
