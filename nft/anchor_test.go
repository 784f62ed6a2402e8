package nft

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The line is as nft would write it, at the top, and everything else stays.
func TestAnchorLine(t *testing.T) {
	const base = `table %s filter {
		chain forward { type filter hook forward priority filter; policy drop; tcp dport 21 accept; }
		chain output { type filter hook output priority filter; policy accept; }
	}`
	for _, tt := range []struct {
		family string
		tag    Tag
		line   string
	}{
		{"inet", tag126, "ct label 126 meta mark & 0x01000000 == 0x01000000 accept"},
		{"inet", Tag{Label: 0, Mark: 1}, "ct label 0 meta mark & 0x00000001 == 0x00000001 accept"},
		{"ip", tag126, "ct label 126 meta mark & 0x01000000 == 0x01000000 accept"},
		{"ip6", tag126, "ct label 126 meta mark & 0x01000000 == 0x01000000 accept"},
	} {
		t.Run(tt.family+" "+tt.line, func(t *testing.T) {
			inNamespace(t)
			load(t, strings.Replace(base, "%s", tt.family, 1))
			before := nft(t, "list", "ruleset")
			if got := tt.tag.Line(); got != tt.line {
				t.Errorf("Line = %q, want %q", got, tt.line)
			}
			load(t, AnchorText(tt.family+" filter", []string{"forward", "output"}, tt.tag))
			want, wantCode := nft(t, "list", "ruleset"), nft(t, "--debug=netlink", "list", "ruleset")

			inNamespace(t)
			load(t, strings.Replace(base, "%s", tt.family, 1))
			a, err := OpenAnchor(tt.family+" filter", []string{"forward", "output"}, tt.tag)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			for _, wantInserted := range []bool{true, false, false} {
				if inserted, err := a.Ensure(); inserted != wantInserted || err != nil {
					t.Errorf("Ensure = %v, %v, want %v", inserted, err, wantInserted)
				}
			}
			if diff := cmp.Diff(want, nft(t, "list", "ruleset")); diff != "" {
				t.Errorf("-nft +Ensure:\n%s", diff)
			}
			if diff := cmp.Diff(wantCode, nft(t, "--debug=netlink", "list", "ruleset")); diff != "" {
				t.Errorf("-nft +Ensure:\n%s", diff)
			}
			for range 2 {
				if err := a.Remove(); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(before, nft(t, "list", "ruleset")); diff != "" {
					t.Errorf("-before +Remove:\n%s", diff)
				}
			}
		})
	}
}

// What an earlier process left serves, if it is the same, and goes otherwise. What the
// operator wrote stays, however alike.
func TestAnchorOfEarlierProcess(t *testing.T) {
	inNamespace(t)
	load(t, operator)
	anchor(t, "inet filter", []string{"forward"}, tag126).Close()
	left := nft(t, "list", "ruleset")
	a, err := OpenAnchor("inet filter", []string{"forward"}, tag126)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if inserted, err := a.Ensure(); inserted || err != nil {
		t.Errorf("the line of an earlier process: Ensure = %v, %v", inserted, err)
	}
	if got := nft(t, "list", "ruleset"); got != left {
		t.Errorf("there is\n%s, and was\n%s", got, left)
	}

	nft(t, "insert", "rule", "inet", "filter", "forward", `ct label 126 accept comment "ftpalg"`)
	b := anchor(t, "inet filter", []string{"forward"}, Tag{Label: 7, Mark: 0x01000000})
	got := nft(t, "list", "ruleset")
	if strings.Count(got, "inserted by ftpalg") != 1 || !strings.Contains(got, "ct label 7 meta") {
		t.Errorf("with another label there is\n%s", got)
	}
	if err := b.Remove(); err != nil {
		t.Error(err)
	}
	if got := nft(t, "list", "ruleset"); !strings.Contains(got, `ct label 126 accept comment "ftpalg"`) {
		t.Errorf("the operator's line is gone:\n%s", got)
	}
}

