package alg_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// What a hostile server says.
var hostileReplies = []string{
	"220 hello\r\n", "220 hello\r\n", "234 x\r\n", "230 in\r\n", "331 p\r\n", "200 ok\r\n", "200 ok\r\n200 ok\r\n200 ok\r\n",
	"150 x\r\n", "226 x\r\n", "500 x\r\n", "noise\r\n", "220-x\r\n", "227 (10,2,5,5,180,117)\r\n", "421 x\r\n", "",
}

// What a page can have a browser send behind its own lines.
var smuggled = []string{
	"USER u\r\n", "PASS p\r\n", "PORT 10,1,4,4,39,15\r\n", "RETR x\r\n", "NOOP\r\n", "AUTH TLS\r\n", "xxxxxxxxxxxxxxxx\r\n", "\r\n",
	"USER u\r\nPORT 10,1,4,4,39,15\r\nRETR x\r\n", "NOOP\r\nUSER u\r\nPORT 10,1,4,4,39,15\r\nRETR x\r\n",
}

// lineStarts are the numbers of the first bytes of the lines that the honest host says.
func (m *world) lineStarts() []uint32 {
	starts := []uint32{m.host.iss + 1}
	for i, b := range m.host.out {
		if b == '\n' {
			starts = append(starts, m.host.iss+2+uint32(i))
		}
	}
	return starts
}

// anAck is what a hostile host acknowledges: the truth more often than not, and lies that
// point to the beginning of a line.
func (m *world) anAck(rt *rapid.T) uint32 {
	switch rapid.IntRange(0, 9).Draw(rt, "ack") {
	case 0, 1, 2:
		return rapid.SampledFrom(m.lineStarts()).Draw(rt, "line")
	case 3:
		return m.host.nxt + rapid.Uint32Range(0, 200).Draw(rt, "beyond")
	case 4:
		return m.host.una
	}
	return m.host.nxt
}

// hostileServer sends one segment.
func (m *world) hostileServer(rt *rapid.T) {
	seq := m.host.rcv
	switch rapid.IntRange(0, 9).Draw(rt, "seq") {
	case 0:
		seq += rapid.Uint32Range(0, 1<<16).Draw(rt, "ahead")
	case 1:
		seq -= rapid.Uint32Range(0, 100).Draw(rt, "behind")
	case 2:
		seq = m.rand.Uint32()
	}
	flags := rapid.SampledFrom([]uint8{
		tcp.ACK, tcp.ACK, tcp.ACK, tcp.ACK, tcp.ACK, tcp.SYN | tcp.ACK, tcp.SYN | tcp.ACK, tcp.FIN | tcp.ACK, tcp.RST, tcp.RST | tcp.ACK, tcp.PSH,
	}).Draw(rt, "flags")
	text := ""
	if flags == tcp.ACK || flags == tcp.PSH {
		text = strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostileReplies), 0, 2).Draw(rt, "text"), "")
	}
	ack := m.anAck(rt)
	window := uint32(65535)
	if rapid.Bool().Draw(rt, "narrow") { // up to the end of a line
		window = rapid.SampledFrom(m.lineStarts()).Draw(rt, "up to") - m.host.una
		if window > 1<<20 {
			window = 0
		}
	}
	m.send(fromServer, seq, ack, flags, text, rapid.IntRange(0, 3).Draw(rt, "short") == 0, window)
}

// serve is what a server that behaves sends.
func (m *world) serve(rt *rapid.T) {
	m.send(fromServer, m.host.rcv, m.host.nxt, tcp.ACK, rapid.SampledFrom(hostileReplies).Draw(rt, "reply"), false, 65535)
}

