package check

import (
	"bufio"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/cmd/ftpalg/internal/config"
)

const flowtable = `table inet filter {
	flowtable fast {
		hook ingress priority filter
		devices = { inside, outside }
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established meta l4proto { tcp, udp } flow add @fast
		ct state established,related accept
		tcp dport 21 accept
	}
}
`

// Where the kernel has flowtables, with one; everywhere, with what Linux 6.1 of Debian
// answered when it was asked for the rules of the same, and of them once they were mended.
func TestFlowtable(t *testing.T) {
	gateway(t, func() {
		c := exec.Command("nft", "-f", "-")
		c.Stdin = strings.NewReader(flowtable)
		if out, err := c.CombinedOutput(); err != nil {
			t.Logf("not with a real one: %s", out)
		} else {
			f := found(t, look(t, ""), "flowtable")
			if !f.Problem || !strings.HasPrefix(f.Text, "rule 1 of chain inet filter forward") {
				t.Error(f)
			}
			mend(t, "", "flowtable")
			do(t, "", "nft", "delete", "table", "inet", "filter")
		}
		load(t, begin+end)
		for file, want := range map[string]int{"flowtable.hex": 1, "flowtable-mended.hex": 0} {
			f := &firewall{Report: &Report{}, config: config.Default(), rules: recorded(t, file)}
			f.offload()
			if f.Problems() != want {
				t.Errorf("%s: %+v", file, f.Findings)
			}
			for _, found := range f.Findings {
				if want := "nft 'replace rule inet filter forward handle 4 meta l4proto { tcp, udp } ct original proto-dst != { 21 } flow add @fast'"; found.Mend[0] != want {
					t.Errorf("mends: %s, want %s", found.Mend[0], want)
				}
			}
		}
	})
}

// recorded is the ruleset of the thread's network namespace with rules that a kernel once
// answered with: a line of hexadecimal digits for each message.
func recorded(t *testing.T, file string) *ruleset {
	t.Helper()
	rs, err := readRuleset()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = text.Close() }()
	for lines := bufio.NewScanner(text); lines.Scan(); {
		message, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		if err := rs.addRule(message); err != nil {
			t.Fatal(err)
		}
	}
	return rs
}
