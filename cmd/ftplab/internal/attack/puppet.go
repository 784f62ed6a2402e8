package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// puppet is an end of a TCP connection that does what its master wants and no kernel
// would do: it opens its window to the byte, and sends what does not belong there. Nothing
// gets lost in the lab, so it sends nothing again.
type puppet struct {
	host          *lab.Host
	local, remote netip.AddrPort

	wire *lab.Capture
	read int // of its packets
	out  net.PacketConn

	next  uint32 // to send
	acked uint32 // by the other end
	want  uint32 // from the other end
	shut  bool   // the other end may send up to limit alone
	limit uint32
	heard []byte // of the other end, in order, and not taken yet
}

// errSilent says that the other end did not do what it was waited for.
var errSilent = errors.New("the other end does not answer")

// silence hides segments from a host's own TCP, which would answer them with a reset.
const silence = `
table inet silence {
	chain prerouting {
		type filter hook prerouting priority raw; policy accept;
		tcp sport . tcp dport { %s } drop
	}
}`

// newPuppet takes one end of a connection on a host, whose own TCP no longer hears of it.
func newPuppet(ctx context.Context, h *lab.Host, local, remote netip.AddrPort) (*puppet, error) {
	pair := fmt.Sprintf("%d . %d", remote.Port(), local.Port())
	if err := h.LoadRuleset(ctx, fmt.Sprintf(silence, pair)); err != nil {
		return nil, err
	}
	p := &puppet{host: h, local: local, remote: remote, next: 1 << 30}
	p.acked = p.next
	var err error
	if p.out, err = h.ListenPacket(ctx, "ip4:tcp", local.Addr().String()); err != nil {
		return nil, err
	}
	if p.wire, err = h.CaptureTCP("eth0", max(local.Port(), remote.Port())); err != nil {
		return nil, errors.Join(err, p.out.Close())
	}
	return p, nil
}

// close lets go. What the capture lacks, the other end has sent again.
func (p *puppet) close() error {
	_ = p.wire.Stop()
	return p.out.Close()
}

// segment sends a segment with these flags and this text, wherever it belongs.
func (p *puppet) segment(tcp layers.TCP, text string) error {
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(p.local.Port()), layers.TCPPort(p.remote.Port())
	tcp.Window = roomy
	if p.shut {
		tcp.Window = uint16(min(p.limit-p.want, roomy))
	}
	ip := &layers.IPv4{SrcIP: p.local.Addr().AsSlice(), DstIP: p.remote.Addr().AsSlice(), Protocol: layers.IPProtocolTCP}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return err
	}
	b := gopacket.NewSerializeBuffer()
	o := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, o, &tcp, gopacket.Payload(text)); err != nil {
		return fmt.Errorf("making a segment: %w", err)
	}
	if _, err := p.out.WriteTo(b.Bytes(), &net.IPAddr{IP: p.remote.Addr().AsSlice()}); err != nil {
		return fmt.Errorf("sending a segment from %s: %w", p.host.Name, err)
	}
	return nil
}

// ack tells the other end what has come, and how far it may go.
func (p *puppet) ack() error {
	return p.segment(layers.TCP{Seq: p.next, Ack: p.want, ACK: true}, "")
}

// ordinary is what a SYN says of the segments that its sender takes.
var ordinary = []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{1460 >> 8, 1460 & 255}}}

// connect opens the connection.
func (p *puppet) connect(ctx context.Context) error {
	if err := p.segment(layers.TCP{Seq: p.next, SYN: true, Options: ordinary}, ""); err != nil {
		return err
	}
	p.next++
	err := p.await(ctx, "its SYN/ACK", func(t *layers.TCP) bool { return t.SYN && t.ACK })
	if err != nil {
		return err
	}
	return p.ack()
}

// accept waits for the other end to connect, and shuts the window before it.
func (p *puppet) accept(ctx context.Context) error {
	if err := p.await(ctx, "its SYN", func(t *layers.TCP) bool { return t.SYN }); err != nil {
		return err
	}
	p.shut, p.limit = true, p.want
	if err := p.segment(layers.TCP{Seq: p.next, Ack: p.want, SYN: true, ACK: true, Options: ordinary}, ""); err != nil {
		return err
	}
	p.next++
	return p.understood(ctx)
}