// inItsName has the hostile host speak for the honest one.
func (m *world) inItsName(rt *rapid.T) {
	d := m.host.side
	words, from := clientWords, m.in[d.other()]
	if d == fromServer {
		words = serverWords
	}
	out := rapid.SampledFrom([]uint32{clientSide, serverSide}).Draw(rt, "out")
	flags := rapid.SampledFrom([]uint8{tcp.ACK, tcp.ACK, tcp.ACK, tcp.SYN | tcp.ACK, tcp.FIN | tcp.ACK, tcp.RST}).Draw(rt, "flags")
	text := ""
	if flags == tcp.ACK {
		text = rapid.SampledFrom(words).Draw(rt, "text")
	}
	m.route(from, out, d, m.build(d, m.host.nxt, m.host.rcv, flags, text), true, 0)
}

// dial has the client connect, perhaps with data in the SYN.
func (m *world) dial(rt *rapid.T, diverted bool) {
	h := m.host
	if rapid.IntRange(0, 4).Draw(rt, "fast open") == 0 {
		h.fast = rapid.IntRange(1, len(h.out)).Draw(rt, "bytes")
	}
	h.una, h.nxt = h.iss, h.iss+1
	p := m.build(fromClient, h.iss, 0, tcp.SYN, string(h.out[:h.fast]))
	if diverted {
		m.route(m.in[fromClient], m.out[fromClient], fromClient, p, false, 65535)
	}
}

// handshake is the answer of a server that behaves.
func (m *world) handshake() {
	if !m.host.up {
		m.send(fromServer, m.rand.Uint32(), m.host.iss+1, tcp.SYN|tcp.ACK, "", false, 65535)
	}
}

// A browser that speaks to a hostile server never has a port opened, whatever stands in
// what it is made to send and whatever the server does to its segments.
func TestAHostileServerAndABrowser(t *testing.T) {
	many(t, func(rt *rapid.T) {
		m := newWorld(rt, fromClient)
		say := func() {
			m.host.out = []byte(head + strings.Join(rapid.SliceOfN(rapid.SampledFrom(smuggled), 1, 6).Draw(rt, "body"), ""))
		}
		say()
		m.dial(rt, true)
		m.run(rt, map[string]func(*rapid.T){
			"again": func(rt *rapid.T) { // the same ports, another connection
				if rapid.IntRange(0, 4).Draw(rt, "really") > 0 {
					return
				}
				if !m.host.over && rapid.Bool().Draw(rt, "aborts") {
					m.send(fromClient, m.host.nxt, 0, tcp.RST, "", false, 0)
				}
				m.host = &host{side: fromClient, iss: m.rand.Uint32()}
				say()
				m.dial(rt, rapid.IntRange(0, 3).Draw(rt, "new") > 0)
				if rapid.IntRange(0, 3).Draw(rt, "goes well") > 0 {
					m.handshake()
				}
			},
		})
		m.checkActive(rt, nil)
	})
}

// A client that speaks FTP has opened what it announced, and nothing else.
func TestAHostileServerAndAClient(t *testing.T) {
	many(t, func(rt *rapid.T) {
		m := newWorld(rt, fromClient)
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{
			"USER u\r\n", "PASS p\r\n", "PORT 10,1,4,4,39,15\r\n", "PORT 10,1,4,4,39,16\r\n", "RETR x\r\n", "LIST\r\n", "NOOP\r\n", "PASV\r\n",
			"STOR PORT 10,1,4,4,39,17\r\n", "CWD x PORT 10,1,4,4,39,17\r\n", "TYPE I\r\n", "AUTH TLS\r\n", "ABOR\r\n",
		}), 1, 12).Draw(rt, "lines")
		m.host.out = []byte("USER u\r\n" + strings.Join(lines, ""))
		m.dial(rt, true)
		m.run(rt, nil)
		announced := map[uint16]bool{}
		said := string(m.host.out[:max(min(m.host.sent(), len(m.host.out)), 0)])
		for low := range uint16(2) {
			port := 39*256 + 15 + low
			before, after, found := strings.Cut(said, "\nPORT 10,1,4,4,39,1"+string('5'+rune(low))+"\r\n")
			transfer := strings.Contains(after, "\nSTOR ") || strings.HasPrefix(after, "STOR ") ||
				strings.Contains(after, "RETR x\r\n") || strings.Contains(after, "LIST\r\n")
			announced[port] = found && before != "" && transfer
		}
		m.checkActive(rt, announced)
	})
}

