package story_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// TestCaptures reads the files back: each place has the whole dialogue, and TTLs of its own.
func TestCaptures(t *testing.T) {
	told(t)
	for _, place := range []struct {
		name           string
		probe, refusal uint8 // TTLs
		strangers      int
	}{{"client", 3, 253, 0}, {"inside", 2, 254, 0}, {"outside", 1, 255, 1}} {
		packets := readCapture(t, place.name)
		var dialogue strings.Builder
		data := 0
		for _, c := range lab.Connections(packets) {
			for _, s := range c.Segments {
				if c.From.Port() == 20 {
					data += len(s.Payload)
				}
			}
			for _, l := range c.Lines() {
				if l.Client && c.To.Port() == 21 {
					fmt.Fprintf(&dialogue, "C: %s\n", l.Text)
				} else if c.To.Port() == 21 {
					fmt.Fprintf(&dialogue, "S: %s\n", l.Text)
				}
			}
		}
		if diff := cmp.Diff(reference(t), dialogue.String()); diff != "" {
			t.Errorf("%s: %s", place.name, diff)
		}
		if data != len(lab.R1)+64+len(lab.R3) {
			t.Errorf("%s: %d bytes of data", place.name, data)
		}
		ttls, strangers := map[layers.IPProtocol][]uint8{}, 0
		for _, p := range packets {
			ip, ok := gopacket.NewPacket(p.Frame, layers.LayerTypeEthernet, gopacket.Default).NetworkLayer().(*layers.IPv4)
			if !ok {
				continue
			}
			ttls[ip.Protocol] = append(ttls[ip.Protocol], ip.TTL)
			if ip.SrcIP.Equal(net.IPv4(10, 2, 5, 66)) {
				strangers++
			}
		}
		for protocol, want := range map[layers.IPProtocol]uint8{layers.IPProtocolUDP: place.probe, layers.IPProtocolICMPv4: place.refusal} {
			if got := ttls[protocol]; len(got) != 2 || got[0] != want || got[1] != want {
				t.Errorf("%s: TTLs of %v: %d, want twice %d", place.name, protocol, got, want)
			}
		}
		if strangers != place.strangers {
			t.Errorf("%s: %d packets of the stranger, want %d", place.name, strangers, place.strangers)
		}
	}
}

func captureFile(name string) string { return filepath.Join(dir, "captures", name+".pcapng") }

func readCapture(t *testing.T, name string) []lab.Packet {
	t.Helper()
	f, err := os.Open(captureFile(name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	var packets []lab.Packet
	for {
		frame, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, lab.Packet{Time: info.Timestamp, Frame: frame})
	}
}

// TestWireshark compares the words of the story with those of Wireshark.
func TestWireshark(t *testing.T) {
	s := told(t)
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("needs tshark")
	}
	const columns = `gui.column.format:"Source","%s","Destination","%d","Protocol","%p","Src","%uS","Dst","%uD","Info","%i"`
	c := exec.Command("tshark", "-r", captureFile("client"), "-n", "-o", columns, "-T", "fields", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs []string
	for line := range strings.Lines(string(out)) {
		theirs = append(theirs, simplify(line))
	}
	for _, step := range s.Steps[:7] {
		if step.Number == 4 {
			continue // one that is in the third, too
		}
		for _, p := range step.Packets {
			ours := simplify(p.Protocol + "\t" + p.Info)
			for len(theirs) > 0 && theirs[0] != ours {
				theirs = theirs[1:]
			}
			if len(theirs) == 0 {
				t.Fatalf("step %d, packet %d: Wireshark does not say %q", step.Number, p.No, ours)
			}
			theirs = theirs[1:]
		}
	}
}

var (
	analysis = regexp.MustCompile(`\[TCP [^\]]*\] ?`) // of retransmissions and windows
	options  = regexp.MustCompile(`(Len=\d+) (MSS|TSval)=.*`)
	commands = regexp.MustCompile(`(\d bytes) \(.*`)
)

func simplify(line string) string {
	line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "→", "->")
	line = analysis.ReplaceAllString(line, "")
	line = options.ReplaceAllString(line, "$1")
	return commands.ReplaceAllString(line, "$1")
}
