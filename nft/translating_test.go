package nft

import (
	"slices"
	"testing"
)

func TestTranslating(t *testing.T) {
	for rules, want := range map[string][]string{
		"": nil,
		"table inet filter { chain forward { type filter hook forward priority 0; tcp dport 21 accept; }; }":                        nil,
		"table ip nat { chain post { type nat hook postrouting priority 100; oifname x masquerade; }; }":                            {"ip nat"},
		"table inet a { chain pre { type nat hook prerouting priority -100; jump there; }; chain there { dnat ip to 10.2.5.5; }; }": {"inet a"},
		"table ip6 n { chain post { type nat hook postrouting priority 100; snat to fd00::1; }; }":                                  {"ip6 n"},
		"table ip r { chain pre { type nat hook prerouting priority -100; tcp dport 2121 redirect to :21; }; }":                     {"ip r"},
	} {
		inNamespace(t)
		install(t, defaults(), probe(t)) // ours is none of the operator's
		if rules != "" {
			load(t, rules)
		}
		if got, err := Translating(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", rules, got, err, want)
		}
	}
}
