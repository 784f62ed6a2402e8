package replay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// What makes a file no capture, or not one that is read.
var (
	errEmpty      = errors.New("the file is empty")
	errNoCapture  = errors.New("not a capture in pcap or pcapng format")
	errCompressed = errors.New("compressed: unpack it first")
	errNoHeader   = errors.New("the file ends within its header")
	errRecord     = errors.New("a record is longer than any packet: the file is damaged there")
)

// linkError says that a link type is not read.
type linkError layers.LinkType

func (l linkError) Error() string {
	return fmt.Sprintf("link type %d is not among those that are read: Ethernet, Linux cooked, raw IP, loopback", uint16(l))
}

// record is one packet of a capture file.
type record struct {
	at        time.Time // the zero value: the file does not say
	link      layers.LinkType
	frame     []byte // valid until the next record is read
	truncated bool   // it was longer on the wire
}

// capture is a capture file that is being read, from its start to its end.
type capture struct {
	in   bounded
	read func() ([]byte, gopacket.CaptureInfo, error)
	link func(gopacket.CaptureInfo) layers.LinkType
}

// openCapture reads the header of a capture file.
func openCapture(r io.Reader) (*capture, error) {
	c := &capture{in: bounded{r: r, left: maxRecord}}
	in := bufio.NewReader(&c.in)
	magic, err := in.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case len(magic) == 0:
		return nil, errEmpty
	case bytes.Equal(magic, []byte{0x0a, 0x0d, 0x0d, 0x0a}):
		err = c.openNG(in)
	case isPcap(magic):
		err = c.openPcap(in)
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		err = errCompressed
	default:
		err = errNoCapture
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errNoHeader
	}
	return c, err
}

// isPcap reports whether a file in pcap format begins like this: either byte order,
// microseconds or nanoseconds (draft-ietf-opsawg-pcap, section 4).
func isPcap(magic []byte) bool {
	numbers := []uint32{0xa1b2c3d4, 0xa1b23c4d}
	return len(magic) == 4 && (slices.Contains(numbers, binary.BigEndian.Uint32(magic)) ||
		slices.Contains(numbers, binary.LittleEndian.Uint32(magic)))
}

func (c *capture) openPcap(in io.Reader) error {
	r, err := pcapgo.NewReader(in)
	if err != nil {
		return err
	}
	if links[r.LinkType()] == nil {
		return linkError(r.LinkType())
	}
	c.read = r.ZeroCopyReadPacketData
	c.link = func(gopacket.CaptureInfo) layers.LinkType { return r.LinkType() }
	return nil
}

func (c *capture) openNG(in io.Reader) error {
	r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		return err
	}
	c.read = r.ZeroCopyReadPacketData
	c.link = func(info gopacket.CaptureInfo) layers.LinkType {
		link, _ := info.AncillaryData[0].(layers.LinkType)
		return link
	}
	return nil
}

// next returns the next packet. It returns io.EOF at the end of the file, and
// io.ErrUnexpectedEOF where the file ends in the middle of a record.
func (c *capture) next() (record, error) {
	c.in.left = maxRecord
	frame, info, err := c.read()
	if err != nil {
		if errors.Is(err, io.EOF) && info.CaptureLength > 0 {
			err = io.ErrUnexpectedEOF // right after the record's header
		}
		return record{}, err
	}
	return record{info.Timestamp, c.link(info), frame, info.CaptureLength < info.Length}, nil
}

// maxRecord is how much of a file may be read to get at one packet, and so bounds the
// memory that a damaged length costs. No packet is nearly as long; the rest is for
// what stands between packets.
const maxRecord = 16 << 20

// bounded is a reader that has something left.
type bounded struct {
	r    io.Reader
	left int
}

// Read implements io.Reader. It returns errRecord when nothing is left.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRecord
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
