package replay

import (
	"strings"
	"testing"
)

// A capture from beyond a translation has announcements of addresses that the ends do not
// have in it.
func TestOutsideOfATranslation(t *testing.T) {
	for name, c := range map[string]struct {
		say  func(*talk)
		want int
	}{
		"PORT of an inside address": {func(k *talk) { k.c("PORT 192,168,1,5,180,117"); k.s("200 ok") }, 1},
		"EPRT of an inside address": {func(k *talk) { k.c("EPRT |1|192.168.1.5|46197|"); k.s("200 ok") }, 1},
		"227 of an outside address": {func(k *talk) { k.c("PASV"); k.s("227 x (198,51,100,7,180,117)") }, 1},
		"both, and one of its own": {func(k *talk) {
			k.c("PORT 192,168,1,5,180,117")
			k.s("200 ok")
			k.c("PASV")
			k.s("227 x (198,51,100,7,180,117)")
			k.download()
		}, 2},
		"none but those of the ends' own": {func(k *talk) { k.download(); k.c("PASV"); k.s("227 x (10,2,5,5,180,117)") }, 0},
	} {
		k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").login()
		c.say(k)
		_, s := k.replay()
		told := strings.Contains(strings.Join(s.Warnings(), "\n"), "outside of a translation")
		if s.Outside != c.want || told != (c.want > 0) {
			t.Errorf("%s: %d announcements, want %d; told: %t", name, s.Outside, c.want, told)
		}
	}
}
