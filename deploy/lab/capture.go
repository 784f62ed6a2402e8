package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/bpf"
)

// Packet is one captured Ethernet frame.
type Packet struct {
	Time  time.Time // of the kernel
	Frame []byte
}

// Capture records every frame that an interface sends or receives, in memory. Its
// methods are safe for concurrent use.
type Capture struct {
	Host      *Host
	Interface string

	handle *pcapgo.EthernetHandle
	done   chan struct{}

	mu         sync.Mutex
	packets    []Packet
	seen, lost int // of the kernel's count
}

// Capture starts to record on an interface: "eth0" of a host on one network,
// "inside" or "outside" of the router and the gateway. Packets sent after it has
// returned are recorded.
func (h *Host) Capture(name string) (*Capture, error) { return h.capture(name, nil) }

// CaptureTCP is Capture of the TCP segments from or to one port alone, over IPv4.
func (h *Host) CaptureTCP(name string, port uint16) (*Capture, error) {
	filter, err := bpf.Assemble(tcpOf(port))
	if err != nil {
		return nil, fmt.Errorf("making a filter for port %d: %w", port, err)
	}
	return h.capture(name, filter)
}

func (h *Host) capture(name string, filter []bpf.RawInstruction) (*Capture, error) {
	c := &Capture{Host: h, Interface: name, done: make(chan struct{})}
	err := h.Do(func() (err error) {
		c.handle, err = pcapgo.NewEthernetHandle(name)
		if err != nil || filter == nil {
			return err
		}
		if err := c.handle.SetBPF(filter); err != nil {
			return errors.Join(err, c.handle.Close())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("capturing on %s of %s: %w", name, h.Name, err)
	}
	go c.record()
	return c, nil
}

// tcpOf is the filter "ip proto 6 and port", for Ethernet frames.
func tcpOf(port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2}, // type
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(layers.EthernetTypeIPv4), SkipTrue: 8},
		bpf.LoadAbsolute{Off: 14 + 9, Size: 1}, // protocol
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(layers.IPProtocolTCP), SkipTrue: 6},
		bpf.LoadMemShift{Off: 14}, // X: length of the IP header
		bpf.LoadIndirect{Off: 14, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: 2},
		bpf.LoadIndirect{Off: 14 + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 18}, // all of it
		bpf.RetConstant{Val: 0},
	}
}

func (c *Capture) record() {
	defer close(c.done)
	for {
		frame, info, err := c.handle.ReadPacketData()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.packets = append(c.packets, Packet{info.Timestamp, frame})
		c.mu.Unlock()
	}
}

// Packets returns, in order, what the interface has sent and received until now.
func (c *Capture) Packets() []Packet {
	c.catchUp()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.packets[:len(c.packets):len(c.packets)]
}

// awaitEvery is how often Await looks: soon enough to act while the packet is under way.
const awaitEvery = 100 * time.Microsecond

// Await waits until a packet is recorded for which match is true, and returns the first
// such. Match is called once for each packet, in order, from the first on. An ended ctx
// ends the wait, with its cause.
func (c *Capture) Await(ctx context.Context, match func(Packet) bool) (Packet, error) {
	for next := 0; ; {
		c.mu.Lock()
		packets := c.packets[next:len(c.packets):len(c.packets)]
		c.mu.Unlock()
		for _, p := range packets {
			if match(p) {
				return p, nil
			}
		}
		next += len(packets)
		select {
		case <-ctx.Done():
			return Packet{}, fmt.Errorf("waiting for a packet on %s of %s: %w", c.Interface, c.Host.Name, context.Cause(ctx))
		case <-time.After(awaitEvery):
		}
	}
}

// catchUp waits until everything that the kernel has seen is recorded.
func (c *Capture) catchUp() {
	for {
		c.mu.Lock()
		if s, err := c.handle.Stats(); err == nil { // counts since the last call
			c.seen += int(s.Packets) - int(s.Drops)
			c.lost += int(s.Drops)
		}
		behind := len(c.packets) < c.seen
		c.mu.Unlock()
		if !behind {
			return
		}
		select {
		case <-c.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// Stop ends the recording. It is an error when packets came faster than they could be
// recorded; what was recorded stays. A second Stop does nothing.
func (c *Capture) Stop() error {
	c.catchUp()
	if err := c.handle.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("end the capture on %s of %s: %w", c.Interface, c.Host.Name, err)
	}
	<-c.done
	if c.lost > 0 {
		return fmt.Errorf("the capture on %s of %s lacks %d packets", c.Interface, c.Host.Name, c.lost)
	}
	return nil
}

// WritePcapNG writes what has been recorded so far as a pcapng file.
func (c *Capture) WritePcapNG(w io.Writer) error {
	in := pcapgo.NgInterface{
		Name: c.Interface, Description: c.Host.Name, LinkType: layers.LinkTypeEthernet,
		TimestampResolution: 9,
	}
	ng, err := pcapgo.NewNgWriterInterface(w, in, pcapgo.DefaultNgWriterOptions)
	if err != nil {
		return fmt.Errorf("writing a capture of %s: %w", c.Host.Name, err)
	}
	for _, p := range c.Packets() {
		info := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Frame), Length: len(p.Frame)}
		if err := ng.WritePacket(info, p.Frame); err != nil {
			return fmt.Errorf("writing a capture of %s: %w", c.Host.Name, err)
		}
	}
	if err := ng.Flush(); err != nil {
		return fmt.Errorf("writing a capture of %s: %w", c.Host.Name, err)
	}
	return nil
}
