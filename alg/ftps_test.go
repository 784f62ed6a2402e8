package alg_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

var ftpsPorts = alg.Ports{First: 50000, Last: 50100}

// helpFTPS names the ports of one server for data connections under TLS.
func helpFTPS(p *alg.Policy) {
	rules := p.Rules
	rules.FTPSPorts = ftpsPorts
	p.Overrides = []alg.Override{{Servers: []netip.Prefix{netip.MustParsePrefix("10.2.5.5/32")}, Rules: rules}}
}

// The first records of TLS (RFC 8446, section 5.1).
const (
	clientHello = "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"
	serverHello = "\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00"
)

// secure has the dialogue go on under TLS.
func (x *wire) secure() *wire {
	x.connect()
	x.s("220 hello")
	x.c("AUTH TLS")
	x.s("234 Proceed.")
	x.say(fromClient, clientHello)
	x.say(fromServer, serverHello)
	return x
}

// wantAdmitted checks whether connections of the client to the named ports are admitted.
func (x *wire) wantAdmitted(want bool) {
	x.t.Helper()
	r := alg.Range{Client: x.flow.Client.Addr(), Server: x.flow.Server.Addr(), Ports: ftpsPorts}
	if until, ok := x.kernel.ranges[r]; (ok && x.now.Before(until)) != want {
		x.t.Errorf("admitted: %v, want %v\n%s", !want, want, x.told())
	}
	for other := range x.kernel.ranges {
		if other != r {
			x.t.Errorf("admitted: %v", other)
		}
	}
}

func TestFTPSConnectionsUnderTLSToNamedPorts(t *testing.T) {
	x := newWire(t, helpFTPS).secure()
	x.wantAdmitted(true)
	x.wantNever()
	for range 20 { // as long as the control connection lives
		x.wait(time.Minute)
		x.wantAdmitted(true)
	}
	x.flags(fromClient, tcp.FIN|tcp.ACK)
	x.flags(fromServer, tcp.FIN|tcp.ACK)
	x.wait(tick)
	x.wantAdmitted(false)
}

func TestFTPSWhatEndsTheAdmission(t *testing.T) {
	for name, end := range map[string]func(x *wire){
		"client RST": func(x *wire) { x.flags(fromClient, tcp.RST) },
		"a new SYN":  func(x *wire) { x.next = [2]uint32{5 << 28, 6 << 28}; x.syn() },
		"Stop":       func(x *wire) { x.take(x.w.Stop(x.now)) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, helpFTPS).secure()
			x.wantAdmitted(true)
			end(x)
			x.wantAdmitted(false)
		})
	}
	x := newWire(t, helpFTPS).secure() // the last of two
	y := x.another(5000).secure()
	y.flags(fromClient, tcp.RST)
	x.wantAdmitted(true)
	x.flags(fromClient, tcp.RST)
	x.wantAdmitted(false)
}

func TestFTPSWhatAdmitsNothing(t *testing.T) {
	for name, say := range map[string]func(x *wire){
		"no TLS yet":           func(*wire) {},
		"only the client's":    func(x *wire) { x.say(fromClient, clientHello) },
		"only the server's":    func(x *wire) { x.say(fromServer, serverHello) },
		"text of the client":   func(x *wire) { x.c("NOOP"); x.say(fromServer, serverHello) },
		"text of the server":   func(x *wire) { x.say(fromClient, clientHello); x.s("200 x") },
		"text before the TLS":  func(x *wire) { x.c("NOOP"); x.say(fromClient, clientHello); x.say(fromServer, serverHello) },
		"another record type":  func(x *wire) { x.say(fromClient, "\x17"+clientHello[1:]); x.say(fromServer, serverHello) },
		"an HTTP request line": func(x *wire) { x.c("POST / HTTP/1.1"); x.say(fromServer, serverHello) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, helpFTPS).connect()
			x.s("220 hello")
			x.c("AUTH TLS")
			x.s("234 Proceed.")
			say(x)
			x.wait(tick)
			x.wantAdmitted(false)
		})
	}
	x := newWire(t, helpFTPS).connect() // a 234 that nobody asked for
	x.s("220 hello", "234 x")
	x.say(fromClient, clientHello)
	x.say(fromServer, serverHello)
	x.wantAdmitted(false)

	x = newWire(t, helpFTPS).connect() // refused
	x.s("220 hello")
	x.c("AUTH TLS")
	x.s("500 x")
	x.say(fromClient, clientHello)
	x.say(fromServer, serverHello)
	x.wantAdmitted(false)

	x = newWire(t).secure() // not set: then the event says what to set
	if n := x.kernel.times(alg.OpAdmit); n != 0 {
		t.Errorf("admitted %d times without the setting", n)
	}
	x.wantReason(alg.AuthTLS, "ftps_ports")
}

// One byte a segment: the records are found all the same.
func TestFTPSTheFirstRecordInPieces(t *testing.T) {
	x := newWire(t, helpFTPS).connect()
	x.s("220 hello")
	x.c("AUTH TLS")
	x.s("234 Proceed.")
	for i := range len(clientHello) {
		x.wantPass(x.say(fromClient, clientHello[i:i+1]))
	}
	for i := range len(serverHello) {
		x.wantPass(x.say(fromServer, serverHello[i:i+1]))
	}
	x.wantAdmitted(true)
}