// Errors name what is missing.
func TestAnchorMissing(t *testing.T) {
	inNamespace(t)
	load(t, operator)
	for _, tt := range []struct{ table, chain, want string }{
		{"inet nosuch", "forward", "there is no nft table inet nosuch"},
		{"ip filter", "forward", "there is no nft table ip filter"},
		{"inet filter", "FORWARD", "there is no chain FORWARD in nft table inet filter"},
	} {
		a, err := OpenAnchor(tt.table, []string{tt.chain}, tag126)
		if err != nil {
			t.Fatal(err)
		}
		_, ensured := a.Ensure()
		_, accepts := a.Accepts()
		for _, err := range []error{ensured, accepts} {
			if err == nil || err.Error() != tt.want || !errors.Is(err, unix.ENOENT) {
				t.Errorf("%v, want ENOENT and %q", err, tt.want)
			}
		}
		if err := a.Remove(); err != nil {
			t.Errorf("nothing to remove: %v", err)
		}
		a.Close()
	}
	for _, table := range []string{"filter", "inet", "inet ", "arp filter", "inet filter x", ""} {
		if _, err := OpenAnchor(table, []string{"forward"}, tag126); err == nil {
			t.Errorf("table %q: no error", table)
		}
	}
	if _, err := OpenAnchor("inet filter", nil, tag126); err == nil {
		t.Error("no chain: no error")
	}
	if _, err := OpenAnchor("inet filter", []string{"forward"}, Tag{Label: 127, Mark: 1}); err == nil {
		t.Error("label 127: no error")
	}
}

// A chain that is not there yet keeps the line out of the others, and it is in each once.
func TestAnchorBeforeAllChainsAreThere(t *testing.T) {
	inNamespace(t)
	load(t, operator)
	a, err := OpenAnchor("inet filter", []string{"forward", "later"}, tag126)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for range 3 {
		if inserted, err := a.Ensure(); inserted || !errors.Is(err, unix.ENOENT) {
			t.Errorf("Ensure = %v, %v", inserted, err)
		}
	}
	load(t, "add chain inet filter later")
	if inserted, err := a.Ensure(); !inserted || err != nil {
		t.Errorf("Ensure = %v, %v", inserted, err)
	}
	if n := strings.Count(nft(t, "list", "ruleset"), tag126.Line()); n != 2 {
		t.Errorf("%d lines", n)
	}
}

// However the operator reloads his firewall, the line comes back, once and at its place.
func TestAnchorAfterReloads(t *testing.T) {
	inNamespace(t)
	load(t, operator)
	a := anchor(t, "inet filter", []string{"forward"}, tag126)
	back := func() {
		t.Helper()
		if inserted, err := a.Ensure(); !inserted || err != nil {
			t.Errorf("Ensure = %v, %v", inserted, err)
		}
	}
	want := nft(t, "list", "ruleset")
	same := func() {
		t.Helper()
		if diff := cmp.Diff(want, nft(t, "list", "ruleset")); diff != "" {
			t.Errorf("-before +after the reload:\n%s", diff)
		}
	}

	// In one transaction.
	for range 3 {
		load(t, "flush ruleset"+operator)
		back()
		same()
		if inserted, err := a.Ensure(); inserted || err != nil {
			t.Errorf("Ensure once more = %v, %v", inserted, err)
		}
	}

	// The same in steps, with a while in which there is no table.
	nft(t, "flush", "ruleset")
	if _, err := a.Ensure(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("without a table: %v, want ENOENT", err)
	}
	load(t, operator)
	back()
	same()

	// A reload after which another rule has the handle that ours had.
	load(t, "flush ruleset"+operator+"add rule inet filter forward tcp dport 2121 accept")
	back()
	if got := nft(t, "list", "ruleset"); strings.Count(got, anchorComment) != 1 {
		t.Errorf("after the reload there is\n%s", got)
	}

	// Only the line is taken away.
	load(t, "flush chain inet filter forward")
	back()
}

