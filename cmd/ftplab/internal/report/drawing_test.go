package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/attack"
)

func TestRungsAreInOrder(t *testing.T) {
	s, _ := fixture(t)
	var got []string
	for _, r := range newTransfer(1, s.Transfers[0], s.Hosts).Rungs {
		got = append(got, fmt.Sprintf("%s %s %s%s", span(r.After), r.Who(), r.Kind(), r.Event))
	}
	want := []string{
		"0.00 ms client control", "0.40 ms server control", "0.80 ms client control",
		"0.92 ms gateway pinholeopened",
		"1.20 ms outsider strange",
		"1.40 ms server data",
		"1.40 ms gateway pinholeused", // by the packet of that time
		"1.60 ms client data", "1.70 ms server data", "2.10 ms server control",
		"2.20 ms gateway pinholefound",
		"2.30 ms server data", "2.40 ms server data",
		"2.70 ms client data", "2.90 ms client data", "3.10 ms server data", "3.40 ms server control",
		"3.50 ms gateway pinholeclosed",
		"3.60 ms client control",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rungs:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// paths returns the paths of a class.
func paths(d drawing, class string) (found []string) {
	for _, s := range d.Shapes {
		if s.D != "" && s.Class == class {
			found = append(found, s.D)
		}
	}
	return found
}

func TestLadder(t *testing.T) {
	s, _ := fixture(t)
	for _, l := range []ladder{wideLadder, narrowLadder} {
		f := newTransfer(1, s.Transfers[0], s.Hosts)
		d := l.draw(f.Rungs, s.Hosts)
		for class, want := range map[string]int{
			"control": 6, "data": 8, "strange": 1, "cross": 1, "hole": 1, "admitted": 1, "wall": 1, "lifeline": 2,
			"mark opened": 1, "mark used": 1, "mark found": 1, "mark closed": 1,
		} {
			if got := len(paths(d, class)); got != want {
				t.Errorf("width %d: %d paths of class %q, want %d", l.width, got, class, want)
			}
		}
		var x1, y1, x2, y2 int
		if _, err := fmt.Sscanf(paths(d, "strange")[0], "M%d %dL%d %d", &x1, &y1, &x2, &y2); err != nil {
			t.Fatal(err)
		}
		if x1 <= l.gateway || x1 >= l.server || x2 <= l.gateway || x2 >= x1 {
			t.Errorf("width %d: what is dropped goes from %d to %d, and should stop outside of the gateway at %d", l.width, x1, x2, l.gateway)
		}
		for _, p := range s.Transfers[0].Messages {
			for _, line := range l.label(rung{Message: &p, Text: p.Text}) {
				if n := len([]rune(line)); n > l.chars {
					t.Errorf("width %d: the line %q has %d characters", l.width, line, n)
				}
			}
		}
	}
}

func TestLadderOfUnusedPinhole(t *testing.T) {
	s, _ := fixture(t)
	unused := s.Transfers[0]
	unused.Pinhole.UsedAt, unused.Pinhole.FoundAt = time.Time{}, time.Time{}
	v := newTransfer(1, unused, s.Hosts)
	if v.Used || v.Found || v.Waited != v.Existed || v.Waited != v.Closed {
		t.Errorf("used %t, found %t after %v, %v of %v", v.Used, v.Found, v.Waited, v.Existed, v.Closed)
	}
	if n := len(paths(v.Figure.Wide, "admitted")); n != 0 {
		t.Errorf("a connection was admitted by a pinhole that was never used")
	}
	unused.Pinhole.OpenedAt = time.Time{}
	v = newTransfer(1, unused, s.Hosts)
	if v.Opened || len(paths(v.Figure.Wide, "hole")) != 0 {
		t.Errorf("there is a hole although none was opened")
	}
}

func TestTopologyWithFewHosts(t *testing.T) {
	s, _ := fixture(t)
	for n := range len(s.Hosts) {
		f := topology(s.Hosts[:n])
		for _, d := range []drawing{f.Wide, f.Narrow} {
			if len(d.Shapes) == 0 {
				t.Errorf("%d hosts: an empty drawing", n)
			}
		}
	}
}

func TestPlot(t *testing.T) {
	firewalls := []attack.Firewall{
		{Title: "a"},
		{Title: "b", ToServer: attack.Exposure{PortSeconds: 0.0005}},
		{Title: "c", Exposure: attack.Exposure{PortSeconds: 65535 * 3600}, ToServer: attack.Exposure{PortSeconds: 65535 * 3600}},
	}
	low, high := decades(firewalls)
	if low != -6 || high != 9 {
		t.Errorf("from 10^%d to 10^%d, want -6 and 9", low, high)
	}
	d := exposure(firewalls).Wide
	var at []int
	for _, class := range []string{"dot zero", "dot"} {
		for _, path := range paths(d, class) {
			var x int
			if _, err := fmt.Sscanf(path, "M%d", &x); err != nil {
				t.Fatal(err)
			}
			at = append(at, x)
		}
	}
	// 975 - 90 are 15 decades: -3.3 and 8.37 of them from 10^-6.
	if want := []int{12, 12, 12, 249, 938, 938}; !slices.Equal(at, want) {
		t.Errorf("the dots stand at %v, want %v", at, want)
	}
	if low, high := decades(nil); low >= high {
		t.Errorf("without firewalls from 10^%d to 10^%d", low, high)
	}
}

func TestNumbers(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 1: "1", 300: "300", 3600: "3 600", 65535: "65 535", 235926000: "235 926 000",
		0.00048: "0.00048", 0.5: "0.5", 1.2345: "1.23", 300.00271: "300", 1234.5: "1 234", 0.000271828: "0.000272", -1234: "-1 234",
	} {
		if got := strings.ReplaceAll(quantity(f), thin, " "); got != want {
			t.Errorf("%v is written %q, want %q", f, got, want)
		}
	}
	for n, want := range map[int]string{-6: "10⁻⁶", -3: "0.001", 0: "1", 3: "1 000", 6: "10⁶", 12: "10¹²"} {
		if got := strings.ReplaceAll(power(n), thin, " "); got != want {
			t.Errorf("10^%d is written %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 482 * time.Microsecond: "0.48 ms", 60*time.Second + 34*time.Millisecond: "60.03 s",
	} {
		if got := span(d); got != want {
			t.Errorf("%d ns are written %q, want %q", d, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"226 done", []string{"226 done"}},
		{"226 Transfer complete.", []string{"226", "Transfer", "complete."}},
		{"averylongwordindeed", []string{"averylongw", "ordindeed"}},
		{"x averylongwordindeed y", []string{"x", "averylongw", "ordindeed", "y"}},
		{"ÄÄÄÄÄ ÖÖÖÖ", []string{"ÄÄÄÄÄ ÖÖÖÖ"}},
	} {
		if got := wrap(c.text, 10); !slices.Equal(got, c.want) {
			t.Errorf("%q is broken into %q, want %q", c.text, got, c.want)
		}
	}
}
