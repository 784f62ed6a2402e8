package alg_test

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/alg/dialogue"
	"github.com/ftpalg/ftpalg/alg/tcp"
)

// side is one end of a control connection, and the direction of what it sends.
type side uint8

const (
	fromClient side = iota
	fromServer
)

func (d side) other() side { return 1 - d }

// The interfaces of the gateway: which one leads to the clients, which to the servers.
const (
	clientSide = 3
	serverSide = 4
)

// wire is a control connection as a gateway sees it: tests say what each end sends,
// and ask what the worker made of it.
type wire struct {
	*gateway
	flow   alg.Flow
	next   [2]uint32 // what each side sends next
	in     [2]uint32 // where the packets of each side come in
	out    [2]uint32 // and by which interface they leave
	policy alg.Policy
	adj    *[2]alg.Adjustment // what the kernel corrects; nil: nothing

	outside *alg.Outside // that the worker shares with others
	saved   func(alg.Flow) (alg.Saved, bool)
}

// has is how a side acknowledges all that the other has said.
func (x *wire) has(d side) uint32 {
	next := x.next[d.other()]
	if x.adj != nil {
		next = x.adj[d.other()].Out(next)
	}
	return next
}

const (
	clientAddr = "10.1.4.4"
	serverAddr = "10.2.5.5"
)

func newWire(t tb, change ...func(*alg.Policy)) *wire {
	return newWireBetween(t, clientAddr, serverAddr, change...)
}

func newWireBetween(t tb, client, server string, change ...func(*alg.Policy)) *wire {
	p := alg.DefaultPolicy()
	for _, c := range change {
		c(&p)
	}
	return newWireOf(t, client, server, alg.WorkerConfig{Policy: p})
}

// newWireOf fills in what the configuration lacks.
func newWireOf(t tb, client, server string, c alg.WorkerConfig) *wire {
	g := &gateway{t: t, now: time.Unix(1e9, 0), verdicts: map[uint64]alg.Verdict{}}
	g.kernel = &kernel{now: &g.now, until: map[alg.Pinhole]time.Time{}, ranges: map[alg.Range]time.Time{}, lean: &g.lean}
	g.tracking = &tracking{vouched: map[alg.Flow]bool{}, lean: &g.lean}
	c.Pinholes, c.Flows = g.kernel, g.tracking
	c.Limits = alg.NewLimits(c.Policy.MaxSessions, c.Policy.MaxSessionsPerClient)
	c.Sink = func(e alg.Event) {
		if !g.lean {
			g.events = append(g.events, e)
		}
	}
	var n *nat
	if behindTranslation && c.Translations == nil {
		n = newNAT(outsideClient, outsideServer)
		c.Translations, c.Outside = n, &alg.Outside{}
		g.kernel.plain = true
	}
	g.w = alg.NewWorker(c)
	x := &wire{gateway: g, policy: c.Policy}
	if n != nil {
		x.translated, x.adj = true, &n.adj
	}
	x.between(client, server, 41138)
	x.next = [2]uint32{fromClient: 1000, fromServer: 4294967290} // wraps soon
	return x
}

// between sets the ends of the connection, and the paths of its packets.
func (x *wire) between(client, server string, clientPort uint16) {
	x.flow = alg.Flow{
		Client: netip.AddrPortFrom(netip.MustParseAddr(client), clientPort),
		Server: netip.AddrPortFrom(netip.MustParseAddr(server), 21),
	}
	x.in = [2]uint32{fromClient: clientSide, fromServer: serverSide}
	x.out = [2]uint32{fromClient: serverSide, fromServer: clientSide}
}

// another returns a second connection through the same worker.
func (x *wire) another(clientPort uint16) *wire {
	return x.from(x.flow.Client.Addr().String(), clientPort)
}

// from returns a connection of another client to the same server.
func (x *wire) from(client string, clientPort uint16) *wire {
	y := &wire{gateway: x.gateway, policy: x.policy, adj: x.adj, next: [2]uint32{fromClient: 77, fromServer: 88}}
	y.between(client, x.flow.Server.Addr().String(), clientPort)
	return y
}