// oblige is what a server says that wants the gateway to believe: the greeting first, and
// then what the last line of the client asks for.
func (m *world) oblige(*rapid.T) {
	said := string(m.host.out[:max(min(m.host.sent(), len(m.host.out)), 0)])
	line := said[strings.LastIndexByte(strings.TrimSuffix(said, "\r\n"), '\n')+1:]
	reply := "200 ok\r\n"
	switch {
	case len(m.host.read) == 0:
		reply = "220 hello\r\n"
	case strings.HasPrefix(line, "USER"), strings.HasPrefix(line, "PASS"):
		reply = "230 in\r\n"
	case strings.HasPrefix(line, "RETR"), strings.HasPrefix(line, "LIST"):
		reply = "226 x\r\n"
	case strings.HasPrefix(line, "AUTH"):
		reply = "234 x\r\n"
	}
	m.send(fromServer, m.host.rcv, m.host.nxt, tcp.ACK, reply, false, 65535)
}

// renumber is a second SYN/ACK that would have the dialogue begin at a line of the client.
func (m *world) renumber(rt *rapid.T) {
	seq := m.rand.Uint32()
	if rapid.Bool().Draw(rt, "near") {
		seq = m.host.rcv - 1
	}
	m.send(fromServer, seq, rapid.SampledFrom(m.lineStarts()).Draw(rt, "line"), tcp.SYN|tcp.ACK, "", true, 0)
	m.renumbered = seq + 1
}

// goOn is what the server says by the numbers of that SYN/ACK.
func (m *world) goOn(rt *rapid.T) {
	text := rapid.SampledFrom(hostileReplies).Draw(rt, "reply")
	m.send(fromServer, m.renumbered, m.host.nxt, tcp.ACK, text, true, 0)
	m.renumbered += uint32(len(text))
}

// run lets both ends do things in any order.
func (m *world) run(rt *rapid.T, more map[string]func(*rapid.T)) {
	n := func(rt *rapid.T) int { return rapid.IntRange(1, 100).Draw(rt, "n") }
	line := func(*rapid.T) {
		if h := m.host; h.up {
			m.speak(strings.IndexByte(string(h.out[min(h.sent(), len(h.out)):]), '\n')+1, false)
		}
	}
	actions := map[string]func(*rapid.T){
		"obliges": m.oblige, "obliges too": m.oblige, "obliges as well": m.oblige,
		"serves": m.serve, "is hostile": m.hostileServer, "is more hostile": m.hostileServer,
		"renumbers": m.renumber, "goes on": m.goOn, "in its name": m.inItsName,
		"client speaks":            func(rt *rapid.T) { m.speak(n(rt), false) },
		"client repeats":           func(rt *rapid.T) { m.speak(n(rt), true) },
		"client ends a line":       line,
		"client ends another line": line,
		"client ends a third line": line,
		"time":                     func(rt *rapid.T) { m.pass(rapid.IntRange(1, 30).Draw(rt, "ticks")) },
	}
	for name, do := range more {
		actions[name] = do
	}
	if rapid.IntRange(0, 9).Draw(rt, "begins well") > 0 {
		m.handshake()
	} else {
		actions["handshake"] = func(*rapid.T) { m.handshake() }
	}
	for range 2 { // one round is short
		rt.Repeat(actions)
	}
}

// checkActive checks what was opened towards the client.
func (m *world) checkActive(rt *rapid.T, announced map[uint16]bool) {
	for _, p := range m.kernel.opened {
		if p.Mode == alg.Active && !announced[p.Dest.Port()] {
			rt.Fatalf("%q\nopened %v\n%s", m.host.out, p, m.told())
		}
	}
}
