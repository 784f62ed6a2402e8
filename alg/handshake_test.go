package alg_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// What is no beginning of a dialogue: nothing of it is helped.
func TestWhatIsNoHandshake(t *testing.T) {
	for name, begin := range map[string]func(x *wire){
		"two SYNs with different numbers": func(x *wire) {
			x.packet(fromClient, x.build(fromClient, x.next[fromClient]+5000, 0, tcp.SYN, ""))
			x.connect()
		},
		"a SYN/ACK that acknowledges more": func(x *wire) {
			x.syn()
			x.packet(fromServer, x.build(fromServer, x.next[fromServer]-1, x.next[fromClient]+9, tcp.SYN|tcp.ACK, ""))
			x.synack()
		},
		"a SYN/ACK that acknowledges nothing": func(x *wire) {
			x.syn()
			x.packet(fromServer, x.build(fromServer, x.next[fromServer]-1, x.next[fromClient]-1, tcp.SYN|tcp.ACK, ""))
			x.synack()
		},
		"two different acknowledgements": func(x *wire) {
			x.connect()
			x.packet(fromServer, x.build(fromServer, x.next[fromServer]-1, x.next[fromClient]+9, tcp.SYN|tcp.ACK, ""))
		},
		"two different SYN/ACKs": func(x *wire) {
			x.connect()
			x.packet(fromServer, x.build(fromServer, x.next[fromServer]+70000, x.next[fromClient], tcp.SYN|tcp.ACK, ""))
		},
		"a client that starts elsewhere": func(x *wire) {
			x.connect()
			x.next[fromClient] += 12
		},
		"a client that acknowledges what was not seen": func(x *wire) {
			x.connect()
			x.next[fromServer] += 12
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t)
			begin(x)
			x.c("USER u")
			x.s("220 hello", "230 in")
			x.wantNoHelp()
			x.wantNever()
			x.wait(11 * tick)
			x.wantCount(alg.NotFTP, 1)
			// It is a SYN that begins anew.
			x.next = [2]uint32{5 << 28, 6 << 28}
			x.login()
			x.wantHelp()
		})
	}
}

func TestAHandshakeMayBeSentAgain(t *testing.T) {
	x := newWire(t)
	x.syn()
	x.syn()
	x.synack()
	x.syn()
	x.synack()
	x.flags(fromClient, tcp.ACK)
	x.s("220 hello")
	x.synack0()
	x.c("USER u")
	x.s("230 in")
	x.wantHelp()
	x.wantPassive()
	x.wantCount(alg.NotFTP, 0)
}

// synack0 is the SYN/ACK once more, behind the greeting.
func (x *wire) synack0() {
	const greeting = uint32(len("220 hello\r\n"))
	x.packet(fromServer, x.build(fromServer, x.next[fromServer]-greeting-1, x.next[fromClient], tcp.SYN|tcp.ACK, ""))
}

func TestHandshakesAcrossTheWrap(t *testing.T) {
	for _, first := range []uint32{0, 1, 1<<32 - 1, 1 << 31} {
		x := newWire(t)
		x.next = [2]uint32{first, first}
		x.login()
		x.wantHelp()
	}
}
