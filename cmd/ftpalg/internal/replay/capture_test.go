package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg"
)

var little = binary.LittleEndian

// quietly is for files in which no events are expected, or of no interest.
var quietly = Config{Policy: alg.DefaultPolicy(), Sink: func(alg.Event) {}}

// What is no capture is told from what is; the error names the file.
func TestUnreadableFiles(t *testing.T) {
	packets := active(t).packets
	whole := pcap(little, false, layers.LinkTypeEthernet, packets)
	version := bytes.Clone(whole)
	version[4] = 9
	versionNG := pcapng(little, []layers.LinkType{layers.LinkTypeEthernet}, nil)
	versionNG[12] = 9
	dir := t.TempDir()
	for _, f := range []struct {
		want    string
		content []byte
	}{
		{"the file is empty", []byte{}},
		{"not a capture in pcap or pcapng format", []byte("PORT 10,1,4,4,180,117\r\n")},
		{"not a capture in pcap or pcapng format", []byte{1, 2}},
		{"compressed: unpack it first", []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0}},
		{"not a capture in pcap or pcapng format", []byte{0x1f}},
		{"the file ends within its header", whole[:20]},
		{"the file ends within its header", versionNG[:20]},
		{"version 9", version},
		{"Unknown pcapng Version", versionNG},
		{"link type 127 is not among", pcap(little, false, 127, nil)},
		{"link type 105 is not among", pcapng(little, []layers.LinkType{105}, packets)},
		{"after 9 packets: ", damaged(whole, packets, 9)},
		{"after 9 packets: Interface id 7 not present", pcapngDamaged(packets[:10])},
	} {
		name := filepath.Join(dir, "file")
		if err := os.WriteFile(name, f.content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := File(t.Context(), name, quietly)
		if err == nil || !strings.HasPrefix(err.Error(), "replaying "+name+": ") || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%q, want %q", err, f.want)
		}
	}
	for _, name := range []string{dir, filepath.Join(dir, "absent")} {
		if _, err := File(t.Context(), name, quietly); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// damaged makes the length of the record after n packets an impossible one.
func damaged(file []byte, packets []packet, n int) []byte {
	at := len(pcap(little, false, layers.LinkTypeEthernet, packets[:n]))
	b := bytes.Clone(file)
	little.PutUint32(b[at+8:], 1<<30)
	return b
}

// pcapngDamaged makes the last packet come from an interface that there is not.
func pcapngDamaged(packets []packet) []byte {
	links := []layers.LinkType{layers.LinkTypeRaw}
	at := len(pcapng(little, links, packets[:len(packets)-1]))
	b := pcapng(little, links, packets)
	b[at+8] = 7
	return b
}

// However long a file is, what came before its end is decided.
func TestFilesThatAreCut(t *testing.T) {
	packets := active(t).packets
	links := []layers.LinkType{layers.LinkTypeEthernet}
	for _, write := range []func([]packet) []byte{
		func(p []packet) []byte { return pcap(little, false, links[0], p) },
		func(p []packet) []byte { return pcapng(binary.BigEndian, links, p) },
	} {
		header, whole := len(write(nil)), write(packets)
		ends := map[int]bool{}
		for i := range packets {
			ends[len(write(packets[:i]))] = true
		}
		before := ""
		for n := header; n < len(whole); n++ {
			text, s, err := told(t, whole[:n])
			switch {
			case err != nil:
				t.Fatalf("%d bytes: %v", n, err)
			case s.Cut == ends[n] || (len(s.Warnings()) > 0) != s.Cut:
				t.Fatalf("%d bytes: %v, %q", n, s.Cut, s.Warnings())
			case !strings.HasPrefix(text, before):
				t.Fatalf("%d bytes: %s\nbut one less: %s", n, text, before)
			}
			before = text
		}
	}
}

// One interface that is not read does not keep the others from being read.
func TestForeignInterface(t *testing.T) {
	k := active(t)
	links := []layers.LinkType{layers.LinkTypeRaw, 189}
	var packets []packet
	for _, p := range k.packets {
		packets = append(packets, p, p) // in by either interface
	}
	_, s, err := told(t, pcapng(little, links, packets))
	if err != nil || s.Foreign != len(k.packets) || s.Used != 1 || len(s.Warnings()) != 1 {
		t.Errorf("%v, %v, %q", err, &s, s.Warnings())
	}
}

// Packets without a time, and with one that cannot be, come when the one before came.
func TestPcapNGTimes(t *testing.T) {
	packets := active(t).packets
	links := []layers.LinkType{layers.LinkTypeRaw}
	simple := pcapng(little, links, nil)
	for _, p := range packets {
		simple = append(simple, block(little, 3, append(append32(little, nil, uint32(len(p.ip))), p.ip...))...)
	}
	text, s, err := told(t, simple)
	if err != nil || s.Used != 1 || !strings.HasPrefix(text, "1970-01-01T00:00:00.000000Z  session.start") {
		t.Errorf("%v, %v\n%s", err, &s, text)
	}
	for _, offset := range []uint64{1 << 34, 1 << 62, 1<<64 - 1} { // if_tsoffset, in seconds
		option := little.AppendUint64(append32(little, nil, 8<<16|14), offset)
		body := append(append32(little, nil, uint32(layers.LinkTypeRaw), 0), option...)
		empty := pcapng(little, nil, nil)
		file := append(append(empty, block(little, 1, body)...), pcapng(little, links, packets)[len(pcapng(little, links, nil)):]...)
		text, s, err := told(t, file)
		if err != nil || s.Used != 1 {
			t.Errorf("%d: %v, %v\n%s", offset, err, &s, text)
		}
	}
}

// A length that a damaged file claims costs no more than what is there, and that is
// bounded.
func TestMemoryIsBounded(t *testing.T) {
	for name, head := range map[string][]byte{
		"pcap":   append32(little, pcap(little, false, layers.LinkTypeRaw, nil), 0, 0, 1<<31-1, 1<<31-1),
		"pcapng": append32(little, pcapng(little, []layers.LinkType{layers.LinkTypeRaw}, nil), 6, 0x7ffffff0, 0, 0, 0, 0x7fffff00, 0x7fffff00),
	} {
		if name == "pcap" {
			little.PutUint32(head[16:], 1<<31-1) // the longest packet, says the file
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(t.Context(), io.MultiReader(bytes.NewReader(head), zeros{}), quietly)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, errRecord) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 16*maxRecord {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

// zeros is a file without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Years of silence, again and again, take no time to speak of.
func TestTimeIsBounded(t *testing.T) {
	k := active(t)
	k.packets = k.packets[:20] // a pinhole is open
	for range 20_000 {
		k.packets = append(k.packets, packet{at: k.packets[0].at, ip: k.packets[0].ip})
	}
	for i := range k.packets {
		if i >= 20 {
			k.packets[i].at = k.packets[i-1].at.Add(10 * time.Hour)
		}
	}
	start := time.Now()
	events, _ := k.replay()
	t.Log(time.Since(start), len(events))
	if d := time.Since(start); d > 20*time.Second {
		t.Error(d)
	}
}
