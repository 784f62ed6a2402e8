package alg_test

import (
	"encoding/binary"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// urgentAt sets the urgent pointer of a packet.
func urgentAt(t tb, p []byte, pointer uint16) []byte {
	header := 20
	if p[0]>>4 == 6 {
		header = 40
	}
	p[header+13] |= tcp.URG
	binary.BigEndian.PutUint16(p[header+18:], pointer)
	seg, err := tcp.Parse(p)
	if err != nil {
		t.Fatalf("%v", err)
	}
	seg.SetChecksum()
	return p
}

// A byte of urgent data in AUTH; a receiver without SO_OOBINLINE takes it out (Linux:
// the byte before the pointer).
func TestUrgentByteInAuth(t *testing.T) {
	x := newWire(t, denyTLS).login()
	text := "AUxTH TLS\r\n"
	p := urgentAt(t, x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, text), 3)
	x.next[fromClient] += uint32(len(text))
	id := x.packet(fromClient, p)
	v := x.verdicts[id]
	if v.Drop {
		return
	}
	out := p
	if v.Data != nil {
		out = v.Data
	}
	seg, _ := tcp.Parse(out)
	if seg.Has(tcp.URG) && string(seg.Payload) == text {
		t.Errorf("passed with URG: the server reads AUTH TLS")
	}
}

// SITE taken out as urgent data, byte by byte, leaves STAT q; the gateway believes on.
func TestUrgentBytesHideStat(t *testing.T) {
	x := newWire(t).login()
	for _, c := range "SITE " {
		p := urgentAt(t, x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, string(c)), 1)
		x.next[fromClient]++
		x.packet(fromClient, p)
	}
	x.say(fromClient, "STAT q\r\n")
	x.c("PASV")
	x.s("213-Status:", "213 x", "227 Entering Passive Mode (10,2,5,5,31,145)")
	x.wantNever()
}

// Urgent data announced by a segment without bytes is not noted: PORT is acted on
// though a byte of it is taken out.
func TestUrgentAnnouncedAhead(t *testing.T) {
	x := newWire(t).login()
	x.packet(fromClient, urgentAt(t, x.build(fromClient, x.next[fromClient], x.next[fromServer], tcp.ACK, ""), 10))
	x.c(port46197)
	x.s(ok200)
	x.c("RETR x")
	x.wantNever()
}

// On_overload = "pass": bytes of the client went by unread and the server has said so;
// others at the same numbers are read as if it had those.
func TestBytesThatTheReceiverHasAlready(t *testing.T) {
	x := newWire(t).login()
	hidden := "STAT aaaaaa\r\n" // passed by the kernel: the queue was full
	_ = hidden
	// The server acknowledges it, with the first line of its answer.
	x.packet(fromServer, x.build(fromServer, x.next[fromServer], x.next[fromClient]+uint32(len(hidden)), tcp.ACK, "213-Status\r\n"))
	x.next[fromServer] += 12
	x.say(fromClient, "NOOP\r\nPASV\r\n ")
	x.s("213 x", "227 Entering Passive Mode (10,2,5,5,31,145)")
	x.wantNever()
}

// FTPS without conntrack's number is admitted for ever.
func TestAdmittedWithoutAnEnd(t *testing.T) {
	p := alg.DefaultPolicy()
	p.FTPSPorts = alg.Ports{First: 50000, Last: 50100}
	fl := &noID{}
	x := withFlows(t, p, fl)
	x.connect()
	x.s("220 x")
	x.c("AUTH TLS")
	x.s("234 x")
	x.say(fromClient, "\x16\x03\x01")
	x.say(fromServer, "\x16\x03\x03")
	if len(x.kernel.ranges) != 1 {
		t.Fatal("not admitted")
	}
	fl.gone = true // the control connection is gone, its end was not seen
	for range 24 * 10 {
		x.now = x.now.Add(3600e9)
		x.take(x.w.Tick(x.now))
	}
	if n := x.w.Sessions(); n != 0 {
		t.Errorf("after ten days without a packet: %d sessions, admitted until %v (now %v)", n, x.kernel.ranges, x.now)
	}
}

type noID struct {
	tracking
	asked int
	gone  bool
}

func (f *noID) ID(alg.Flow) (uint32, bool, error) {
	f.asked++
	if f.asked == 1 {
		return 0, false, errKernel // one lost netlink message
	}
	return 7, !f.gone, nil
}

// Servers of the BSD family take the byte after IAC WILL for its option, whatever it
// is: LF as well. They read AUTH TLS.
func TestLFAsTelnetOptionInAuth(t *testing.T) {
	for _, text := range []string{"AU\xff\xfb\nTH TLS\r\n", "AU\xff\xfd\nTH TLS\r\n"} {
		x := newWire(t, denyTLS).login()
		if got := x.payload(x.say(fromClient, text), text); got == text {
			t.Errorf("passed as it came: %q", got)
		}
	}
}

// Connections are admitted after a 235, without any 234.
func TestAdmittedWithout234(t *testing.T) {
	p := alg.DefaultPolicy()
	p.FTPSPorts = alg.Ports{First: 50000, Last: 50100}
	x := newWireOf(t, clientAddr, serverAddr, alg.WorkerConfig{Policy: p})
	x.login()
	x.c("ADAT x") // no AUTH either
	x.s("235 x")
	x.say(fromClient, "\x16\x03\x01")
	x.say(fromServer, "\x16\x03\x03")
	if n := len(x.kernel.ranges); n > 0 {
		t.Errorf("admitted: %v", x.kernel.ranges)
	}
}
