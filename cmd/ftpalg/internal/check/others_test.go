package check

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	mdnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/nft/queue"
)

// found returns the finding of that ID.
func found(t *testing.T, r *Report, id string) Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == id })
	if i < 0 {
		t.Fatalf("no %s: %+v", id, r.Findings)
	}
	return r.Findings[i]
}

// absent wants no finding of that ID.
func absent(t *testing.T, r *Report, id string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.ID == id {
			t.Errorf("found without reason: %+v", f)
		}
	}
}

// mend runs the first line that mends a finding, which is gone then.
func mend(t *testing.T, config, id string) {
	t.Helper()
	do(t, "", "sh", "-c", found(t, look(t, config), id).Mend[0])
	absent(t, look(t, config), id)
}

// Firewalls that others make of iptables: what ufw and Docker load is loaded here by
// iptables-nft itself.
func TestIptables(t *testing.T) {
	const filter = "firewall.table = 'ip filter'\nfirewall.chains = ['FORWARD']\n"
	const docker = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 21 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
`
	const plain = `*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -m comment --comment "what goes on" -j ACCEPT
-A FORWARD -p tcp -m multiport --dports 20:22,80,443 -j ACCEPT
-A FORWARD -m limit --limit 3/min -j LOG --log-prefix "dropped "
-A FORWARD -j REJECT
COMMIT
`
	for _, c := range []struct {
		name, config, rules string
		want, text          string
		mends               bool
	}{
		{name: "plain", config: filter, rules: plain},
		{name: "plain without a line", config: manual + filter, rules: plain, want: "accept-line", text: "rule 5 of chain ip filter FORWARD", mends: true},
		{name: "no control port", config: filter, rules: strings.Replace(plain, "20:22,80,443", "22,80,443", 1), want: "control-port", text: "rule 5 of chain ip filter FORWARD", mends: true},
		{name: "the default table", rules: plain, want: "table", text: "ip filter FORWARD"},
		{name: "Docker, and the default table", rules: docker, want: "table", text: "ip filter FORWARD"},
		{name: "Docker", config: strings.Replace(filter, "FORWARD", "DOCKER-USER", 1), rules: docker},
		{name: "Docker without a line", config: manual + filter, rules: docker, want: "accept-line", text: "(active mode)", mends: true},
		{
			name: "the label alone", config: manual + filter, rules: strings.Replace(plain, "-A FORWARD -m", "-A FORWARD -m connlabel --label 126 -j ACCEPT\n-A FORWARD -m", 1),
			want: "label-alone", text: "rule 1 of chain ip filter FORWARD", mends: true,
		},
		{
			name: "the helper", config: filter, rules: plain + "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n",
			want: "helper", text: "rule 1 of chain ip raw PREROUTING", mends: true,
		},
		{
			name: "the mark", config: filter, rules: plain + "*mangle\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p udp -j MARK --set-xmark 0x1000000/0x1000000\nCOMMIT\n",
			want: "mark", text: "rule 1 of chain ip mangle FORWARD",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway(t, func() {
				if strings.Contains(c.name, "Docker") {
					if err := plug("docker0", "172.17.0.1/16"); err != nil {
						t.Fatal(err)
					}
				}
				do(t, c.rules, "iptables-nft-restore")
				r := look(t, c.config)
				if c.want == "" {
					if r.Problems() > 0 {
						t.Errorf("found in a right firewall: %+v", r.Findings)
					}
					return
				}
				if f := found(t, r, c.want); !strings.Contains(f.Text, c.text) || len(f.Mend) == 0 {
					t.Errorf("%+v, want %q", f, c.text)
				}
				if c.mends {
					mend(t, c.config, c.want)
					if r := look(t, c.config); r.Problems() > 0 {
						t.Errorf("after it was mended: %+v", r.Findings)
					}
				}
			})
		})
	}
}

// What ufw loads for a router that routes FTP to its inside, as the program itself wrote it.
func TestUFW(t *testing.T) {
	const config = "firewall.table = 'ip filter'\nfirewall.chains = ['ufw-before-forward']\n"
	gateway(t, func() {
		rules, err := os.ReadFile("testdata/ufw.rules")
		if err != nil {
			t.Fatal(err)
		}
		do(t, string(rules), "iptables-nft-restore")
		if r := look(t, config); r.Problems() > 0 {
			t.Errorf("found in a right firewall: %+v", r.Findings)
		}
		found(t, look(t, manual+config), "accept-line")
		mend(t, manual+config, "accept-line")
		do(t, "", "iptables-nft", "-F", "ufw-user-forward")
		found(t, look(t, config), "control-port")
	})
}

// firewalld's chains, in the order and with the jumps that it makes.
const firewalld = `table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24 } reject with icmpv6 addr-unreachable
		jump filter_FORWARD_ZONES
		reject with icmpx admin-prohibited
	}
	chain filter_FORWARD_ZONES {
		iifname "inside" goto filter_FWD_internal
		iifname "outside" goto filter_FWD_external
		goto filter_FWD_public
	}
	chain filter_FWD_internal {
		jump filter_FWD_internal_allow
	}
	chain filter_FWD_internal_allow {
		tcp dport 21 ct state { new, untracked } accept
	}
	chain filter_FWD_external {
		reject
	}
	chain filter_FWD_public {
		reject
	}
}
`

func TestFirewalld(t *testing.T) {
	const config = "firewall.table = 'inet firewalld'\nfirewall.chains = ['filter_FORWARD']\n"
	gateway(t, func() {
		load(t, firewalld)
		if r := look(t, config); r.Problems() > 0 {
			t.Errorf("found in a right firewall: %+v", r.Findings)
		}
		if f := found(t, look(t, manual+config), "accept-line"); !strings.Contains(f.Text, "dropped by rule 1 of chain inet firewalld filter_FWD_external") {
			t.Error(f)
		}
		mend(t, manual+config, "accept-line")
	})
}

// A table that belongs to a living process, as firewalld's does from version 2 on.
func TestOwner(t *testing.T) {
	gateway(t, func() {
		conn, err := nftables.New(nftables.AsLasting())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseLasting() }()
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "firewalld", Flags: nftables.TableFlagOwner})
		conn.AddChain(&nftables.Chain{
			Table: table, Name: "filter_FORWARD", Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityRef(10),
		})
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		f := found(t, look(t, "firewall.table = 'inet firewalld'\nfirewall.chains = ['filter_FORWARD']\n"), "owner")
		if !slices.Equal(f.Mend, []string{"NftablesTableOwner=no"}) {
			t.Error(f)
		}
	})
}

// Who else uses what ftpalg tells its packets and connections by.
func TestTags(t *testing.T) {
	for rules, want := range map[string]string{
		"meta mark set 0x01000000":                         "mark",
		"meta mark set meta mark | 0x03000000":             "mark",
		"meta mark set meta mark & 0x00ffffff":             "",
		"meta mark set 0x00000001":                         "",
		"ct mark set 0x01000000":                           "",
		"ct label set 126":                                 "label",
		"ct label set 127":                                 "label",
		"ct label set 125":                                 "label", // of connections that are followed
		"ct label set 12":                                  "",
		"ct label 126 accept":                              "label-alone",
		"iifname \"outside\" ct label 126 accept":          "label-alone",
		"ct label 12 accept":                               "",
		"ct label 126 counter":                             "",
		"ct label 126 meta mark & 0x01000000 != 0 accept":  "",
		"tcp dport 2121 meta mark set mark or 0x01000000":  "mark",
		"tcp dport 22 ct label 125 counter accept":         "",
		"ct label 127 tcp dport 1024-65535 counter accept": "",
	} {
		t.Run(rules, func(t *testing.T) {
			gateway(t, func() {
				load(t, begin+rules+"\n"+rest+end)
				r := look(t, "")
				if want == "" {
					if r.Problems() > 0 {
						t.Errorf("found without reason: %+v", r.Findings)
					}
					return
				}
				f := found(t, r, want)
				if r.Problems() != 1 || len(f.Mend) == 0 {
					t.Errorf("%+v", r.Findings)
				}
				if want != "label-alone" { // the setting that is named is one that nobody uses
					if r := look(t, strings.Join(f.Mend, "\n")); r.Problems() > 0 {
						t.Errorf("with %q: %+v", f.Mend, r.Findings)
					}
				}
			})
		})
	}
}

func TestQueues(t *testing.T) {
	gateway(t, func() {
		load(t, begin+rest+end)
		absent(t, look(t, ""), "queue")
		q, err := queue.Open(queue.Config{Number: 21001})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = q.Close() }()
		f := found(t, look(t, "control.workers = 1\n"), "queue") // the second is for what is translated
		if !strings.Contains(f.Text, "NFQUEUE 21001 is read by another program") {
			t.Error(f)
		}
		absent(t, look(t, "[control]\nworkers = 1\n"+f.Mend[1]), "queue")
	})
	gateway(t, func() {
		load(t, begin+rest+end)
		do(t, "", "iptables-nft", "-A", "FORWARD", "-p", "udp", "-j", "NFQUEUE", "--queue-balance", "20990:21000")
		f := found(t, look(t, ""), "queue")
		if !strings.Contains(f.Text, "rule 1 of chain ip filter FORWARD gives packets to NFQUEUE 21000") {
			t.Error(f)
		}
		absent(t, look(t, strings.Join(f.Mend, "\n")), "queue")
	})
}

func TestTranslation(t *testing.T) {
	gateway(t, func() {
		load(t, begin+rest+end+`table ip nat {
			chain post { type nat hook postrouting priority srcnat; oifname "outside" masquerade; }
		}`)
		f := found(t, look(t, ""), "translation")
		if f.Problem || !strings.Contains(f.Text, "rule 1 of chain ip nat post translates addresses of control connections") {
			t.Error(f)
		}
	})
	gateway(t, func() { // of other connections
		load(t, begin+rest+end+`table ip nat {
			chain pre { type nat hook prerouting priority dstnat; tcp dport 80 dnat to 10.3.3.3; udp dport 21 redirect to :2121; }
		}`)
		absent(t, look(t, ""), "translation")
	})
	gateway(t, func() { // of a host's own
		load(t, `table inet filter {
			chain input { type filter hook input priority 0; }
			chain output { type filter hook output priority 0; }
		}
		table ip nat { chain pre { type nat hook prerouting priority dstnat; tcp dport 21 redirect to :2121; }; }`)
		if f := found(t, look(t, host), "translation"); !f.Problem {
			t.Error(f)
		}
	})
}

func write(t *testing.T, key, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func TestTracking(t *testing.T) {
	gateway(t, func() {
		load(t, begin+rest+end)
		write(t, "netfilter/nf_conntrack_acct", "0")
		write(t, "netfilter/nf_conntrack_tcp_be_liberal", "1")
		if r := look(t, ""); r.Problems() > 0 {
			t.Errorf("%+v", r.Findings)
		}
		mend(t, "", "acct")
		mend(t, "", "liberal")
	})
}

// fill makes so many entries in the table of connection tracking, many with each system call.
func fill(t *testing.T, n int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	// Of linux/netfilter/nfnetlink_conntrack.h.
	const (
		ipctnlMsgCtNew                         = 0
		ctaTupleOrig, ctaTupleReply            = 1, 2
		ctaTimeout                             = 7
		ctaTupleIP, ctaTupleProto              = 1, 2
		ctaIPv4Src, ctaIPv4Dst                 = 1, 2
		ctaProtoNum, ctaProtoSrc, ctaProtoDest = 1, 2, 3
	)
	server := []byte{10, 2, 5, 5}
	tuple := func(src, dst []byte, sport, dport uint16) func(*mdnetlink.AttributeEncoder) error {
		return func(e *mdnetlink.AttributeEncoder) error {
			e.Nested(ctaTupleIP, func(e *mdnetlink.AttributeEncoder) error {
				e.Bytes(ctaIPv4Src, src)
				e.Bytes(ctaIPv4Dst, dst)
				return nil
			})
			e.Nested(ctaTupleProto, func(e *mdnetlink.AttributeEncoder) error {
				e.Uint8(ctaProtoNum, unix.IPPROTO_UDP)
				e.Uint16(ctaProtoSrc, sport)
				e.Uint16(ctaProtoDest, dport)
				return nil
			})
			return nil
		}
	}
	var batch []byte
	for i := range n {
		client, port := []byte{10, 9, byte(i >> 16), 1}, uint16(i)
		e := mdnetlink.NewAttributeEncoder()
		e.ByteOrder = binary.BigEndian
		e.Nested(ctaTupleOrig, tuple(client, server, port, 53))
		e.Nested(ctaTupleReply, tuple(server, client, 53, port))
		e.Uint32(ctaTimeout, 600)
		attributes, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		m := mdnetlink.Message{
			Header: mdnetlink.Header{
				Type:  unix.NFNL_SUBSYS_CTNETLINK<<8 | ipctnlMsgCtNew,
				Flags: mdnetlink.Request | mdnetlink.Create | mdnetlink.Excl, Sequence: uint32(i),
			},
			Data: append([]byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0}, attributes...),
		}
		m.Header.Length = uint32(unix.NLMSG_HDRLEN + len(m.Data))
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, b...); len(batch) > 1<<16 || i == n-1 {
			if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
				t.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// The table of connection tracking, filled up to nine tenths and a bit.
func TestFullTracking(t *testing.T) {
	gateway(t, func() {
		load(t, begin+rest+end)
		absent(t, look(t, ""), "conntrack-full")
		most, ok := sysctl("netfilter/nf_conntrack_max")
		if !ok {
			t.Fatal("there is no nf_conntrack_max")
		}
		fill(t, most/100*nearlyFull+1)
		f := found(t, look(t, ""), "conntrack-full")
		if !f.Problem || !strings.Contains(f.Text, "new ones will be dropped") {
			t.Error(f)
		}
	})
}

func TestPaths(t *testing.T) {
	const loose = "control.paths = 'loose'\n"
	gateway(t, func() {
		load(t, begin+rest+end)
		absent(t, look(t, ""), "paths")
		route := func(gateway string, metric int) {
			_, all, _ := strings.Cut("x 0.0.0.0/0", " ")
			dst, err := netlink.ParseIPNet(all)
			if err != nil {
				t.Fatal(err)
			}
			a := netip.MustParseAddr(gateway)
			if err := netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: a.AsSlice(), Priority: metric}); err != nil {
				t.Fatal(err)
			}
		}
		route("10.2.5.254", 0)
		absent(t, look(t, ""), "paths")
		route("10.3.3.254", 100)
		if f := found(t, look(t, ""), "paths"); !strings.Contains(f.Text, "inside") || !strings.Contains(f.Text, "outside") {
			t.Error(f)
		}
		absent(t, look(t, loose), "paths")

		write(t, "ipv4/conf/all/rp_filter", "0")
		write(t, "ipv4/conf/inside/rp_filter", "1")
		write(t, "ipv4/conf/outside/rp_filter", "2")
		f := found(t, look(t, loose), "rp-filter")
		if !f.Problem || !strings.Contains(f.Text, "on outside") {
			t.Error(f)
		}
		absent(t, look(t, ""), "rp-filter")
		for _, line := range f.Mend {
			do(t, "", "sh", "-c", line)
		}
		absent(t, look(t, loose), "rp-filter")
		write(t, "ipv4/conf/all/rp_filter", "0")
		write(t, "ipv4/conf/outside/rp_filter", "0")
		found(t, look(t, loose), "rp-filter")
		load(t, "table inet raw { chain pre { type filter hook prerouting priority raw; fib saddr . iif oif missing drop; }; }")
		absent(t, look(t, loose), "rp-filter")
	})
}

// A program called keepalived, in the network namespace and in another.
func TestCluster(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keepalived")
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
	gateway(t, func() {
		load(t, begin+rest+end)
		absent(t, look(t, ""), "cluster")
		ctx, stop := context.WithCancel(context.Background())
		c := exec.CommandContext(ctx, file, "60")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { stop(); _ = c.Wait() }()
		for range 100 { // until it has its name
			if runs("keepalived") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if f := found(t, look(t, ""), "cluster"); f.Problem || !strings.HasPrefix(f.Text, "keepalived runs here") {
			t.Error(f)
		}
		absent(t, look(t, "cluster.listen = '10.9.0.1:4248'\n"), "cluster")
		gateway(t, func() {
			load(t, begin+rest+end)
			absent(t, look(t, ""), "cluster")
		})
	})
}
