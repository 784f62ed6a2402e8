package dialogue_test

import (
	"testing"

	"github.com/ftpalg/ftpalg/alg/dialogue"
)

func TestPorts(t *testing.T) {
	for text, want := range map[string]dialogue.Ports{
		"20": {First: 20, Last: 20}, "1-1023": {First: 1, Last: 1023}, "65535": {First: 65535, Last: 65535}, "5-5": {First: 5, Last: 5},
	} {
		if got, err := dialogue.ParsePorts(text); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "-", "1-", "-1", "2-1", "0-5", "1-65536", "a", "1 - 2", "1-2-3", "+1", "any"} {
		if got, err := dialogue.ParsePorts(text); err == nil || got != (dialogue.Ports{}) {
			t.Errorf("%q is %v", text, got)
		}
	}
	some := dialogue.Ports{First: 10, Last: 20}
	for port, in := range map[uint16]bool{0: false, 9: false, 10: true, 15: true, 20: true, 21: false} {
		if some.Contains(port) != in || !(dialogue.Ports{}).Contains(port) {
			t.Errorf("%d", port)
		}
	}
	for want, ports := range map[string]dialogue.Ports{"any": {}, "20": dialogue.Port(20), "10-20": some} {
		if ports.String() != want {
			t.Errorf("%v, not %s", ports, want)
		}
	}
	if p, ok := dialogue.Port(20).Single(); p != 20 || !ok {
		t.Error("one port is not single")
	}
	for _, several := range []dialogue.Ports{{}, some, dialogue.Port(0)} {
		if _, ok := several.Single(); ok {
			t.Errorf("%v is single", several)
		}
	}
	if !(dialogue.Ports{}).Any() || some.Any() {
		t.Error("any")
	}
}

func TestModes(t *testing.T) {
	for _, mode := range []dialogue.Mode{dialogue.Active, dialogue.Passive} {
		text, err := mode.MarshalText()
		var again dialogue.Mode
		if err2 := again.UnmarshalText(text); err != nil || err2 != nil || again != mode || string(text) != mode.String() {
			t.Errorf("%v becomes %v: %v, %v", mode, again, err, err2)
		}
	}
	for _, text := range []string{"", "ACTIVE", "active ", "both"} {
		m := dialogue.Passive
		if err := m.UnmarshalText([]byte(text)); err == nil || m != dialogue.Passive {
			t.Errorf("%q is %v", text, m)
		}
	}
}
