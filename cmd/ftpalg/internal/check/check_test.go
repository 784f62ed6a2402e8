package check

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
	"github.com/ftpalg/ftpalg/deploy/lab"
)

// gateway runs f on a thread in a network namespace of its own, with interfaces "inside" and
// "outside". It ends with the test.
func gateway(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a network namespace of its own")
	}
	done, returned := make(chan struct{}), false
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread ends with its namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		for name, address := range map[string]string{"inside": "10.3.3.2/24", "outside": "10.2.5.1/24"} {
			if err := plug(name, address); err != nil {
				t.Errorf("making %s: %v", name, err)
				return
			}
		}
		f()
		returned = true
	}()
	<-done
	if !returned {
		t.FailNow()
	}
}

// plug makes an interface with an address.
func plug(name, address string) error {
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-peer"}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(veth, a); err != nil {
		return err
	}
	return netlink.LinkSetUp(veth)
}

// do runs a program in the namespace of the calling thread.
func do(t *testing.T, input, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// load has the nft program load a ruleset.
func load(t *testing.T, ruleset string) {
	t.Helper()
	do(t, ruleset, "nft", "-f", "-")
}

// look looks with a configuration.
func look(t *testing.T, document string) *Report {
	t.Helper()
	c, err := config.Parse("ftpalg.toml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	r := Look(c, Daemon{})
	if r.Blind != "" {
		t.Fatal(r.Blind)
	}
	return r
}

// problems are what a report calls so, each ID once.
func problems(r *Report) (ids []string) {
	for _, f := range r.Findings {
		if f.Problem {
			ids = append(ids, f.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

const (
	manual = "firewall.anchor = 'manual'\n"
	host   = "control.hooks = ['input', 'output']\n"
	// begin is a firewall up to its rules.
	begin = "table inet filter {\nchain forward {\ntype filter hook forward priority filter; policy drop;\n"
	end   = "\n}\n}\n"
	line  = "ct label 126 meta mark & 0x01000000 == 0x01000000 accept\n"
	rest  = "ct state established,related accept\ntcp dport 21 accept\n"
)

// What a firewall lacks is found, and the line that is printed mends it. A right one gives
// no problem.
func TestFirewalls(t *testing.T) {
	for _, c := range []struct {
		name, config, ruleset string
		want                  string // ID of the problem; empty: none
		text                  string // that it has
		mends                 bool   // the first line that mends is a command, and does
	}{
		{name: "stateful", ruleset: lab.Ruleset("stateful")},
		{name: "open", ruleset: lab.Ruleset("open")},
		{name: "stateful behind a masquerade", ruleset: lab.Ruleset("stateful") + lab.Ruleset("masquerade")},
		{name: "stateful with a forwarding", ruleset: lab.Ruleset("stateful") + lab.Ruleset("forward")},
		{name: "stateless", ruleset: lab.Ruleset("stateless"), want: "established", text: "the policy of chain inet filter forward", mends: true},
		{name: "a line of the operator's", config: manual, ruleset: begin + line + rest + end},
		{name: "the line behind the others", config: manual, ruleset: begin + rest + line + end},
		{name: "no line", config: manual, ruleset: begin + rest + end, want: "accept-line", text: "dropped by the policy of chain inet filter forward", mends: true},
		{name: "no line before a reject", config: manual, ruleset: begin + rest + "reject" + end, want: "accept-line", text: "rule 3 of chain", mends: true},
		{
			name: "a line behind a drop", config: manual, ruleset: begin + "ct state established accept\ntcp dport 21 accept\nct state new drop\n" + line + end,
			want: "accept-line", text: "rule 3 of chain inet filter forward: the accept line stands behind it, as rule 4 of", mends: true,
		},
		{
			name: "a line behind a drop of what comes from outside", config: manual,
			ruleset: begin + "ct state established accept\niifname \"inside\" tcp dport 21 accept\niifname \"outside\" drop\niifname \"inside\" tcp dport 1024-65535 accept\n" + line + end,
			want:    "accept-line", text: "(active mode)", mends: true,
		},
		{
			name: "a line in a chain that is never reached", config: manual,
			ruleset: begin + rest + "}\nchain ftp {\n" + line + end, want: "accept-line", text: "is never reached", mends: true,
		},
		{
			name: "a line behind a jump that no data connection takes", config: manual,
			ruleset: "table inet filter {\nchain ftp {\n" + line + "}\nchain forward {\ntype filter hook forward priority filter; policy drop;\n" + rest + "tcp dport 22 jump ftp" + end,
			want:    "accept-line", text: "is never reached", mends: true,
		},
		{
			name: "a line behind a verdict map", config: manual,
			ruleset: "table inet filter {\nchain ftp {\n" + line + "}\nchain forward {\ntype filter hook forward priority filter; policy drop;\n" +
				"ct state vmap { established : accept, related : accept, invalid : drop }\nmeta l4proto vmap { tcp : jump ftp }\ntcp dport { 20-22, 80 } accept" + end,
		},
		{
			name: "a policy of another table", ruleset: lab.Ruleset("stateful") +
				"table ip other {\nchain forward {\ntype filter hook forward priority 5; policy drop;\n" + rest + end + "table ip6 other {\nchain forward {\ntype filter hook forward priority 5; policy drop;\n" + rest + end,
			want: "accept-line", text: "the policy of chain ip other forward",
		},
		{name: "the label and a set of marks", config: manual, ruleset: begin + "ct label 126 meta mark { 0x01000000, 0x03000000 } accept\n" + rest + end},
		{name: "another mark", config: manual, ruleset: begin + "ct label 126 meta mark & 0x02000000 == 0x02000000 accept\n" + rest + end, want: "accept-line", text: "no accept line", mends: true},
		{name: "no control port", ruleset: begin + "ct state established accept" + end, want: "control-port", text: "port 21 is accepted: the policy", mends: true},
		{name: "another control port", config: "control.ports = [2121]\n", ruleset: begin + rest + end, want: "control-port", text: "port 2121", mends: true},
		{name: "control ports in a set", ruleset: "table inet filter {\nset ports {\ntype inet_service\nelements = { 21, 22 }\n}\nchain forward {\ntype filter hook forward priority filter; policy drop;\nct state established accept\ntcp dport @ports accept" + end},
		{name: "a set of ports that lacks it", ruleset: begin + "ct state established accept\ntcp dport { 22, 80-443 } accept" + end, want: "control-port", text: "port 21", mends: true},
		{name: "nothing of what goes on", ruleset: begin + "tcp dport 21 accept" + end, want: "established", text: "get stuck", mends: true},
		{name: "chains that do not stand between ours", ruleset: "table inet filter {\nchain forward {\ntype filter hook forward priority 150; policy drop;\n" + rest + end, want: "order", text: "priority 150"},
		{name: "a chain before ours", ruleset: "table inet filter {\nchain forward {\ntype filter hook forward priority mangle; policy drop;\n" + rest + end, want: "order", text: "priority -150"},
		{name: "another hook", config: "firewall.chains = ['forward']\n" + host, ruleset: lab.Ruleset("stateful"), want: "hooks", text: "hook forward"},
		{name: "no table", want: "table", text: "Nothing filters here"},
		{name: "another table", ruleset: strings.Replace(begin, "inet filter", "ip mine", 1) + rest + end, want: "table", text: "ip mine forward"},
		{name: "no chain", ruleset: strings.Replace(begin, "chain forward", "chain mine", 1) + rest + end, want: "chains", text: "no chain forward"},
		{
			name: "a host that is a server", config: host, ruleset: "table inet filter {\nchain input {\ntype filter hook input priority filter; policy drop;\n" + rest +
				"}\nchain output {\ntype filter hook output priority filter; policy accept;" + end,
		},
		{name: "the kernel's helper", ruleset: lab.Ruleset("helper"), want: "helper", text: "rule 1 of chain inet filter prerouting", mends: true},
		{name: "the kernel's helper for another port", ruleset: strings.ReplaceAll(lab.Ruleset("helper"), "tcp dport 21 ct helper", "tcp dport 2121 ct helper")},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway(t, func() {
				load(t, c.ruleset)
				r := look(t, c.config)
				got := problems(r)
				if c.want == "" {
					if len(got) > 0 {
						t.Errorf("found in a right firewall: %+v", r.Findings)
					}
					return
				}
				i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == c.want && f.Problem && strings.Contains(f.Text, c.text) })
				if len(got) != 1 || i < 0 {
					t.Fatalf("found %+v, want %s with %q", r.Findings, c.want, c.text)
				}
				if len(r.Findings[i].Mend) == 0 {
					t.Error("nothing mends it")
				}
				if c.mends {
					do(t, "", "sh", "-c", r.Findings[i].Mend[0])
					if got := problems(look(t, c.config)); len(got) > 0 {
						t.Errorf("after %s: %+v", r.Findings[i].Mend[0], look(t, c.config).Findings)
					}
				}
			})
		})
	}
}
