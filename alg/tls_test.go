package alg_test

import (
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

func denyTLS(p *alg.Policy) { p.DenyTLS = true }

func TestAcceptedTLSEndsTheHelp(t *testing.T) {
	for name, secure := range map[string]func(x *wire){
		"TLS":    func(x *wire) { x.c("AUTH TLS"); x.s("234 Proceed.") },
		"GSSAPI": func(x *wire) { x.c("AUTH GSSAPI"); x.s("334 ok"); x.c("ADAT x"); x.s("235 ok") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			x.port()
			secure(x)
			if n := len(x.kernel.log); n == 0 || x.kernel.log[n-1].Kind != alg.OpRelease || x.kernel.log[n-1].Flow != x.flow {
				t.Errorf("not released: %v", x.kernel.log)
			}
			x.retr()
			x.wantNoHelp()
			x.wantNever()
			if x.count(alg.AuthTLS) != 1 || x.count(alg.NotFTP) != 0 {
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
	x.wantHelp()
}

func TestDeniedTLSIsTurnedIntoACommandThatServersRefuse(t *testing.T) {
	for _, parts := range [][]string{
		{"AUTH TLS\r\n"},
		{"AU", "TH TLS\r\n"},
		{"AUT", "H", " TLS\r\n"},
		{"NOOP\r\nauth ssl\r\n"},
		{"A", "U", "T", "H", " ", "T", "L", "S", "\r", "\n"},
		{"AUTH TLS\n"},
	} {
		x := newWire(t, denyTLS).login()
		var arrived strings.Builder
		for _, part := range parts {
			id := x.say(fromClient, part)
			x.wantPass(id)
			arrived.WriteString(x.payload(id, part))
		}
		sent := strings.Join(parts, "")
		wantTurned(t, sent, arrived.String())
		// What is sent again goes out as it did before.
		id := x.at(fromClient, -len(sent), sent)
		if again := x.payload(id, sent); again != arrived.String() {
			t.Errorf("%q went out as %q, and sent again as %q", sent, arrived.String(), again)
		}
		for range strings.Count(sent, "\n") {
			x.s("500 Unknown command.")
		}
		x.wantHelp()
		x.wantReason(alg.AuthTLS, "")
	}
}

// wantTurned checks that an AUTH became another verb of the same length, and nothing
// else was changed.
func wantTurned(t *testing.T, sent, arrived string) {
	t.Helper()
	if len(arrived) != len(sent) {
		t.Fatalf("%q arrived as %q", sent, arrived)
	}
	at := strings.Index(strings.ToUpper(sent), "AUTH")
	if strings.Contains(strings.ToUpper(arrived), "AUTH") || arrived[:at] != sent[:at] || arrived[at+4:] != sent[at+4:] {
		t.Errorf("%q arrived as %q", sent, arrived)
	}
}

func TestDeniedTLSBehindTelnetCommands(t *testing.T) {
	x := newWire(t, denyTLS).login()
	x.say(fromClient, "\xff\xf4\xff")
	rest := "\xf2AUTH TLS\r\n"
	id := x.say(fromClient, rest)
	if arrived := x.payload(id, rest); strings.Contains(arrived, "AUTH") {
		t.Errorf("%q went out as %q", rest, arrived)
	}
}

func TestDeniedTLSInALongLine(t *testing.T) {
	x := newWire(t, denyTLS).login()
	text := "AUTH TLS" + strings.Repeat(" ", 5000) + "\r\n"
	wantTurned(t, text, x.payload(x.say(fromClient, text), text))
}

func TestDeniedTLSBehindALyingACK(t *testing.T) {
	x := newWire(t, denyTLS).login()
	x.packet(fromServer, x.build(fromServer, x.next[fromServer], x.next[fromClient]+1000, tcp.ACK, "2"))
	if arrived := x.payload(x.say(fromClient, "AUTH TLS\r\n"), "AUTH TLS\r\n"); strings.Contains(arrived, "AUTH") {
		t.Errorf("AUTH went out as it was: %+v", x.w.Stats())
	}
}

func TestUnacknowledgedBytesCannotBeRewritten(t *testing.T) {
	x := newWire(t).login()
	seq := x.next[fromClient]
	x.c("NOOP  TLS")
	for range 6 { // none of it arrives: the time to live is short
		x.c("SITE " + strings.Repeat("x", 3000))
	}
	x.wantDrop(x.packet(fromClient, x.build(fromClient, seq, x.next[fromServer], tcp.ACK, "AUTH  TLS\r\n")))

	x = newWire(t).login()
	seq = x.next[fromClient]
	x.c("NOOP  TLS")
	x.c("SITE " + strings.Repeat("x", 200))
	x.now = x.now.Add(61e9)
	x.wait(tick)
	x.wantDrop(x.packet(fromClient, x.build(fromClient, seq, x.next[fromServer], tcp.ACK, "AUTH  TLS\r\n")))
}
