package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

var errNoSegment = errors.New("the segment to send again was not captured")

// resend sends the captured segment of the client that begins with those bytes once
// more, from the client's host.
func (d *dialogue) resend(ctx context.Context, h *lab.Host, segments *lab.Capture, beginning string) error {
	local, remote := d.client.LocalAddr().(*net.TCPAddr), d.client.RemoteAddr().(*net.TCPAddr)
	for _, p := range segments.Packets() {
		packet := gopacket.NewPacket(p.Frame, layers.LayerTypeEthernet, gopacket.NoCopy)
		tcp, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok || int(tcp.SrcPort) != local.Port || !bytes.HasPrefix(tcp.Payload, []byte(beginning)) {
			continue
		}
		// Captures are made before the checksum is.
		ip := &layers.IPv4{SrcIP: local.IP, DstIP: remote.IP, Protocol: layers.IPProtocolTCP}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			return err
		}
		b := gopacket.NewSerializeBuffer()
		o := gopacket.SerializeOptions{ComputeChecksums: true}
		if err := gopacket.SerializeLayers(b, o, tcp, gopacket.Payload(tcp.Payload)); err != nil {
			return fmt.Errorf("making a segment again: %w", err)
		}
		raw, err := h.ListenPacket(ctx, "ip4:tcp", local.IP.String())
		if err != nil {
			return err
		}
		defer raw.Close()
		if _, err := raw.WriteTo(b.Bytes(), &net.IPAddr{IP: remote.IP}); err != nil {
			return fmt.Errorf("sending a segment again: %w", err)
		}
		return nil
	}
	return errNoSegment
}
