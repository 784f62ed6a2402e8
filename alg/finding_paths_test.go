package alg_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// forge sends bytes in sequence, in the name of one side, by a path that is not its own.
func (x *wire) forge(in, out uint32, d side, text string) uint64 {
	seq := x.next[d]
	x.next[d] += uint32(len(text))
	return x.by(in, out, x.build(d, seq, x.next[d.other()], tcp.ACK|tcp.PSH, text))
}

// A hostile client sends the gateway a frame with the server's address.
func TestFinding38TheClientAnswersItsOwnPASV(t *testing.T) {
	x := newWire(t).login()
	x.c("PASV")
	x.wantDrop(x.forge(clientSide, clientSide, fromServer, "227 (10,2,5,5,31,145)\r\n"))
	x.wantNever()
	x.wantCount(alg.Violation, 1)
}

// A hostile server speaks for a client that only connected.
func TestFinding38TheServerSpeaksForItsClient(t *testing.T) {
	x := newWire(t).connect()
	x.s("220 hello")
	for _, line := range []string{"USER u\r\n", "PORT 10,1,4,4,39,15\r\n", "RETR x\r\n"} {
		x.wantDrop(x.forge(serverSide, serverSide, fromClient, line))
		x.s("230 x")
	}
	x.wantNever()
	x.wantCount(alg.Violation, 1)
}

func TestFinding38ThePathOfEachSideIsThatOfTheSYN(t *testing.T) {
	for _, tc := range []struct {
		name    string
		d       side
		in, out uint32
		pass    bool
	}{
		{"client, as its SYN", fromClient, clientSide, serverSide, true},
		{"client, from a third network", fromClient, 9, serverSide, false},
		{"client, from the server", fromClient, serverSide, serverSide, false},
		{"client, from this host", fromClient, 0, serverSide, false},
		{"server, as it should", fromServer, serverSide, clientSide, true},
		{"server, from a third network", fromServer, 9, clientSide, false},
		{"server, from the client", fromServer, clientSide, clientSide, false},
		{"server, from this host", fromServer, 0, clientSide, false},
		{"server, to a third network", fromServer, serverSide, 9, false},
	} {
		for _, loose := range []bool{false, true} {
			x := newWire(t, func(p *alg.Policy) { p.Loose = loose }).login()
			line := "NOOP\r\n"
			if tc.d == fromServer {
				x.c("NOOP")
				line = "200 x\r\n"
			}
			id := x.forge(tc.in, tc.out, tc.d, line)
			if want := tc.pass || loose; x.verdicts[id].Drop == want {
				t.Errorf("%s, loose %v: dropped %v", tc.name, loose, !want)
			}
			if tc.pass || loose {
				x.wantCount(alg.Violation, 0)
				if tc.d == fromClient {
					x.s("200 x")
				}
			} else {
				x.wantCount(alg.Violation, 1)
				x.next[tc.d] -= uint32(len(line)) // it did not arrive
				x.lines(tc.d, []string{line[:len(line)-2]})
				if tc.d == fromClient {
					x.s("200 x")
				}
			}
			x.wantHelp()
			x.wantPassive()
		}
	}
}

// From elsewhere come neither the answer to a SYN nor an end.
func TestFinding38HandshakesAndEndsFromElsewhere(t *testing.T) {
	x := newWire(t)
	x.syn()
	x.wantDrop(x.by(clientSide, clientSide, x.build(fromServer, 555, x.next[fromClient]+99, tcp.SYN|tcp.ACK, "")))
	x.synack()
	x.s("220 hello")
	x.c("USER u")
	x.s("230 in")
	x.port()
	x.retr()
	x.wantDrop(
		x.by(clientSide, clientSide, x.build(fromServer, x.next[fromServer], x.next[fromClient], tcp.RST|tcp.ACK, "")),
		x.by(serverSide, serverSide, x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.FIN|tcp.ACK, "")),
		x.by(clientSide, clientSide, x.build(fromServer, x.next[fromServer], x.next[fromClient], tcp.ACK, "426 x\r\n")),
	)
	x.wantOpen(x.hole(46197))
}

// On a single host one end has no interface.
func TestFinding38OneEndIsThisHost(t *testing.T) {
	for name, paths := range map[string][2][2]uint32{
		"the client is": {{0, 2}, {2, 0}},
		"the server is": {{2, 0}, {0, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t)
			x.in = [2]uint32{paths[0][0], paths[1][0]}
			x.out = [2]uint32{paths[0][1], paths[1][1]}
			x.login()
			x.wantHelp()
			x.wantPassive()
			x.wantCount(alg.Violation, 0)
		})
	}
}