// say sends a text, and waits until the other end has it.
func (p *puppet) say(ctx context.Context, text string) error {
	if err := p.segment(layers.TCP{Seq: p.next, Ack: p.want, ACK: true, PSH: true}, text); err != nil {
		return err
	}
	p.next += uint32(len(text))
	return p.understood(ctx)
}

// understood waits until the other end has all that was sent.
func (p *puppet) understood(ctx context.Context) error {
	return p.await(ctx, "its acknowledgement", func(*layers.TCP) bool { return p.acked == p.next })
}

// admit lets the other end send n bytes more, and waits for all it may.
func (p *puppet) admit(ctx context.Context, n int) error {
	p.limit += uint32(n)
	if err := p.ack(); err != nil {
		return err
	}
	return p.await(ctx, fmt.Sprintf("%d bytes more", n), func(*layers.TCP) bool { return p.want == p.limit })
}

// listen waits for a text, lets the other end go on, and returns all up to its end.
func (p *puppet) listen(ctx context.Context, text string) (string, error) {
	end := func() int { return bytes.Index(p.heard, []byte(text)) + len(text) }
	if end() < len(text) {
		err := p.await(ctx, fmt.Sprintf("%q", text), func(*layers.TCP) bool { return end() >= len(text) })
		if err != nil {
			return "", err
		}
	}
	said := string(p.heard[:end()])
	p.heard = p.heard[end():]
	return said, nil
}

// await reads segments of the other end until done says true of one.
func (p *puppet) await(ctx context.Context, what string, done func(*layers.TCP) bool) error {
	for begin := time.Now(); ; {
		packets := p.wire.Packets()
		for ; p.read < len(packets); p.read++ {
			t := p.theirs(packets[p.read].Frame)
			if t == nil {
				continue
			}
			if err := p.take(t); err != nil {
				return err
			}
			if done(t) {
				p.read++
				return nil
			}
		}
		if time.Since(begin) > stubborn {
			return fmt.Errorf("waiting for %s: %w", what, errSilent)
		}
		if err := sleep(ctx, 500*time.Microsecond); err != nil {
			return err
		}
	}
}

// stubborn is how long the other end may take. A window that opened too little for what
// it has to say is tried after a fifth of a second (RTO_MIN), and then twice as late.
const stubborn = 2 * time.Second

// theirs returns the segment in a frame, or nil where it is not the other end's.
func (p *puppet) theirs(frame []byte) *layers.TCP {
	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	ip, _ := packet.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	t, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok || ip == nil || !ip.SrcIP.Equal(p.remote.Addr().AsSlice()) || !ip.DstIP.Equal(p.local.Addr().AsSlice()) ||
		uint16(t.SrcPort) != p.remote.Port() || uint16(t.DstPort) != p.local.Port() {
		return nil
	}
	return t
}

// take notes what a segment brings, and acknowledges its text.
func (p *puppet) take(t *layers.TCP) error {
	if t.ACK && t.Ack-p.acked <= p.next-p.acked {
		p.acked = t.Ack
	}
	if t.SYN {
		p.want = t.Seq + 1
		return nil
	}
	if len(t.Payload) == 0 {
		return nil
	}
	// It may begin with what has come already.
	if old := p.want - t.Seq; old < uint32(len(t.Payload)) {
		p.heard = append(p.heard, t.Payload[old:]...)
		p.want = t.Seq + uint32(len(t.Payload))
	}
	return p.ack()
}

// roomy is how large a window gets.
const roomy = 60000

// ask says a line, and waits for a reply that begins like this, after the end of a line,
// and for how it ends. An empty line is not said. It returns all that came.
func (p *puppet) ask(ctx context.Context, line, reply, end string) (string, error) {
	if line != "" {
		if err := p.say(ctx, line+"\r\n"); err != nil {
			return "", err
		}
	}
	p.heard = append([]byte("\r\n"), p.heard...)
	said, err := p.listen(ctx, reply)
	if err != nil {
		return "", err
	}
	rest, err := p.listen(ctx, end)
	return said[2:] + rest, err
}
