package alg_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

func TestFinding08ManyAUTHInOneSegment(t *testing.T) {
	for _, n := range []int{1, 64, 65, 100} {
		x := newWire(t, denyTLS).login()
		text := strings.Repeat("AUTH TLS\r\n", n)
		id := x.say(fromClient, text)
		if strings.Contains(x.payload(id, text), "AUTH") {
			t.Errorf("%d: AUTH went out as it was", n)
		}
		id = x.at(fromClient, -len(text), text) // TCP sends it again
		if strings.Contains(x.payload(id, text), "AUTH") {
			t.Errorf("%d: AUTH went out as it was when it was sent again", n)
		}
		if len(x.injected) != 0 || x.count(alg.Violation) != 0 {
			t.Errorf("%d: a violation, though the policy ignores them:\n%s", n, x.told())
		}
	}
}

// One data segment each fills the table of sessions.
func TestFinding09WhatIsNotFTPDoesNotFillTheTable(t *testing.T) {
	for name, junk := range map[string]func(z *wire){
		"a data segment":            func(z *wire) { z.c("junk") },
		"a server's data segment":   func(z *wire) { z.s("junk") },
		"a SYN/ACK":                 func(z *wire) { z.synack() },
		"not FTP":                   func(z *wire) { z.connect(); z.c("GET / HTTP/1.1") },
		"not FTP behind a greeting": func(z *wire) { z.connect(); z.s("220 x"); z.c("GET / HTTP/1.1") },
		"a lying handshake":         func(z *wire) { z.syn(); z.next[fromClient] += 5; z.synack() },
		"released":                  func(z *wire) { z.connect(); z.s("220 x"); z.c("AUTH TLS"); z.s("234 x") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, func(p *alg.Policy) { p.MaxSessions = 20; p.MaxSessionsPerClient = 20 })
			for i := range 20 {
				junk(x.from(fmt.Sprintf("10.1.9.%d", i), 5000))
				junk(x.another(5000 + uint16(i)))
			}
			x.wait(time.Minute + tick)
			x.login()
			x.wantHelp()
		})
	}
}

func TestFinding10AFailedCloseIsToldOnceAndTriedUntilTheTimeOut(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	opened := x.now
	var last time.Time
	tries := 0
	x.kernel.fail = func(ops []alg.Op) error {
		for _, op := range ops {
			if op.Kind == alg.OpClose {
				tries++
				last = x.now
				return errKernel
			}
		}
		return nil
	}
	x.s("550 x")
	x.wait(10 * time.Minute)
	if tries < 3 {
		t.Errorf("tried %d times", tries)
	}
	if after := last.Sub(opened); after > x.policy.Timeout+time.Second {
		t.Errorf("still tried %v after it was opened", after)
	}
	x.wantCount(alg.Failure, 1)
	x.wantCount(alg.PinholeClosed, 1)
	x.wantOpen() // by its own time-out
}

func TestFinding10AFailedCloseSucceedsLater(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	x.kernel.fail = func(ops []alg.Op) error {
		if ops[0].Kind == alg.OpClose {
			return errKernel
		}
		return nil
	}
	x.s("550 x")
	x.wait(3 * time.Second)
	x.wantOpen(x.hole(46197))
	x.kernel.fail = nil
	x.wait(2 * time.Second)
	x.wantOpen()
	x.wantCount(alg.Failure, 1)
}

// A close that is tried again does not close what was announced anew meanwhile.
func TestFinding10AFailedCloseDoesNotCloseANewOne(t *testing.T) {
	x := newWire(t).login()
	x.port()
	x.retr()
	x.kernel.fail = func(ops []alg.Op) error {
		if ops[0].Kind == alg.OpClose {
			return errKernel
		}
		return nil
	}
	x.s("550 x")
	x.wait(time.Second)
	x.port()
	x.retr()
	x.kernel.fail = nil
	x.wait(5 * time.Second)
	x.wantOpen(x.hole(46197))
}

// noAUTH gives the worker bytes of the client and checks that no AUTH arrives, not
// later either.
func (x *wire) noAUTH(texts ...string) {
	x.t.Helper()
	var ids []uint64
	for _, text := range texts {
		ids = append(ids, x.say(fromClient, text))
	}
	x.wait(2 * time.Second)
	for i, id := range ids {
		if arrived := x.payload(id, texts[i]); strings.Contains(strings.ToUpper(arrived), "AUTH") {
			x.t.Errorf("%q arrived\n%s", arrived, x.told())
		}
	}
}

