package alg

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

func TestNotFTPOpensNothingForGood(t *testing.T) {
	for name, start := range map[string]func(x *wire){
		"slipstream without a greeting": func(x *wire) { x.c("POST / HTTP/1.1") },
		"client first":                  func(x *wire) { x.c("USER u"); x.s("220 hello") },
		"HTTP after a greeting":         func(x *wire) { x.s("220 hello"); x.c("POST / HTTP/1.1") },
		"a header line":                 func(x *wire) { x.s("220 hello"); x.c("USER u", "Host: x") },
		"a line of another protocol":    func(x *wire) { x.s("220 hello"); x.c("EHLO x") },
		"the server is no FTP server":   func(x *wire) { x.s("SSH-2.0-OpenSSH_9.2") },
		"another code":                  func(x *wire) { x.s("200 hello") },
		"an early line of the greeting": func(x *wire) { x.s("220-hello"); x.c("USER u"); x.s("220 x") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).connect()
			start(x)
			x.s("220 hello")
			x.c("USER u")
			x.s("230 in")
			x.c(port46197)
			x.s(ok200)
			x.wantVerdict(x.say(fromClient, "RETR x\r\n"), Accept)
			x.wantNever()
			if x.count(NotFTP) != 1 {
				t.Errorf("not told once:\n%s", x.told())
			}
			x.wait(25 * time.Hour)
			x.c(port46197)
			x.s(ok200)
			x.c("RETR x")
			x.wantNever()
		})
	}
}

func TestGreetings(t *testing.T) {
	for _, hello := range []string{"220 hello", "220-hello\r\n 530 x\r\n220 done", "120 in a minute\r\n220 now", "220"} {
		x := newWire(t).connect()
		x.s(hello)
		x.c("USER u")
		x.s("230 in")
		x.c(port46197)
		x.s(ok200)
		x.c("RETR x")
		if len(x.kernel.opened) != 1 {
			t.Errorf("%q: not helped", hello)
		}
	}
}

func TestAcceptedTLSEndsTheHelp(t *testing.T) {
	for name, secure := range map[string]func(x *wire){
		"TLS":    func(x *wire) { x.c("AUTH TLS"); x.s("234 Proceed.") },
		"GSSAPI": func(x *wire) { x.c("AUTH GSSAPI"); x.s("334 ok"); x.c("ADAT x"); x.s("235 ok") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			x.c(port46197)
			x.s(ok200)
			secure(x)
			if last := x.kernel.log[len(x.kernel.log)-1]; last.Kind != OpRelease || last.Flow != x.flow {
				t.Errorf("not released: %v", x.kernel.log)
			}
			x.c("RETR x")
			x.c(port46197)
			x.s(ok200)
			x.c("RETR x")
			x.wantNever()
			if x.count(AuthTLS) != 1 || x.count(NotFTP) != 0 {
				t.Error(x.told())
			}
		})
	}
}

