package conntrack

import (
	"os"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

func counting(t *testing.T) *Counting {
	t.Helper()
	c, err := OpenCounting()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Each pinhole's counters come in its place, whatever is asked beside it.
func TestCounters(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		t.Run(loopback, func(t *testing.T) {
			namespace(t, true)
			if !Accounting() {
				t.Error("the kernel counts, but it is not seen")
			}
			c := counting(t)
			var pinholes []alg.Pinhole
			for i := range 2*inOneGo + 3 {
				p := transfer(t, loopback, 1000*i)
				port := p.SourcePorts.First
				switch i % 4 {
				case 1: // none has come from there
					p.SourcePorts = alg.Ports{First: port ^ 1, Last: port ^ 1}
					p.Dest = transfer(t, loopback, 0).Dest
				case 2:
					p.SourcePorts = alg.Ports{First: port, Last: port + 1}
				case 3:
					p.SourcePorts = alg.Ports{}
				}
				pinholes = append(pinholes, p)
			}
			for range 2 {
				all, err := c.Counters(pinholes)
				if err != nil || len(all) != len(pinholes) {
					t.Fatalf("%d counters of %d: %v", len(all), len(pinholes), err)
				}
				for i, n := range all {
					sent := uint64(1000 * i)
					// SYN, SYN/ACK, ACK and FIN at the least, each with headers.
					if i%4 == 0 && (n.Packets < 4 || n.Bytes < sent+4*40 || n.Bytes > sent+n.Packets*80) {
						t.Errorf("%d bytes were counted as %+v", sent, n)
					}
					if i%4 != 0 && n != (alg.Counters{}) {
						t.Errorf("pinhole %d: %+v", i, n)
					}
				}
			}
		})
	}
}

// Without accounting there is nothing to know.
func TestNotCounted(t *testing.T) {
	namespace(t, false)
	if Accounting() {
		t.Error("the kernel does not count, but is said to")
	}
	p := transfer(t, "127.0.0.1", 1000)
	if n, err := counting(t).Counters([]alg.Pinhole{p}); err != nil || len(n) != 1 || n[0] != (alg.Counters{}) {
		t.Errorf("%+v, %v", n, err)
	}
}

// The operator may change his mind.
func TestAccountingIsSwitched(t *testing.T) {
	namespace(t, true)
	for _, on := range []string{"0", "1"} {
		if err := os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_acct", []byte(on), 0); err != nil {
			t.Fatal(err)
		}
		if Accounting() != (on == "1") {
			t.Errorf("nf_conntrack_acct is %s", on)
		}
	}
}

// What cannot be asked is an error, and nothing is made up.
func TestCountingClosed(t *testing.T) {
	namespace(t, true)
	p := transfer(t, "127.0.0.1", 1000)
	c, err := OpenCounting()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Counters([]alg.Pinhole{p}); err == nil || n[0] != (alg.Counters{}) {
		t.Errorf("%+v, %v", n, err)
	}
}