func TestFinding13DeniedTLSAfterAnything(t *testing.T) {
	for name, before := range map[string]func(x *wire){
		"a junk line":             func(x *wire) { x.c("junk junk") },
		"HTTP":                    func(x *wire) { x.c("GET / HTTP/1.1") },
		"an empty line":           func(x *wire) { x.c("") },
		"a telnet command":        func(x *wire) { x.c("\xff\xf6NOOP") },
		"an unasked 234":          func(x *wire) { x.s("234 x") },
		"surplus replies":         func(x *wire) { x.s("200 x", "noise") },
		"many commands":           func(x *wire) { x.lines(fromClient, make([]string, 2000)) },
		"many NOOPs":              func(x *wire) { x.say(fromClient, strings.Repeat("NOOP\r\n", 2000)) },
		"a long line":             func(x *wire) { x.c(strings.Repeat("A", 6000)) },
		"a forbidden port":        func(x *wire) { x.c("PORT 10,1,4,4,0,22") },
		"a forged RST":            func(x *wire) { x.flags(fromServer, tcp.RST) },
		"a forged FIN":            func(x *wire) { x.flags(fromServer, tcp.FIN|tcp.ACK) },
		"time":                    func(x *wire) { x.now = x.now.Add(25 * time.Hour); x.wait(tick) },
		"bytes that went by":      func(x *wire) { x.next[fromClient] += 20; x.s("200 x") },
		"a stop of the worker":    func(x *wire) { x.take(x.w.Stop(x.now)) },
		"a SYN/ACK of the server": func(x *wire) { x.forgeSYNACK(99, x.next[fromClient]) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, denyTLS).login()
			before(x)
			x.noAUTH("AUTH TLS\r\n", "AUTH TLS\r\n", "NOOP\r\nAUTH TLS\r\n")
		})
	}
	for _, line := range []string{"AU\xff\xf1TH TLS", "\xff\xfb\x01AUTH TLS", "\xff\xf1AUTH TLS", " AUTH TLS", "AUTH\tTLS", "\x00AUTH TLS", "NOOP\x00AUTH TLS"} {
		x := newWire(t, denyTLS).login() // servers that look through this exist
		id := x.say(fromClient, line+"\r\n")
		if arrived := x.payload(id, line+"\r\n"); arrived == line+"\r\n" {
			t.Errorf("%q went out as it was", line)
		}
	}
	x := newWire(t, denyTLS).connect() // before the greeting
	x.noAUTH("AUTH TLS\r\n")
	x.s("220 x")
	x.noAUTH("AUTH TLS\r\n")
}

// What cannot be read does not pass: flows without a session are reset.
func TestFinding43DeniedTLSAndFlowsWithoutASession(t *testing.T) {
	for name, begin := range map[string]func(x *wire){
		"its SYN was not seen": func(*wire) {},
		"no room":              func(x *wire) { x.another(4000).login(); x.connect() },
		"data in the SYN": func(x *wire) {
			id := x.packet(fromClient, x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, "AUTH TLS\r\n"))
			if arrived := x.payload(id, "AUTH TLS\r\n"); strings.Contains(arrived, "AUTH") {
				t.Errorf("%q arrived with the SYN", arrived)
			}
			x.next[fromClient] += 10
			x.synack()
		},
		"a lying handshake": func(x *wire) {
			x.syn()
			x.packet(fromServer, x.build(fromServer, x.next[fromServer]-1, x.next[fromClient]+9, tcp.SYN|tcp.ACK, ""))
			x.synack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWire(t, denyTLS, func(p *alg.Policy) { p.MaxSessions = 1 })
			begin(x)
			before := x.next
			x.wantDrop(x.say(fromClient, "AUTH TLS\r\n"))
			ends := map[side]bool{}
			for _, p := range x.injected {
				seg, err := tcp.Parse(p)
				if err != nil || !seg.Has(tcp.RST) || !seg.ChecksumOK() {
					t.Fatalf("injected %x: %v", p, err)
				}
				from := fromServer
				if seg.Dst == x.flow.Server {
					from = fromClient
				}
				if seg.Seq != before[from] {
					t.Errorf("a reset at %d, the receiver expects %d", seg.Seq, before[from])
				}
				ends[from.other()] = true
			}
			if !ends[fromClient] || !ends[fromServer] {
				t.Errorf("reset: %v, want both ends", ends)
			}
		})
	}
	x := newWire(t) // allowed, it passes
	x.wantPass(x.say(fromClient, "AUTH TLS\r\n"))
	if len(x.injected) != 0 {
		t.Errorf("%d packets injected", len(x.injected))
	}
}
