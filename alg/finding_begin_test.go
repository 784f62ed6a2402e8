package alg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// forgeSYNACK is a SYN/ACK of the server with numbers that it likes. It goes on from there.
func (x *wire) forgeSYNACK(seq, ack uint32) {
	x.packet(fromServer, x.build(fromServer, seq, ack, tcp.SYN|tcp.ACK, ""))
	x.next[fromServer] = seq + 1
}

const head = "POST / HTTP/1.1\r\nHost: x\r\n\r\n"

func TestFinding01SlipstreamByReleaseAndForgedSYNACK(t *testing.T) {
	for name, pass := range map[string]func(x *wire, text string){
		"diverted":     func(x *wire, text string) { x.say(fromClient, text) },
		"not diverted": func(x *wire, text string) { x.next[fromClient] += uint32(len(text)) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t).connect()
			x.s("220 hello", "234 x")
			if n := x.kernel.times(alg.OpRelease); n != 0 {
				t.Errorf("a 234 that nobody asked for released the flow")
			}
			pass(x, head)
			for range 1500 {
				pass(x, strings.Repeat("x", 1400))
			}
			x.forgeSYNACK(0x12345678, x.next[fromClient])
			smuggle(x)
			x.wantNever()
		})
	}
}

func TestFinding02SlipstreamByReuseOfThePorts(t *testing.T) {
	for name, end := range map[string]func(x *wire){
		"not FTP": func(x *wire) { x.c("POST / HTTP/1.1") },
		"over":    func(x *wire) { x.flags(fromClient, tcp.FIN|tcp.ACK); x.flags(fromServer, tcp.FIN|tcp.ACK) },
		"reset":   func(x *wire) { x.flags(fromClient, tcp.RST) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, lie := range []uint32{uint32(len(head)), 1 << 22} {
				x := newWire(t).connect()
				x.s("220 hello")
				end(x)
				x.next = [2]uint32{3 << 28, 4 << 28}
				x.syn()
				x.synack()
				x.forgeSYNACK(x.next[fromServer]-1, x.next[fromClient]+lie)
				x.s("220 hello")
				x.say(fromClient, head)
				x.next[fromClient] += lie - uint32(len(head))
				x.c("NOOP")
				x.s("200 x")
				smuggle(x)
				x.wantNever()
			}
		})
	}
}

func TestFinding03SlipstreamByFastOpen(t *testing.T) {
	x := newWire(t)
	x.packet(fromClient, x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, head))
	// With a time to live that ends before the client:
	x.synack()
	x.s("220 hello")
	x.next[fromServer] -= uint32(len("220 hello\r\n"))
	// And for the client:
	x.next[fromClient] += uint32(len(head))
	x.synack()
	x.s("220 hello") // acknowledges the data: the engine has not seen it
	x.c("NOOP")
	x.s("200 x")
	smuggle(x)
	x.wantNever()
}

func TestFinding03PartlyAcceptedDataInTheSYN(t *testing.T) {
	x := newWire(t)
	x.packet(fromClient, x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, head+"NOOP\r\n"))
	x.next[fromClient] += uint32(len(head))
	x.connect()
	x.s("220 hello")
	smuggle(x)
	x.wantNever()
}

func TestFinding03DataInTheSYNIsNotHelped(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		x := newWire(t)
		x.wantPass(x.packet(fromClient, x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, "USER u\r\n")))
		if accepted {
			x.next[fromClient] += 8
		}
		x.synack()
		x.s("220 hello")
		if !accepted {
			x.c("USER u")
		}
		x.s("230 in")
		x.wantNoHelp()
	}
}

func TestFinding03BytesLostBeforeTheFirstCommandEndHelp(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	x.next[fromClient] += uint32(len(head)) // went by unseen
	x.s("220 hello")                        // acknowledges it
	x.c("NOOP")
	x.s("200 x")
	smuggle(x)
	x.wantNever()
	x.wantCount(alg.NotFTP, 1)
}

func TestFinding03BytesLostLaterEndTheBeliefIn227(t *testing.T) {
	x := newWire(t).login()
	x.next[fromClient] += 6 // NOOP, unseen
	x.s("200 x")            // acknowledges it
	x.c("NOOP", "NOOP")
	x.s("200 x", "200 x")
	x.c("PASV")
	x.s(ok227)
	x.wantNever()
	x.wantHelp()
}

func TestFinding07AForgottenFlowIsNotTakenUp(t *testing.T) {
	for name, forget := range map[string]func(x *wire){
		"never seen":  func(*wire) {},
		"ended":       func(x *wire) { x.login(); x.flags(fromClient, tcp.RST); x.wait(2 * time.Minute) },
		"idle":        func(x *wire) { x.connect(); x.wait(2 * time.Minute) },
		"stopped":     func(x *wire) { x.login(); x.take(x.w.Stop(x.now)) },
		"was not FTP": func(x *wire) { x.connect(); x.s("220 x"); x.c("POST / HTTP/1.1") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t)
			forget(x)
			x.c("TYPE I")
			x.s("200 x")
			smuggle(x)
			x.wantNoHelp()
			x.wantNever()
		})
	}
}

func TestFinding12AConflictProvesNothing(t *testing.T) {
	x := newWire(t, func(p *alg.Policy) { p.Reset = true }).login()
	x.c("NOOP")
	x.s("200 x")
	for _, d := range []side{fromClient, fromServer} {
		x.wantDrop(x.at(d, -6, "XOOP\r\n"))
		blind := strings.Repeat("z", 64000) // one of these is bound to meet what passed
		x.wantDrop(x.at(d, -30000, blind))
	}
	x.wantReason(alg.Violation, "")
	if len(x.injected) != 0 {
		t.Errorf("%d packets injected", len(x.injected))
	}
	x.wantHelp()
	x.wantPassive()
}

// The server forges a SYN in the client's name, whose number lies in the body.
func TestFinding39NoSYNWaitsBesideASession(t *testing.T) {
	for _, path := range []struct {
		name    string
		in, out uint32
	}{{"from the server", serverSide, serverSide}, {"through the gateway", serverSide, clientSide}} {
		t.Run(path.name, func(t *testing.T) {
			x := newWire(t).connect()
			x.s("220 hello")
			x.say(fromClient, head)
			body := x.next[fromClient] + 1<<22
			x.by(path.in, path.out, x.build(fromClient, body-1, 0, tcp.SYN, ""))
			x.forgeSYNACK(0x12345678, body)
			x.s("220 hello")
			x.next[fromClient] = body
			smuggle(x)
			x.wantNever()
		})
	}
}
