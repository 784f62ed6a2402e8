package alg_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
)

func TestFinding14Unasked234sReleaseNothing(t *testing.T) {
	x := newWire(t)
	for i := range uint16(50) {
		y := x.another(5000 + i).connect()
		y.s("220 hello", "234 x")
		y.wantNoHelp()
	}
	for i := range uint16(50) { // nor do those of another command
		y := x.another(6000 + i).connect()
		y.s("220 hello")
		y.c("NOOP", "NOOP")
		y.s("234 x", "200 x")
	}
	if n := x.kernel.times(alg.OpRelease); n != 0 {
		t.Errorf("%d flows released", n)
	}
	x.wantCount(alg.AuthTLS, 0)
}

func TestFinding14AnAUTHReleasesOnce(t *testing.T) {
	x := newWire(t).login()
	x.c("AUTH TLS")
	x.s("234 x", "234 x", "234 x")
	if n := x.kernel.times(alg.OpRelease); n != 1 {
		t.Errorf("released %d times", n)
	}
	x.wantCount(alg.AuthTLS, 1)
}

// vouchedWire is a wire whose worker takes up what connection tracking vouches for.
func vouchedWire(t tb, change ...func(*alg.Policy)) *wire {
	p := alg.DefaultPolicy()
	for _, c := range change {
		c(&p)
	}
	var x *wire
	vouched := func(f alg.Flow) bool { return x.tracking.vouched[f] }
	x = newWireOf(t, clientAddr, serverAddr, alg.WorkerConfig{Policy: p, Vouched: vouched})
	return x
}

func TestFinding14A530ToAnythingDoesNotLogOut(t *testing.T) {
	for _, command := range []string{"SITE CHMOD 600 x", "CWD /root", "NOOP", "RETR x", "USER other"} {
		x := vouchedWire(t)
		x.tracking.vouched[x.flow] = true
		x.c("TYPE I")
		x.s("200 x")
		x.c(command)
		x.s("530 Permission denied.")
		x.wantHelp()
		x = newWire(t).login()
		x.c(command)
		x.s("530 Permission denied.")
		x.wantHelp()
		x.wantPassive()
	}
}

func TestFinding14AnIdleSessionIsHelpedAgain(t *testing.T) {
	for _, idle := range []time.Duration{time.Hour, 25 * time.Hour, 4 * 24 * time.Hour} {
		x := vouchedWire(t).login()
		x.now = x.now.Add(idle)
		x.wait(tick)
		x.c("NOOP")
		x.s("200 x")
		x.wantHelp()
	}
}

func TestFinding14AReleasedSessionThatFallsSilentIsNoNews(t *testing.T) {
	x := newWire(t).login()
	x.c("AUTH TLS")
	x.s("234 x")
	for range 3 {
		x.now = x.now.Add(2 * time.Hour)
		x.wait(tick)
		x.wantPass(x.say(fromClient, "\x17\x03\x03\x00\x02xx"))
		x.wantPass(x.say(fromServer, "\x17\x03\x03\x00\x02xx"))
	}
	x.wantCount(alg.NotFTP, 0)
	x.wantCount(alg.AuthTLS, 1)
}

// One live announcement a session.
func TestFinding14OneSessionHasOnePinhole(t *testing.T) {
	x := newWire(t).login()
	for i := range 500 {
		x.c("PASV")
		x.s(fmt.Sprintf("227 (10,2,5,5,200,%d)", i%256))
		x.port()
		x.retr()
		if n := len(x.kernel.holes()); n > 1 {
			t.Fatalf("%d pinholes of one session", n)
		}
		x.s("226 x")
	}
}
