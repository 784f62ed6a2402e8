package alg_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// Commands, and those whose answers say what the client put into them.
var hostileCommands = []string{
	"PASV\r\n", "PASV\r\n", "EPSV\r\n", "NOOP\r\n", "\r\n", "STAT x\r\n", "STAT\r\n", "MLST x\r\n", "PWD\r\n", "ABOR\r\n", "RETR x\r\n",
	"MKD a\r\x00213 x\r\x00" + evil227 + "\r\n", "MKD a\r\x00250 x\r\x00" + evil227 + "\r\x00b\r\n", "MKD a\r\x00" + evil227 + "\r\n",
	"MKD a\r\xff\xfbx\n" + evil227 + "\r\n", "MKD a\n" + evil227 + "\r\n", "CWD x\n" + evil227 + "\r\n", "CWD a\r\xff\xfbx\n" + evil227 + "\r\n",
	"STAT x\r\nPASV\r\n", "PWD\r\nPASV\r\n", "MLST x\r\nPASV\r\n", "CWD x\n" + evil227 + "\r\nPASV\r\n", "MKD a\"\r\x00" + evil227 + "\r\nPASV\r\n",
}

// hostileClient sends one segment, more often than not one that the server reads.
func (m *world) hostileClient(rt *rapid.T) {
	seq := m.host.rcv
	switch rapid.IntRange(0, 9).Draw(rt, "seq") {
	case 0:
		seq += rapid.Uint32Range(0, 1<<12).Draw(rt, "ahead")
	case 1:
		seq -= rapid.Uint32Range(0, 60).Draw(rt, "behind")
	case 2:
		seq = m.rand.Uint32()
	}
	flags := rapid.SampledFrom([]uint8{
		tcp.ACK, tcp.ACK, tcp.ACK, tcp.ACK, tcp.ACK, tcp.ACK, tcp.FIN | tcp.ACK, tcp.RST, tcp.SYN, tcp.SYN | tcp.ACK, tcp.PSH, tcp.ACK | tcp.URG,
	}).Draw(rt, "flags")
	text := ""
	if flags&(tcp.FIN|tcp.RST|tcp.SYN) == 0 {
		text = strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostileCommands), 0, 2).Draw(rt, "text"), "")
		if rapid.IntRange(0, 3).Draw(rt, "cut") == 0 {
			text = text[:rapid.IntRange(0, len(text)).Draw(rt, "at")]
		}
	}
	window := uint32(65535)
	if rapid.IntRange(0, 2).Draw(rt, "narrow") == 0 {
		window = rapid.SampledFrom(m.lineStarts()).Draw(rt, "up to") - m.host.una
		if window > 1<<20 {
			window = 0
		}
	}
	m.send(fromClient, seq, m.anAck(rt), flags, text, rapid.IntRange(0, 3).Draw(rt, "short") == 0, window)
}

// A client that has an honest server behind the gateway reaches the ports that the server
// offered, and no other.
func TestAHostileClientAndAnHonestServer(t *testing.T) {
	many(t, func(rt *rapid.T) {
		m := newWorld(rt, fromServer)
		f := &ftpd{crlf: rapid.Bool().Draw(rt, "crlf"), blanks: rapid.Bool().Draw(rt, "blanks"), offered: map[uint16]bool{}}
		m.host.out = []byte("220 hello\r\n")
		first := m.rand.Uint32()
		m.send(fromClient, first, 0, tcp.SYN, "", false, 65535)
		m.send(fromClient, first+1, m.host.nxt, tcp.ACK, "", false, 65535)
		says := func(text string, short bool) {
			m.send(fromClient, m.host.rcv, m.host.nxt, tcp.ACK, text, short, 65535)
		}
		answers := func() {
			m.host.out = append(m.host.out, f.serve(m.host.read)...)
			m.speak(1400, false)
		}
		if rapid.IntRange(0, 9).Draw(rt, "logs in") > 0 {
			answers()
			says("USER u\r\nPASS p\r\n", false)
			answers()
		}
		says2 := func(rt *rapid.T) {
			says(rapid.SampledFrom(hostileCommands).Draw(rt, "command"), rapid.IntRange(0, 5).Draw(rt, "short") == 0)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"says": says2, "says more": says2, "says even more": says2,
			"is hostile": m.hostileClient, "is more hostile": m.hostileClient, "in its name": m.inItsName,
			"server answers": func(*rapid.T) { answers() }, "server answers too": func(*rapid.T) { answers() },
			"server answers a bit": func(rt *rapid.T) {
				m.host.out = append(m.host.out, f.serve(m.host.read)...)
				m.speak(rapid.IntRange(1, 60).Draw(rt, "n"), false)
			},
			"server repeats": func(rt *rapid.T) { m.speak(rapid.IntRange(1, 100).Draw(rt, "n"), true) },
			"time":           func(rt *rapid.T) { m.pass(rapid.IntRange(1, 30).Draw(rt, "ticks")) },
		})
		for _, p := range m.kernel.opened {
			if p.Mode == alg.Passive && !f.offered[p.Dest.Port()] {
				rt.Fatalf("the server read %q\nand said %q\nopened %v\n%s", m.host.read, m.host.out, p, m.told())
			}
		}
	})
}
