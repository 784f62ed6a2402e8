package alg_test

import (
	"fmt"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/dialogue"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// restart suspends the worker and returns the same connection before a new one that takes
// saved sessions up.
func restart(t tb, x *wire, change ...func(*alg.Policy)) *wire {
	r, saved := x.w.Suspend(x.now)
	x.take(r)
	p := x.policy
	for _, c := range change {
		c(&p)
	}
	once := func(f alg.Flow) (alg.Saved, bool) {
		for i, s := range saved {
			if s.Flow == f {
				saved = append(saved[:i:i], saved[i+1:]...)
				return s, true
			}
		}
		return alg.Saved{}, false
	}
	y := newWireOf(t, x.flow.Client.Addr().String(), x.flow.Server.Addr().String(), alg.WorkerConfig{Policy: p, Saved: once})
	y.saved = once
	y.next, y.flow, y.now = x.next, x.flow, x.now
	return y
}

// After a clean restart the first segment of a flow is not asked where it came from.
func TestResumedByASegmentInTheOthersName(t *testing.T) {
	x := newWire(t).login()
	y := restart(t, x)
	// The hostile server, from where it is, in the client's name.
	p := y.build(fromClient, y.next[fromClient], y.next[fromServer], tcp.ACK|tcp.PSH, "PORT 10,1,4,4,39,15\r\nRETR x\r\n")
	id := y.by(serverSide, serverSide, p)
	y.wantNever()
	y.wantDrop(id)
}

// What was vouched for before a crash is taken up in the middle of a new connection
// between the same ends, though its SYN was seen: slipstream.
func TestVouchOutlivesTheConnection(t *testing.T) {
	labelled := true // what the daemon read from conntrack at its start
	x := newWireOf(t, clientAddr, serverAddr, alg.WorkerConfig{
		Policy:  alg.DefaultPolicy(),
		Vouched: func(alg.Flow) bool { was := labelled; labelled = false; return was }, // as resumable.takeVouched
	})
	// The old connection ends without another byte.
	x.flags(fromClient, tcp.FIN|tcp.ACK)
	x.flags(fromServer, tcp.FIN|tcp.ACK)
	// A browser's connection from the same port.
	x.next = [2]uint32{500000, 700000}
	x.connect()
	x.s("220 hello")
	x.say(fromClient, "POST / HTTP/1.1\r\nHost: x\r\n\r\n")
	x.say(fromClient, "NOOP\r\n") // begins a segment of the body
	x.s("200 ok")
	x.say(fromClient, "PORT 10,1,4,4,39,15\r\n")
	x.s("200 ok")
	x.say(fromClient, "RETR x\r\n")
	x.wantNever()
}

// The state of the AUTH scanner is not written down.
func TestAuthAcrossACleanRestart(t *testing.T) {
	x := newWire(t, denyTLS).login()
	first := "AU"
	got := x.payload(x.say(fromClient, first), first)
	y := restart(t, x)
	rest := "TH TLS\r\n"
	got += y.payload(y.say(fromClient, rest), rest)
	if got == "AUTH TLS\r\n" {
		t.Errorf("the server got %q", got)
	}
}

// Nor known in a dialogue that is taken up after a crash.
func TestAuthAcrossACrash(t *testing.T) {
	x := takenUp(t, denyTLS) // "AU" was before
	rest := "TH TLS\r\n"
	if got := x.payload(x.say(fromClient, rest), rest); got == rest {
		t.Errorf("the server got %q after AU", got)
	}
}

// A packet that waits is let go unread by Suspend, and the session goes on after it as
// if other bytes had stood there.
func TestHeldBytesPassAtAStop(t *testing.T) {
	x := newWire(t).login()
	const gap, hidden, shown = "NOOP\r\n", "STAT aaaaa\r\n", "NOOP\r\nPASV\r\n" // of one length
	held := x.at(fromClient, len(gap), hidden)
	x.wantHeld(held)
	y := restart(t, x)
	if x.verdicts[held].Drop {
		return
	}
	y.say(fromClient, gap)
	y.say(fromClient, shown) // the server has these bytes already
	// vsftpd: NOOP, and STAT of a directory with a name that has CR LF in it
	y.s("200 NOOP ok.", "213-Status follows:", "213 x", "227 Entering Passive Mode (10,2,5,5,31,145)")
	y.wantNever()
}

// What was announced under the last configuration is opened under a new one that forbids it.
func TestPolicyOfTheNewDaemon(t *testing.T) {
	for name, change := range map[string]func(*alg.Policy){
		"deny_ports":  func(p *alg.Policy) { p.DenyPorts = []uint16{46197} },
		"modes":       func(p *alg.Policy) { p.Modes = []alg.Mode{alg.Passive} },
		"source_port": func(p *alg.Policy) { p.SourcePort = dialogue.Port(2020) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).login()
			x.port()
			y := restart(t, x, change)
			y.c("RETR x")
			for _, h := range y.kernel.opened {
				if h.SourcePorts == dialogue.Port(20) {
					t.Errorf("opened %v", h)
				}
			}
		})
	}
}

