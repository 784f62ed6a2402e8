package replay

import (
	"strings"
	"testing"
)

// A capture from the other side of a translation names addresses that are not the ends' own.
func TestACaptureFromTheOtherSideOfATranslation(t *testing.T) {
	for name, tc := range map[string]struct {
		command, reply string
		told           bool
	}{
		"inside":      {"PORT 10,1,4,4,180,117", "200 ok", false},
		"outside":     {"PORT 192,168,7,7,180,117", "500 Illegal PORT command.", true},
		"its own 227": {"PASV", "227 Entering Passive Mode (10,2,5,5,195,80).", false},
		"another 227": {"PASV", "227 Entering Passive Mode (192,168,7,7,195,80).", true},
	} {
		k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
		k.c(tc.command)
		k.s(tc.reply)
		k.close()
		_, s := k.replay()
		if told := strings.Contains(strings.Join(s.Warnings(), "\n"), "translation: 1"); told != tc.told {
			t.Errorf("%s: %q", name, s.Warnings())
		}
	}
}
