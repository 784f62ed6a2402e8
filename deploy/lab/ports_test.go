package lab_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

func TestPorts(t *testing.T) {
	for text, want := range map[string]struct {
		ports lab.Ports
		words string
	}{
		"20":         {lab.Ports{First: 20, Last: 20}, "20"},
		"0":          {lab.Ports{}, "any"},
		`"1-1023"`:   {lab.Ports{First: 1, Last: 1023}, "1-1023"},
		`"80-65535"`: {lab.Ports{First: 80, Last: 65535}, "80-65535"},
	} {
		var got lab.Ports
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want.ports || got.String() != want.words {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
		if again, err := json.Marshal(got); err != nil || string(again) != text {
			t.Errorf("%s is written as %s, %v", text, again, err)
		}
	}
	for _, text := range []string{"65536", `"x"`, `"1-"`, `"1-65536"`, "[]", "-1"} {
		var got lab.Ports
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}

// TestNamedPorts looks whether a host could be given one of the ports that the reference
// dialogue and the detour name, for a connection of its own.
func TestNamedPorts(t *testing.T) {
	l := newLab(t, lab.Options{})
	for _, h := range []*lab.Host{l.Client, l.Server} {
		for _, port := range []int{20, 32963, 44667, 46197, 46296, 49160, 49161} {
			if handedOut(t, h, port) {
				t.Errorf("the kernel of %s may hand out port %d", h.Name, port)
			}
		}
		if !handedOut(t, h, 40000) {
			t.Errorf("the kernel of %s hands out no ports", h.Name)
		}
	}
}

// handedOut reports whether the kernel of a host picks from ports with this one among
// them when a program does not care (ip_local_port_range).
func handedOut(t *testing.T, h *lab.Host, port int) bool {
	t.Helper()
	var within, without []byte
	err := h.Do(func() (err error) {
		if within, err = os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err != nil {
			return err
		}
		without, err = os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	in := func(ranges []string, separator string) bool {
		for _, r := range ranges {
			from, to, ranged := strings.Cut(r, separator)
			if !ranged {
				to = from
			}
			first, err1 := strconv.Atoi(from)
			last, err2 := strconv.Atoi(to)
			if err1 == nil && err2 == nil && first <= port && port <= last {
				return true
			}
		}
		return false
	}
	return in([]string{strings.TrimSpace(string(within))}, "\t") &&
		!in(strings.Split(strings.TrimSpace(string(without)), ","), "-")
}
