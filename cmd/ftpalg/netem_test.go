package main_test

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// Many transfers in one session on a bad network: before the gateway and behind it, segments
// of the control connection overtake each other, come twice, and are lost.
func TestManyTransfersOnABadNetwork(t *testing.T) {
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			g := newGatewayIn(t, a, "[pinhole]\ndeny_ports = []\n")
			for h, ports := range map[*lab.Host][]string{g.Client: {"eth0"}, g.Gateway: {"inside", "outside"}, g.Server: {"eth0"}} {
				for _, port := range ports {
					if err := h.Do(func() error { return disturb(port) }); errors.Is(err, unix.ENOENT) {
						t.Skip("this kernel has no netem (CONFIG_NET_SCH_NETEM); make test-vm does it on one that has")
					} else if err != nil {
						t.Fatalf("disturbing %s of %s: %v", port, h.Name, err)
					}
				}
				if err := h.LoadRuleset(t.Context(), `table inet disturbed {
	chain postrouting {
		type filter hook postrouting priority srcnat + 100
		tcp dport 21 meta priority set 1:4
		tcp sport 21 meta priority set 1:4
	}
}
`); err != nil {
					t.Fatal(err)
				}
			}
			g.sendsAgainSooner()
			if _, err := g.StartVSFTPD(t.Context(), lab.VSFTPDOptions{}); err != nil {
				t.Fatal(err)
			}
			g.count("ct state invalid")
			for i, count := range []int{200, 50} {
				manyTransfers(t, g, g.families()[i], count)
			}
			if n := counted(t, g.Gateway); n != 0 {
				t.Errorf("%d packets were invalid", n)
			}
			early := 0
			for _, h := range []*lab.Host{g.Client, g.Server} {
				early += tcpCounted(t, h, "TCPOFOQueue")
				if tcpCounted(t, h, "TCPDSACKOldSent") == 0 {
					t.Errorf("nothing came to the %s twice", h.Name)
				}
			}
			if early == 0 {
				t.Error("nothing came before its turn")
			}
			for _, e := range g.daemon.Events() {
				if e.Event == "violation" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// disturb has packets of the class 1:4 that leave by a port of the calling thread's host wait,
// but for some, come twice, and be lost.
func disturb(port string) error {
	link, err := netlink.LinkByName(port)
	if err != nil {
		return err
	}
	const bands = 4
	root := netlink.NewPrio(netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT})
	root.Bands = bands
	if err := netlink.QdiscAdd(root); err != nil {
		return fmt.Errorf("making classes: %w", err)
	}
	return netlink.QdiscAdd(netlink.NewNetem(
		netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(2, 0), Parent: netlink.MakeHandle(1, bands)},
		netlink.NetemQdiscAttrs{Latency: 2000, ReorderProb: 40, Gap: 1, Duplicate: 10, Loss: 1},
	))
}

// tcpCounted is one of the counters that a host's kernel keeps of TCP.
func tcpCounted(t *testing.T, h *lab.Host, name string) (n int) {
	t.Helper()
	out, err := run(t, h, "nstat -asz TcpExt"+name)
	m := regexp.MustCompile(`TcpExt` + name + ` +(\d+)`).FindStringSubmatch(out)
	if err != nil || m == nil {
		t.Fatal(err, out)
	}
	_, _ = fmt.Sscan(m[1], &n)
	return n
}
