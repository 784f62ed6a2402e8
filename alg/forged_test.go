package alg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// smuggle is what a page makes a browser send, after lines that are not FTP.
func smuggle(x *wire) {
	x.c("USER u")
	x.s("230 in")
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
}

// A lying ACK takes the place of the greeting and hides the client's first bytes.
func TestLyingACKBeforeTheGreeting(t *testing.T) {
	x := newWire(t).connect()
	head := "POST / HTTP/1.1\r\nHost: x\r\n\r\n"
	// The server acknowledges what the client has not sent: the client's kernel drops it.
	hello := "220 hello\r\n"
	x.packet(fromServer, x.build(fromServer, x.next[fromServer], x.next[fromClient]+uint32(len(head)), tcp.ACK, hello))
	x.say(fromServer, hello) // and once more, for the client to go on
	x.say(fromClient, head+"NOOP\r\n")
	x.s("200 x")
	smuggle(x)
	x.wantNever()
}

// Blind RST, helps end.
func TestARSTOutOfPlaceDoesNotEndTheHelp(t *testing.T) {
	x := newWire(t).login()
	x.packet(fromServer, x.build(fromServer, x.next[fromServer]+900_000, 0, tcp.RST, ""))
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

func TestAForgedSYNACKDoesNotEndTheHelp(t *testing.T) {
	x := newWire(t).login()
	x.packet(fromServer, x.build(fromServer, 0x12345678, 0x87654321, tcp.SYN|tcp.ACK, "")) // anybody's: no number need be known
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantOpen(x.hole(46197))
}

// A long line that is not a command.
func TestALongForeignLineIsNotFTP(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	x.c("\x16\x03\x01\x40\x00\x01" + strings.Repeat("t", 5000)) // a ClientHello with a ticket
	x.s("500 x")
	smuggle(x)
	x.wantNever()
	if x.count(alg.NotFTP) != 1 {
		t.Error("not flagged")
	}
}

// A lying ACK of the client moves the ALG into a multi-line reply.
func TestLyingACKIntoAMultiLineReply(t *testing.T) {
	x := newWire(t).login()
	x.c("STAT upload")
	part1 := "213-Status follows:\r\n total 1\r\n"
	// The server drops this: it acknowledges what was not sent. PASV is sent for real later.
	x.packet(fromClient, x.build(fromClient, x.next[fromClient], x.next[fromServer]+uint32(len(part1)-3), tcp.ACK, "PASV\r\n"))
	x.s(part1 + "227 x (10,2,5,5,200,1)\r\n213 End")
	x.wantNever()
}

// A connection from port 21 to a service inside: the roles are the other way round.
func TestAConnectionFromPort21IsNotItsServer(t *testing.T) {
	x := newWire(t)
	x.packet(fromServer, x.build(fromServer, x.next[fromServer]-1, 0, tcp.SYN, ""))
	x.packet(fromClient, x.build(fromClient, x.next[fromClient]-1, x.next[fromServer], tcp.SYN|tcp.ACK, ""))
	x.s("NOOP") // an echo service, or any that repeats a line
	x.c("NOOP")
	x.s("200 x")
	x.c(port46197)
	x.s("200 x")
	x.c("RETR x")
	x.wantNever()
}

// What anybody can send from elsewhere: two SYN/ACKs after the client spoke.
func TestASYNACKInTheMiddleOfWhatIsNotFTP(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	x.c("POST / HTTP/1.1")
	x.synack() // the same numbers as now: the client's kernel answers with a challenge
	x.s("220 hello")
	smuggle(x)
	x.wantNever()
}

// A RST that no receiver accepts.
func TestAForgedRSTInTheMiddleOfWhatIsNotFTP(t *testing.T) {
	for _, offset := range []uint32{0, 1, 500_000} {
		x := newWire(t).connect()
		x.s("220 hello")
		x.c("POST / HTTP/1.1")
		x.packet(fromServer, x.build(fromServer, x.next[fromServer]+offset, 0, tcp.RST, ""))
		x.wait(61 * time.Second)
		smuggle(x)
		x.wantNever()
	}
}