func TestRefusedTLSChangesNothing(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 (vsFTPd 3.0.3)")
	x.c("AUTH TLS")
	x.s("530 Please login with USER and PASS.")
	x.c("USER ftpuser")
	x.s("331 x")
	x.c("PASS ftppass")
	x.s("230 x")
	x.c("CCC")
	x.s("533 x")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestDeniedTLSIsTurnedIntoACommandThatServersRefuse(t *testing.T) {
	for _, parts := range [][]string{
		{"AUTH TLS\r\n"},
		{"AU", "TH TLS\r\n"},
		{"AUT", "H", " TLS\r\n"},
		{"NOOP\r\nauth ssl\r\n"},
		{"A", "U", "T", "H", " ", "T", "L", "S", "\r", "\n"},
		{"\xff\xf4\xff", "\xf2AUTH TLS\r\n"},
	} {
		x := newWire(t, func(p *Policy) { p.DenyTLS = true }).login()
		var arrived strings.Builder
		for _, part := range parts {
			id := x.say(fromClient, part)
			x.wantVerdict(id, Accept)
			if v := x.verdicts[id]; v.Data != nil {
				seg, err := tcp.Parse(v.Data)
				if err != nil || !seg.ChecksumOK() || len(seg.Payload) != len(part) {
					t.Fatalf("%q went out as %x: %v", part, v.Data, err)
				}
				arrived.Write(seg.Payload)
			} else {
				arrived.WriteString(part)
			}
		}
		sent := strings.Join(parts, "")
		want := strings.NewReplacer("AUTH", "AUTX", "auth", "autX").Replace(sent)
		if arrived.String() != want {
			t.Errorf("%q arrived as %q", parts, arrived.String())
		}
		// What is sent again goes out as it did before.
		id := x.at(fromClient, -len(sent), sent)
		seg, err := tcp.Parse(x.verdicts[id].Data)
		if err != nil || string(seg.Payload) != want {
			t.Errorf("sent again, %q went out as %q", sent, seg.Payload)
		}
		x.s("500 Unknown command.")
		if strings.Contains(sent, "NOOP") {
			x.s("500 Unknown command.")
		}
		x.c(port46197)
		x.s(ok200)
		x.c("RETR x")
		x.wantOpen(x.hole(46197))
		x.wantReason(AuthTLS, "policy")
	}
}

func TestPickedUpInTheMiddle(t *testing.T) {
	for _, tc := range []struct {
		name string
		want bool
		say  func(x *wire)
	}{
		{"a command and its reply first", true, func(x *wire) { x.c("TYPE I"); x.s("200 x"); x.c(port46197); x.s(ok200); x.c("RETR x") }},
		{"PORT is that command", true, func(x *wire) { x.c(port46197); x.s(ok200); x.c("RETR x") }},
		{"no reply yet", false, func(x *wire) { x.c(port46197, "RETR x") }},
		{"a reply that belongs to what was not seen", false, func(x *wire) { x.s("226 x"); x.c(port46197, "RETR x") }},
		{"not logged in", false, func(x *wire) { x.c("TYPE I"); x.s("530 x"); x.c(port46197); x.s(ok200); x.c("RETR x") }},
		{"in the middle of the login", false, func(x *wire) { x.c("USER u"); x.s("331 x"); x.c(port46197); x.s(ok200); x.c("RETR x") }},
		{"at the greeting", false, func(x *wire) {
			x.s("220 hello")
			x.c("NOOP")
			x.s("200 x")
			x.c(port46197)
			x.s(ok200)
			x.c("RETR x")
		}},
		{"in the middle of a line", false, func(x *wire) { x.c(",4,180,117"); x.s(ok200); x.c("RETR x") }},
		{"HTTP", false, func(x *wire) { x.c("POST / HTTP/1.1", port46197); x.s(ok200); x.c("RETR x") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := newWire(t)
			tc.say(x)
			if got := len(x.kernel.opened) > 0; got != tc.want {
				t.Errorf("helped: %v, want %v\n%s", got, tc.want, x.told())
			}
		})
	}
}

func TestOnlyAYoungWorkerPicksUp(t *testing.T) {
	for _, late := range []bool{false, true} {
		x := newWire(t)
		x.wait(tick)
		if late {
			x.now = x.now.Add(2 * time.Hour)
		}
		x.c("TYPE I")
		x.s("200 x")
		x.c(port46197)
		x.s(ok200)
		x.wantVerdict(x.say(fromClient, "RETR x\r\n"), Accept)
		if helped := len(x.kernel.opened) > 0; helped == late {
			t.Errorf("late %v: helped %v", late, helped)
		}
	}
}

// A server may say that it ends and go on where the gateway does not look any more.
func TestAnEndThatNeverArrivedIsNoNewBeginning(t *testing.T) {
	for _, flags := range []uint8{tcp.FIN | tcp.ACK, tcp.RST | tcp.ACK} {
		x := newWire(t).connect()
		x.wait(2 * time.Hour)
		x = x.another(5000)
		x.connect()
		x.s("220 hello")
		x.flags(fromServer, flags)
		x.c("POST / HTTP/1.1")
		x.wait(2 * time.Minute)
		smuggle(x)
		x.wantNever()
	}
}

func TestABORInTheMiddleOfATransfer(t *testing.T) {
	x := newWire(t).login()
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.kernel.use(x.hole(46197))
	x.s("150 x")
	x.say(fromClient, "\xff\xf4\xff\xf2ABOR\r\n")
	x.s("426 Failure writing network stream.", "226 ABOR successful.")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestAServerThatAnswersTwice(t *testing.T) {
	x := newWire(t).login()
	x.c("NOOP")
	x.s("200 x", "200 x")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestManyPortsOfOneSession(t *testing.T) {
	x := newWire(t).login()
	for range 1000 {
		x.c(port46197)
		x.s(ok200)
	}
	x.c("RETR x")
	x.wantOpen(x.hole(46197))

	x = newWire(t).login()
	for range 1000 { // and no reply
		x.wantVerdict(x.say(fromClient, port46197+"\r\n"), Accept)
	}
	x.wantNever()
	if x.count(Overload) != 1 {
		t.Errorf("told %d times", x.count(Overload))
	}
}

func TestManyRefusalsAreToldNoMoreButTheSessionIsHelped(t *testing.T) {
	x := newWire(t).login()
	for range 1000 {
		x.c("PORT 10,1,4,9,200,1")
		x.s("500 x")
	}
	if told := x.count(PinholeRefused); told != 64 || x.count(Overload) != 1 {
		t.Errorf("%d refusals told, and %d times that no more are", told, x.count(Overload))
	}
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
	x.kernel.use(x.hole(46197))
	x.s("150 x", "226 x")
	x.c("PORT 10,1,4,9,200,1")
	if told := x.count(PinholeRefused); told != 65 {
		t.Errorf("%d refusals told after a connection was admitted", told)
	}
}

func TestSessionsAreBoundedPerClientAndInAll(t *testing.T) {
	x := newWire(t, func(p *Policy) { p.MaxSessionsPerClient = 10; p.MaxSessions = 15 })
	for i := range uint16(100) {
		y := x.another(5000 + i)
		y.login()
		x.id = y.id
	}
	if n := x.w.Sessions(); n != 10 {
		t.Errorf("%d sessions of one client", n)
	}
	for i := range 100 {
		z := newWireBetween(t, fmt.Sprintf("10.1.9.%d", i), serverAddr)
		z.w, z.id, z.verdicts = x.w, x.id, x.verdicts
		z.login()
		if i == 0 {
			z.kernel = x.kernel
			z.c(port46197[:5] + "10,1,9,0,180,117")
			z.s(ok200)
			z.c("RETR x")
			z.wantOpen(z.hole(46197))
		}
		x.id = z.id
	}
	if n := x.w.Sessions(); n != 15 {
		t.Errorf("%d sessions in all", n)
	}
	if x.w.Stats().Unhelped == 0 {
		t.Error("nobody counted")
	}
}

func TestHalfOpenSessionsGoQuickly(t *testing.T) {
	x := newWire(t).connect()
	x.wait(time.Minute + tick)
	if x.w.Sessions() != 0 || len(x.events) != 0 {
		t.Errorf("%d sessions, told %s", x.w.Sessions(), x.told())
	}
	x.login()
	x.flags(fromClient, tcp.FIN|tcp.ACK)
	x.s("221 bye") // lingers for what is sent again
	x.wait(time.Minute + tick)
	if x.w.Sessions() != 0 || x.w.Limits.sessions != 0 || len(x.w.Limits.clients) != 0 {
		t.Error("something is left of it")
	}
}

func TestAFailedTransactionOpensNothingAndHoldsNothingUp(t *testing.T) {
	x := newWire(t).login()
	x.kernel.fail = func([]Op) error { return errKernel }
	x.c(port46197)
	x.s(ok200)
	x.wantVerdict(x.say(fromClient, "RETR x\r\n"), Accept)
	x.wantNever()
	if x.count(PinholeOpen) != 0 || x.count(Failure) != 1 {
		t.Error(x.told())
	}
	x.s("425 x")
	x.kernel.fail = nil
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestOneFailureInABatchIsNotTheOthers(t *testing.T) {
	x := newWire(t).login()
	y := x.another(5000)
	y.login()
	y.c("PORT 10,1,4,4,190,1")
	y.s(ok200)
	x.id = y.id
	x.c(port46197)
	x.s(ok200)
	x.kernel.fail = func(ops []Op) error {
		for _, op := range ops {
			if op.Pinhole == y.hole(190*256+1) {
				return errKernel
			}
		}
		return nil
	}
	r := x.w.Batch(x.now, []Packet{
		{ID: 9001, Data: x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, "RETR x\r\n")},
		{ID: 9002, Data: y.build(fromClient, y.next[fromClient], y.next[fromServer], tcp.ACK, "RETR x\r\n")},
	})
	if len(r.Verdicts) != 2 {
		t.Errorf("%d verdicts", len(r.Verdicts))
	}
	x.wantOpen(x.hole(46197))
}

func TestMemoryOfAnIdleSession(t *testing.T) {
	const n = 20000
	x := newWire(t, func(p *Policy) { p.MaxSessionsPerClient = n })
	x.w.Sink = func(Event) {}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range uint16(n) {
		y := x.another(10000 + i)
		y.verdicts = map[uint32]Verdict{}
		y.login()
		y.c("TYPE I")
		y.s("200 Switching to Binary mode.")
	}
	x.wait(2 * time.Minute)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if x.w.Sessions() != n {
		t.Fatalf("%d sessions", x.w.Sessions())
	}
	if each := (after.HeapAlloc - before.HeapAlloc) / n; each > 1024 {
		t.Errorf("%d bytes a session, want 1024 at most", each)
	} else {
		t.Logf("%d bytes a session", each)
	}
}