// A line accepts what bears the tag if it asks for no more, in whatever words.
func TestAccepts(t *testing.T) {
	const none, both, labelAlone, markAlone = 0, 1, 2, 3
	for _, tt := range []struct {
		rule string
		want int
	}{
		{"ct label 126 meta mark & 0x01000000 == 0x01000000 accept", both},
		{"meta mark & 0x01000000 == 0x01000000 ct label 126 accept", both},
		{"ct label 126 meta mark & 0x01000000 != 0 accept", both},
		{"ct label 126 meta mark & 0x01000000 == 0x01000000 counter accept comment \"mine\"", both},
		{"ct state new ct label 126 meta mark & 0x01000000 == 0x01000000 accept", both},
		{"meta l4proto tcp ct label 126 log meta mark & 0x01000000 == 0x01000000 log accept", both},
		{"ct label 126 meta mark & 0x01000000 == 0x01000000 meta mark set meta mark | 2 accept", both},
		{"jump other", both},
		{"goto other", both},
		{"ct label 126 accept", labelAlone},
		{"ct label 126 ct mark set meta mark accept", labelAlone},
		{"meta mark & 0x01000000 == 0x01000000 accept", markAlone},
		{"meta mark & 0x01000000 != 0 accept", markAlone},
		{"ct state vmap { new : jump other }", none}, // not seen
		{"ct label 125 accept", none},
		{"ct label 125 meta mark & 0x01000000 == 0x01000000 accept", none},
		{"ct label 126 meta mark & 0x02000000 == 0x02000000 accept", none},
		{"ct label 126 meta mark & 0x03000000 == 0x01000000 accept", none}, // 0x02000000 is not ours
		{"ct label 126 meta mark & 0x01000000 == 0 accept", none},
		{"ct label 126 meta mark 0x01000000 accept", none}, // other bits are others'
		{"ct label != 126 accept", none},
		{"ct label 126 drop", none},
		{"ct label 126 counter", none},
		{"ct label set 126 accept", none},
		{"meta mark set meta mark | 0x01000000 accept", none},
		{"ct mark & 0x01000000 == 0x01000000 accept", none},
		{"accept", none},
		{"ct state established accept", none},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			inNamespace(t)
			load(t, `table inet filter {
				chain other { `+tag126.Line()+`; jump more; }
				chain more { counter; }
				chain forward { type filter hook forward priority 7; policy drop; tcp dport 21 accept; `+tt.rule+`; }
				chain plain { }
			}`)
			a, err := OpenAnchor("inet filter", []string{"plain", "forward"}, tag126)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			got, err := a.Accepts()
			want := []Chain{{Name: "plain"}, {
				Name: "forward", Hook: "forward", Priority: 7,
				Accepts: tt.want != none, LabelAlone: tt.want == labelAlone,
			}}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestBetween(t *testing.T) {
	for priority, want := range map[int]bool{-150: false, -10: false, -9: true, 0: true, 9: true, 10: false, 50: false} {
		if got := (Chain{Priority: priority}).Between(0, 0); got != want {
			t.Errorf("priority %d: %v, want %v", priority, got, want)
		}
	}
	if c := (Chain{Priority: 10}); !c.Between(-10, 11) || c.Between(10, 11) {
		t.Error("other priorities of ours are not regarded")
	}
}

// What an earlier version inserted accepts on the label alone, and is replaced.
func TestAnchorReplacesOldLine(t *testing.T) {
	inNamespace(t)
	load(t, operator)
	nft(t, "insert", "rule", "inet", "filter", "forward", `ct label 126 accept comment "inserted by ftpalg"`)
	nft(t, "insert", "rule", "inet", "filter", "forward", `ct label 126 accept comment "mine"`)
	a, err := OpenAnchor("inet filter", []string{"forward"}, tag126)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if inserted, err := a.Ensure(); !inserted || err != nil {
		t.Errorf("Ensure = %v, %v", inserted, err)
	}
	got := nft(t, "list", "chain", "inet", "filter", "forward")
	if strings.Count(got, anchorComment) != 1 || !strings.Contains(got, tag126.Line()+` comment "`+anchorComment) {
		t.Errorf("there is\n%s", got)
	}
	if !strings.Contains(got, `ct label 126 accept comment "mine"`) {
		t.Errorf("the operator's own line is gone:\n%s", got)
	}
}