// build makes a packet of the flow with a good checksum.
func (x *wire) build(d side, seq, ack uint32, flags uint8, payload string) []byte {
	from, to := x.flow.Client, x.flow.Server
	if d == fromServer {
		from, to = to, from
	}
	return packetOf(x.t, from, to, seq, ack, flags, payload)
}

func packetOf(t tb, from, to netip.AddrPort, seq, ack uint32, flags uint8, payload string) []byte {
	p := tcp.Reset(from, to, seq, ack)
	header := len(p) - 20
	p[header+13] = flags
	p = append(p, payload...)
	if from.Addr().Is4() {
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
	}
	seg, err := tcp.Parse(p)
	if err != nil {
		t.Fatalf("building a packet: %v", err)
	}
	seg.SetChecksum()
	return p
}

// packet gives the worker a packet of one side, by its own path, and returns the number
// that the packet has.
func (x *wire) packet(d side, p []byte) uint64 { return x.by(x.in[d], x.out[d], p) }

// say sends bytes in one segment, in order.
func (x *wire) say(d side, text string) uint64 {
	seq := x.next[d]
	x.next[d] += uint32(len(text))
	return x.packet(d, x.build(d, seq, x.has(d), tcp.ACK|tcp.PSH, text))
}

// c and s have the client and the server say lines, each in a segment of its own.
func (x *wire) c(lines ...string) { x.t.Helper(); x.lines(fromClient, lines) }
func (x *wire) s(lines ...string) { x.t.Helper(); x.lines(fromServer, lines) }

func (x *wire) lines(d side, lines []string) {
	for _, l := range lines {
		x.say(d, l+"\r\n")
	}
}

// at sends bytes at a sequence number relative to what the side sends next.
func (x *wire) at(d side, offset int, text string) uint64 {
	return x.packet(d, x.build(d, x.next[d]+uint32(offset), x.has(d), tcp.ACK, text))
}

func (x *wire) flags(d side, flags uint8) uint64 {
	id := x.packet(d, x.build(d, x.next[d], x.has(d), flags, ""))
	if flags&tcp.FIN != 0 {
		x.next[d]++
	}
	return id
}

// syn is the packet that begins the connection.
func (x *wire) syn() uint64 {
	return x.packet(fromClient, x.build(fromClient, x.next[fromClient]-1, 0, tcp.SYN, ""))
}

// synack is the server's answer to it.
func (x *wire) synack() uint64 {
	return x.packet(fromServer, x.build(fromServer, x.next[fromServer]-1, x.next[fromClient], tcp.SYN|tcp.ACK, ""))
}

func (x *wire) connect() *wire {
	x.syn()
	x.synack()
	return x
}

func (x *wire) login() *wire {
	x.connect()
	x.s("220 (vsFTPd 3.0.3)")
	x.c("USER ftpuser")
	x.s("331 Please specify the password.")
	x.c("PASS ftppass")
	x.s("230 Login successful.")
	return x
}

// port and retr are the two steps of an active transfer.
func (x *wire) port() { x.c(port46197); x.s(ok200) }
func (x *wire) retr() { x.c("RETR x") }

// hole is an active pinhole of this connection's peers at a client's port.
func (x *wire) hole(port uint16) alg.Pinhole {
	return alg.Pinhole{
		Mode: alg.Active, Source: x.flow.Server.Addr(), SourcePorts: dialogue.Port(20),
		Dest: netip.AddrPortFrom(x.flow.Client.Addr(), port),
	}
}

// passive is a passive pinhole of this connection's peers at a server's port.
func (x *wire) passive(port uint16) alg.Pinhole {
	return alg.Pinhole{
		Mode: alg.Passive, Source: x.flow.Client.Addr(),
		Dest: netip.AddrPortFrom(x.flow.Server.Addr(), port),
	}
}

// payload is what arrived of a segment.
func (x *wire) payload(id uint64, sent string) string {
	v, given := x.verdicts[id]
	switch {
	case !given || v.Drop:
		return ""
	case v.Data == nil:
		return sent
	}
	seg, err := tcp.Parse(v.Data)
	if err != nil || !seg.ChecksumOK() {
		x.t.Fatalf("packet %d went out broken: %v", id, err)
	}
	return string(seg.Payload)
}