// A keep-alive with a byte that means nothing ends a session that was taken up.
func TestKeepAliveEndsResume(t *testing.T) {
	x := newWire(t).login()
	y := restart(t, x)
	y.wantPass(y.at(fromServer, -1, "\x00"))
	y.wantHelp()
}

// A splitter that says CR and has no text.
func TestSavedSplitterPanics(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Error(fmt.Sprint("panic: ", r))
		}
	}()
	x := newWire(t).login()
	r, saved := x.w.Suspend(x.now)
	x.take(r)
	d := saved[0].Data
	d[len(d)-1] |= 1 // last part: the server's splitter, flags alone
	y := newWireOf(t, clientAddr, serverAddr, alg.WorkerConfig{
		Policy: x.policy,
		Saved:  func(alg.Flow) (alg.Saved, bool) { return saved[0], true },
	})
	y.next, y.flow = x.next, x.flow
	y.say(fromServer, "\n200 x\r\n")
}

// A dialogue that was taken up stays vouched for while REIN or a new USER is due.
func TestVouchedWhileLoggingOut(t *testing.T) {
	for _, command := range []string{"REIN", "USER other", "AUTH TLS"} {
		x := takenUp(t)
		x.c("TYPE I")
		x.s("200 x")
		x.c(command)
		if x.tracking.vouched[x.flow] {
			t.Errorf("%s is due, and the flow is vouched for", command)
		}
	}
}

// Deny: a flow that is only vouched for is passed on unread at its first half line.
func TestAuthLineSplitAcrossACrash(t *testing.T) {
	x := takenUp(t, denyTLS)
	for _, c := range "H TLS\r\n" { // AUT was before
		id := x.say(fromClient, string(c))
		if v := x.verdicts[id]; !v.Drop {
			t.Fatalf("passed %q", c)
		}
	}
}

// Bytes went by while no daemon listened: what cannot be read does not pass.
func TestAuthThatDoesNotGoOnWhereTheDaemonHadStopped(t *testing.T) {
	x := newWire(t, denyTLS).login()
	y := restart(t, x)
	y.next[fromClient] += 20
	id := y.say(fromClient, "AUTH TLS\r\n")
	y.wantDrop(id)
	if len(y.injected) == 0 {
		t.Error("neither end was reset")
	}
}

// What is written down of a session says whether it is translated: what is said in such must
// not pass unread, whoever runs.
func TestSavedSaysWhetherItIsTranslated(t *testing.T) {
	x, _ := newTranslated(t, outsideClient, serverAddr)
	for want, w := range map[bool]*wire{true: x.login(), false: newWireBetween(t, clientAddr, serverAddr).login()} {
		if _, saved := w.w.Suspend(w.now); len(saved) != 1 || saved[0].Translated != want {
			t.Errorf("translated %t: %+v", want, saved)
		}
	}
}
