package nft

import (
	"strings"
	"testing"

	"github.com/google/nftables"
)

func TestAnchorAmongAnything(t *testing.T) {
	for _, line := range strings.Split(`limit rate 10/minute burst 5 packets accept
limit rate over 100 kbytes/second burst 10 kbytes drop
limit rate 3/week accept
quota over 10 mbytes drop
ct count over 5 drop
meta mark set ct mark
meta skuid 1000 accept
meta cgroup 5 accept
socket transparent 1 accept
socket cgroupv2 level 1 "user.slice" accept
fib saddr . iif oif missing drop
fib daddr type local accept
rt nexthop 10.0.0.1 accept
rt mtu 1400 accept
tcp option maxseg size set rt mtu
tcp option sack-perm exists accept
tcp option sack-perm reset
exthdr frag exists accept
ip option lsrr exists drop
ip dscp set cs1
log prefix "x" level debug flags all
log group 3 snaplen 100
reject with icmpx type port-unreachable
reject with tcp reset
numgen inc mod 2 vmap { 0 : accept, 1 : drop }
jhash ip saddr mod 4 vmap { 0 : accept, 1 : drop }
symhash mod 2 1 accept
ip saddr { 10.0.0.0/8, 192.168.0.0/16 } accept
ip saddr . tcp dport { 10.0.0.1 . 22 } accept
tcp dport 1024-65535 ct state { new, established } accept
tcp dport vmap { 22 : accept, 80 : jump other }
meta l4proto { tcp, udp } th dport 53 accept
meta time >= "2020-01-01 00:00:00" accept
meta hour "08:00"-"18:00" accept
meta day "Monday" accept
ct helper "ftp" accept
ct original saddr 10.0.0.1 accept
ct bytes > 100 accept
ct expiration 30s accept
ct zone 1 accept
ct status dnat accept
ct timeout set "x"
ct id 5 accept
ipsec in reqid 1 accept
osf name "Linux" accept
dup to 10.0.0.1
notrack
synproxy mss 1460 wscale 7 timestamp sack-perm
iifname "eth*" oifname { "a", "b" } accept
iifgroup 2 accept
meta priority set 1:1
meta nftrace set 1
@th,0,16 22 accept
@nh,8,8 set 5
add @dyn { ip saddr limit rate over 5/minute } drop
update @dyn { ip saddr timeout 1m counter }
meter m { ip saddr limit rate 1/second } accept
counter name "c1" accept
quota name "q1" drop
limit name "l1" drop
tproxy to :50080
flow add @ft
ct mark set ip dscp map { cs1 : 1 }
xfrm
last accept
meta random > 100 accept
meta sdif 3 accept
tunnel id 4 accept
secmark 1
ct secmark set meta secmark
ether saddr 00:11:22:33:44:55 accept
vlan id 5 accept
dccp type request accept
sctp chunk data exists accept
udplite dport 5 accept
ah spi 5 accept
ip6 nexthdr tcp accept
rt type 0 drop
hbh exists drop
mh type 1 drop
icmp type echo-request accept
icmpv6 type { nd-neighbor-solicit } accept
ip ttl set 5
ct event set new
`, "\n") {
		if line == "" { continue }
		inNamespace(t)
		base := `table inet filter {
 set dyn { type ipv4_addr; size 100; flags dynamic,timeout; }
 counter c1 { }
 quota q1 { over 10 mbytes }
 limit l1 { rate 5/second }
 chain other { }
 chain forward { type filter hook forward priority filter; }
}
`
		load(t, base)
		c := execNft(line)
		if c != "" { t.Logf("SKIP %s", line); continue }
		func() {
			defer func() { if r := recover(); r != nil { t.Errorf("PANIC %s: %v", line, r) } }()
			a, _ := OpenAnchor("inet filter", []string{"forward"}, Tag{Label: 126})
			defer a.Close()
			if _, err := a.Ensure(); err != nil { t.Errorf("%s: %v", line, err) }
			got, err := a.Accepts()
			if err != nil || !got[0].Accepts { t.Errorf("%s: %v %v", line, got, err) }
			if err := a.Remove(); err != nil { t.Errorf("%s: %v", line, err) }
		}()
	}
	_ = nftables.TableFamilyINet
}
