package alg_test

import (
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

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

func TestAFailedTransactionOpensNothingAndHoldsNothingUp(t *testing.T) {
	x := newWire(t).login()
	x.kernel.fail = func([]alg.Op) error { return errKernel }
	x.c(port46197)
	x.s(ok200)
	x.wantPass(x.say(fromClient, "RETR x\r\n"))
	x.wantNever()
	if x.count(alg.PinholeOpen) != 0 || x.count(alg.Failure) != 1 {
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
	x.c(port46197)
	x.s(ok200)
	x.kernel.fail = func(ops []alg.Op) error {
		for _, op := range ops {
			if op.Pinhole == y.hole(190*256+1) {
				return errKernel
			}
		}
		return nil
	}
	r := x.w.Batch(x.now, []alg.Packet{
		{ID: 9001, In: clientSide, Out: serverSide, Data: x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, "RETR x\r\n")},
		{ID: 9002, In: clientSide, Out: serverSide, Data: y.build(fromClient, y.next[fromClient], y.next[fromServer], tcp.ACK, "RETR x\r\n")},
	})
	if len(r.Verdicts) != 2 {
		t.Errorf("%d verdicts", len(r.Verdicts))
	}
	x.wantOpen(x.hole(46197))
}
