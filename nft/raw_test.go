package nft

import (
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// send sends a TCP segment of the test's own making from the host, whoever's address it bears.
func (h *host) send(t testing.TB, from, to netip.AddrPort, seq uint32, flags byte, payload ...byte) {
	t.Helper()
	segment := &layers.TCP{
		SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: seq, Window: 65535,
		FIN: flags&fin != 0, SYN: flags&syn != 0, RST: flags&rst != 0, ACK: flags&ack != 0,
	}
	if segment.ACK {
		segment.Ack = 1
	}
	var ip gopacket.SerializableLayer
	var domain int
	var dest unix.Sockaddr
	if from.Addr().Is4() {
		v4 := &layers.IPv4{
			Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP,
			SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(),
		}
		_ = segment.SetNetworkLayerForChecksum(v4)
		ip, domain, dest = v4, unix.AF_INET, &unix.SockaddrInet4{Addr: to.Addr().As4()}
	} else {
		v6 := &layers.IPv6{
			Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP,
			SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(),
		}
		_ = segment.SetNetworkLayerForChecksum(v6)
		ip, domain, dest = v6, unix.AF_INET6, &unix.SockaddrInet6{Addr: to.Addr().As16()}
	}
	b := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, options, ip, segment, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	h.run(t, func() error {
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, b.Bytes(), 0, dest)
	})
}

// syn sends a pure SYN.
func (h *host) syn(t testing.TB, from, to netip.AddrPort, seq uint32) {
	t.Helper()
	h.send(t, from, to, seq, syn)
}

// counts counts the packets that fit the match, in a chain of its own; then they get the
// verdict. It returns how many there were since the last call.
func (h *host) counts(t testing.TB, name, chain, match, verdict string) (seen func() int) {
	t.Helper()
	h.load(t, `table inet `+name+` {
		counter c { }
		chain c { type filter `+chain+`; policy accept; `+match+` counter name c `+verdict+`; }
	}`)
	return func() (n int) {
		t.Helper()
		time.Sleep(50 * time.Millisecond) // for what is on its way
		h.do(t, func() {
			text := nft(t, "reset", "counter", "inet", name, "c")
			found := packets.FindStringSubmatch(text)
			if found == nil {
				t.Fatalf("no counter in %s", text)
			}
			n, _ = strconv.Atoi(found[1])
		})
		return n
	}
}

var packets = regexp.MustCompile(`packets (\d+)`)

// silence lets the host hear SYNs and not answer them.
func (h *host) silence(t testing.TB) (heard func() int) {
	t.Helper()
	return h.counts(t, "heard", "hook input priority raw", "tcp flags & (fin|syn|rst|ack) == syn", "drop")
}

// want fails the test if the count is another.
func wantCount(t testing.TB, what string, count func() int, want int) {
	t.Helper()
	if got := count(); got != want {
		t.Errorf("%s: %d packets, want %d", what, got, want)
	}
}
